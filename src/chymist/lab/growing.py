"""Seeds where they are needed: further rounds of a run until every claim and control is decided."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

from chymist.errors import BadParameter
from chymist.lab.chunk import Chunk
from chymist.study import Study

LARGEST = 10_000
"""Seeds that a study may have."""


@dataclass(frozen=True)
class Round:
    """Chunks to add to a run, and why, in words."""

    chunks: tuple[Chunk, ...]
    why: str


def describe(seeds: int, max_seeds: int | None) -> dict[str, Any]:
    """Return what a plan says of a run that adds seeds; by default up to eight times as many.

    Raises:
        BadParameter: the most is less than what it begins with, or more than a study may have.
    """
    most = min(8 * seeds, LARGEST) if max_seeds is None else max_seeds
    if not seeds <= most <= LARGEST:
        raise BadParameter(
            f"max-seeds cannot be {most} with {seeds} seeds to begin with",
            f"allowed: integer from {seeds} to {LARGEST}",
        )
    return {"max_seeds": most}


def next_round(
    study: Study, chunks: Sequence[Chunk], judged: Mapping[str, Any], max_seeds: int
) -> Round | None:
    """Return half as many seeds again for each arm with an undecided claim; None if there is none.

    A claim that misses the statistic of a seed, and tolerates none, no further seed can decide.
    """
    numbers = count(len(chunks))
    added: list[Chunk] = []
    said: list[str] = []
    for experiment, arm, claims in _undecided(study, judged):
        mine = [c for c in chunks if (c.experiment, c.arm) == (experiment, arm)]
        first = [c for c in mine if c.seeds[0] == 0]
        now, slice_ = max(c.seeds[1] for c in mine), first[0].seeds[1]
        end = min(now + max(2, -(-now // 2)), max_seeds)
        if end == now:
            continue
        for start in range(now, end, slice_):
            seeds = (start, min(start + slice_, end))
            added += [replace(cell, index=next(numbers), seeds=seeds) for cell in first]
        under = " under the control" if arm == "control" else ""
        said.append(f"{', '.join(claims)}{under} after {now} seeds")
    if not added:
        return None
    return Round(tuple(added), f"undecided: {'; '.join(said)}")


def _undecided(study: Study, judged: Mapping[str, Any]) -> Iterator[tuple[str, str, list[str]]]:
    for name, record in judged.items():
        arms = {
            "treatment": record["claims"],
            "control": [control["verdict"] for control in record["control"]],
        }
        for arm, verdicts in arms.items():
            open_ = [v["claim"] for v in verdicts if _can_be_decided(study, v)]
            if open_:
                yield name, arm, open_


def _can_be_decided(study: Study, verdict: Mapping[str, Any]) -> bool:
    if verdict["status"] != "inconclusive" or not verdict["rows"]:
        return False
    lost = any(value is None for row in verdict["rows"] for value in row["values"])
    return not lost or study.claim(verdict["claim"]).missing > 0

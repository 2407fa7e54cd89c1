"""Runs of one study side by side: what differs among them, and each claim's values on one axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from chymist.claims import Row
from chymist.errors import UnknownRun, UsageError
from chymist.lab import Run
from chymist.lab.listed import DAMAGED, NEWER, UNFINISHED, Listed
from chymist.languages import say
from chymist.report.numbers import setting, spread
from chymist.report.strip import ruler, strip
from chymist.web.reading import Reading
from chymist.web.shelf import Shelf

FIRST, MOST, OFFERED = 4, 10, 40
"""How many runs are compared unless said, at most, and among how many one can choose."""


@dataclass(frozen=True)
class Side:
    """What one run says of a claim at one point."""

    run: str
    status: str
    shown: str


@dataclass(frozen=True)
class Point:
    """A claim at one point, in all runs that have it."""

    where: str
    drawing: Markup
    sides: tuple[Side, ...]


@dataclass(frozen=True)
class Compared:
    """A claim in several runs."""

    name: str
    sentence: str
    points: tuple[Point, ...]


def context(shelf: Shelf, reading: Reading, slug: str, chosen: Sequence[str]) -> dict[str, Any]:
    """Return what the page shows: the chosen runs, or else the newest finished ones.

    Raises:
        UnknownStudy, UnknownRun: there is no such study or run, or it is of another study.
        UsageError: too many are chosen.
        DamagedRun: a file of a run is missing or altered.
    """
    study = shelf.study(slug)
    if len(chosen) > MOST:
        raise UsageError(f"{len(chosen)} runs cannot be compared", f"choose at most {MOST}")
    known = [r for r in reading.listing(study=slug, kind="study", limit=OFFERED) if _finished(r)]
    named = list(dict.fromkeys(chosen)) or [line.id for line in known[:FIRST]]
    runs = [reading.open(run) for run in named]
    for run in runs:
        if run.manifest["study"]["slug"] != slug:
            raise UnknownRun(f"run {run.id} is of another study", f"choose runs of {slug}")
        run.require_sealed()
    return {
        "study": study,
        "known": known,
        "chosen": set(named),
        "runs": [run.manifest for run in runs],
        "most": MOST,
        "letters": {run.id: _letter(place) for place, run in enumerate(runs)},
        "different": different([run.manifest for run in runs]),
        "claims": compared(runs),
    }


def _finished(line: Listed) -> bool:
    return line.verdict not in (UNFINISHED, DAMAGED, NEWER)


def _letter(place: int) -> str:
    return chr(ord("A") + place)


def different(manifests: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Return the parameters, and what else decides a run, that are not the same in all runs."""
    told = [
        {
            **{name: setting(m["sweep"].get(name, v)) for name, v in m["parameters"].items()},
            say("preset"): m["preset"],
            say("input"): str((m["input"] or {}).get("name", say("none"))),
            **{say("version of %(name)s", name=n): str(v) for n, v in m["versions"].items()},
        }
        for m in manifests
    ]
    names = dict.fromkeys(name for one in told for name in one)
    rows = {name: [one.get(name, say("none")) for one in told] for name in names}
    return {name: values for name, values in rows.items() if len(set(values)) > 1}


def compared(runs: Sequence[Run]) -> list[Compared]:
    """Return every claim that one of the runs judged, with the values of all of them."""
    names = dict.fromkeys(name for run in runs for name in run.verdicts)
    return [_claim(name, runs) for name in names]


def _claim(name: str, runs: Sequence[Run]) -> Compared:
    judged = {
        _letter(place): run.verdicts[name] for place, run in enumerate(runs) if name in run.verdicts
    }
    first = next(iter(judged.values()))
    places = dict.fromkeys(tuple(row.where.items()) for v in judged.values() for row in v.rows)
    scale = ruler(first, [row for verdict in judged.values() for row in verdict.rows])
    points = []
    for place in places:
        lanes = [
            (letter, row)
            for letter, verdict in judged.items()
            for row in verdict.rows
            if tuple(row.where.items()) == place
        ]
        where = ", ".join(f"{name} = {setting(value)}" for name, value in place)
        sides = tuple(_side(letter, row) for letter, row in lanes)
        points.append(Point(where, strip(first, lanes, scale), sides))
    return Compared(name, first.sentence, tuple(points))


def _side(letter: str, row: Row) -> Side:
    shown = say("too few values")
    if row.interval:
        estimate, low, high = spread(row.interval)
        shown = say("%(estimate)s (%(low)s to %(high)s)", estimate=estimate, low=low, high=high)
    return Side(letter, row.status, shown)

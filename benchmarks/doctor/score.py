"""Scoring the doctor: what it found of what was planted, and what it said of the healthy."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from case import Case
from cases import BY_NAME

from chymist.doctor import Checkup, Finding
from chymist.doctor.chart import Chart
from chymist.doctor.rules import RULES


@dataclass(frozen=True)
class Opinion:
    """What the doctor said of one training: findings above a note, the first one read first."""

    case: Case
    seed: int
    findings: tuple[Finding, ...]
    off: tuple[str, ...] = ()

    @property
    def rules(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(f.rule for f in self.findings))

    @property
    def found(self) -> bool:
        """Whether a right diagnosis is among them."""
        return bool(set(self.rules) & set(self.case.fault))

    @property
    def first(self) -> str:
        return self.rules[0] if self.rules else ""

    @property
    def right_first(self) -> bool:
        return self.first in self.case.fault


def opinion(record: dict[str, Any], alone: bool = False) -> Opinion:
    """Judge the charts of a record: the preflight's findings are read before the watch's.

    With `alone` the watch's are, as of a training that nobody examined before.
    """
    findings: list[Finding] = []
    off: list[str] = []
    for name in ("watch",) if alone else ("preflight", "watch"):
        if record[name] is not None:
            chart = Chart.from_json(record[name])
            findings += [f for f in Checkup.of(chart).findings if f.severity != "note"]
            off += [f"{name}: {quantity}: {why}" for quantity, why in chart.off.items()]
    return Opinion(BY_NAME[record["case"]], record["seed"], tuple(findings), tuple(off))


def wilson(share: float, cases: int) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a share among so many independent cases.

    The seeds of a case are not independent of each other: they make a share, and do not count.

    >>> [round(v, 2) for v in wilson(1.0, 10)]
    [0.72, 1.0]
    """
    if not cases:
        return 0.0, 1.0
    z = 1.959964
    middle = (share + z * z / (2 * cases)) / (1 + z * z / cases)
    half = z / (1 + z * z / cases)
    half *= math.sqrt(share * (1 - share) / cases + z * z / (4 * cases**2))
    return max(0.0, middle - half), min(1.0, middle + half)


@dataclass
class Tally:
    """Shares over cases, each the mean over its seeds."""

    by_case: dict[str, list[bool]] = field(default_factory=dict)

    def add(self, case: str, outcome: bool) -> None:
        self.by_case.setdefault(case, []).append(outcome)

    @property
    def share(self) -> float:
        means = [sum(v) / len(v) for v in self.by_case.values()]
        return sum(means) / len(means) if means else math.nan

    def __str__(self) -> str:
        if not self.by_case:
            return "-"
        low, high = wilson(self.share, len(self.by_case))
        return f"{self.share:.2f} ({low:.2f}-{high:.2f})"


def markdown(opinions: Sequence[Opinion]) -> str:
    """Return the tables of some cases: all rules together, by rule, and what went wrong."""
    faulty = [o for o in opinions if not o.case.healthy]
    healthy = [o for o in opinions if o.case.healthy]
    return "\n".join([*_overall(faulty, healthy), "", *_by_rule(faulty, healthy), "",
                      *_by_case(faulty, healthy)])  # fmt: skip


def _overall(faulty: Sequence[Opinion], healthy: Sequence[Opinion]) -> Iterable[str]:
    found, first, quiet = Tally(), Tally(), Tally()
    for o in faulty:
        found.add(o.case.name, o.found)
        first.add(o.case.name, o.right_first)
    for o in healthy:
        quiet.add(o.case.name, bool(o.findings))
    yield "| | cases | share (95 %) |"
    yield "|---|---|---|"
    yield f"| faults with a right diagnosis | {len(found.by_case)} | {found} |"
    yield f"| faults whose right diagnosis is read first | {len(first.by_case)} | {first} |"
    yield f"| healthy trainings with any finding above a note | {len(quiet.by_case)} | {quiet} |"


def _by_rule(faulty: Sequence[Opinion], healthy: Sequence[Opinion]) -> Iterable[str]:
    yield "| rule | faults | found | read first | false alarms (healthy) | wrongly first |"
    yield "|---|---|---|---|---|---|"
    planted = dict.fromkeys(o.case.fault[0] for o in faulty)
    known = [rule.name for rule in RULES]
    for rule in [*known, *(n for n in planted if n not in known)]:
        found, first, alarms, wrong = Tally(), Tally(), Tally(), Tally()
        for o in faulty:
            if o.case.fault[0] == rule:
                found.add(o.case.name, o.found)
                first.add(o.case.name, o.right_first)
            if rule not in o.case.fault:
                wrong.add(o.case.name, o.first == rule)
        for o in healthy:
            alarms.add(o.case.name, rule in o.rules)
        name = rule if rule in known else f"{rule} (no such rule)"
        yield f"| {name} | {len(found.by_case)} | {found} | {first} | {alarms} | {wrong} |"


def _by_case(faulty: Sequence[Opinion], healthy: Sequence[Opinion]) -> Iterable[str]:
    yield "| case | right | said, first first (seeds) |"
    yield "|---|---|---|"
    for o_all in (faulty, healthy):
        for name in dict.fromkeys(o.case.name for o in o_all):
            mine = [o for o in o_all if o.case.name == name]
            said: dict[str, int] = {}
            for o in mine:
                text = ", ".join(o.rules) or "nothing"
                said[text] = said.get(text, 0) + 1
            told = "; ".join(f"{text} ({count})" for text, count in said.items())
            yield f"| {name} | {', '.join(mine[0].case.fault) or 'healthy'} | {told} |"

"""A rule of the doctor: what it looks for in a chart, and the study that it rests on."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from chymist.doctor.chart import Chart
from chymist.doctor.finding import Finding


@dataclass(frozen=True)
class Rule:
    """Findings from a chart. A rule is a pure function, silent where its readings are missing.

    `reads` names the quantities that it judges. `explains` names rules whose findings follow from
    this one's: a softmax frozen from birth accounts for the gradients that vanish through it. A
    `symptom` follows from whatever else is found above a note.
    """

    name: str
    study: str
    looks_for: str
    reads: tuple[str, ...]
    judge: Callable[[Chart], Iterable[Finding]]
    explains: tuple[str, ...] = ()
    symptom: bool = False

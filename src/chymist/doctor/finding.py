"""What the doctor says of a training: a number, a threshold, a remedy, the study that backs it."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any, Literal

from chymist import catalogue

Severity = Literal["note", "warning", "critical"]
"""How bad: "note" is worth knowing, "warning" costs quality or time, "critical" breaks training."""
SEVERITIES: tuple[Severity, ...] = ("note", "warning", "critical")


@dataclass(frozen=True)
class Finding:
    """One diagnosis: evidence, threshold, explanation, remedy, and the study that shows it.

    `value` was measured with standard error `error` (NaN: exact, or not known) at `step` updates,
    in `layer` ("": the whole network), and passed `threshold`, which `formula` gives. `says` is one
    line, `why` a paragraph, `remedy` a concrete change. `because` names the rule whose finding
    accounts for this one, which is then a note.
    """

    rule: str
    severity: Severity
    says: str
    value: float
    threshold: float
    formula: str
    why: str
    remedy: str
    study: str
    layer: str = ""
    error: float = math.nan
    unit: str = "1"
    step: int = 0
    because: str = ""

    @property
    def provisional(self) -> bool:
        """Whether the study that is to back the finding is not in the atlas yet."""
        return not is_built(self.study)

    def as_json(self) -> dict[str, Any]:
        """Return the finding as JSON values; what is not finite as text."""
        return {n: _plain(v) for n, v in asdict(self).items()} | {"provisional": self.provisional}

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Finding:
        """Return the finding that `as_json` wrote.

        >>> made = Finding("r", "note", "s", math.inf, 1.0, "f", "w", "do", "edge-of-stability")
        >>> Finding.from_json(made.as_json()).value
        inf
        """
        fields = {n: v for n, v in record.items() if n != "provisional"}
        numbers = {n: float(fields[n]) for n in ("value", "threshold", "error")}
        return cls(**{**fields, **numbers})


def worst(findings: list[Finding] | tuple[Finding, ...]) -> Severity | None:
    """Return the highest severity among findings, None if there are none."""
    return max((f.severity for f in findings), key=SEVERITIES.index, default=None)


def is_built(study: str) -> bool:
    """Tell whether a study is in the atlas, so that it can be run."""
    return study in _built()


@cache
def _built() -> frozenset[str]:
    return frozenset(entry.slug for entry in catalogue.entries())


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value

"""How a quantity has gone along a training: what rules read off a series."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import mean, median, stdev

from chymist.doctor.chart import Chart

START = 0.05
"""Share of the steps that counts as the start."""
RECENT = 2 / 3
"""Share of the steps after which a reading is recent."""


@dataclass(frozen=True)
class Course:
    """The loss at the start and lately, each with the standard error of its mean, and the steps."""

    start: float
    start_error: float
    recent: float
    recent_error: float
    steps: int

    @property
    def fallen(self) -> float:
        """The share of the loss at the start that is gone; negative where it has risen."""
        return (self.start - self.recent) / abs(self.start) if self.start else 0.0

    @property
    def error(self) -> float:
        """The standard error of `fallen`, to first order."""
        if not self.start:
            return math.inf
        return math.hypot(self.start_error, self.recent_error) / abs(self.start)


def course(chart: Chart) -> Course | None:
    """Return how the loss has gone; None with fewer than 30 steps, or too few readings to tell."""
    series = [(s, v) for s, v in chart.series("loss") if math.isfinite(v)]
    taken = steps(chart)
    if taken < 30 or len(series) < 12:
        return None
    first = [v for s, v in series if s <= START * taken] or [series[0][1]]
    if len(first) < 3:
        first = [v for _, v in series[:3]]
    last = [v for s, v in series if s >= RECENT * taken]
    if len(last) < 3:
        return None
    return Course(mean(first), _error(first), mean(last), _error(last), taken)


def steps(chart: Chart) -> int:
    """Return how many steps the training has taken."""
    return int(chart.facts.get("watch", {}).get("steps", 0))


def recent(chart: Chart, name: str, layer: str = "") -> list[float]:
    """Return a quantity's finite readings in the last third of the training."""
    taken = steps(chart)
    least = max(1.0, RECENT * taken)
    return [v for s, v in chart.series(name, layer) if s >= least and math.isfinite(v)]


def layers(chart: Chart, name: str) -> list[str]:
    """Return the layers or parameters that a quantity was ever read of, the whole aside."""
    found: dict[str, None] = {}
    for reading in chart.readings.get(name, []):
        found |= dict.fromkeys(n for n in reading.values if n)
    return list(found)


def ratios(chart: Chart, above: str, below: str) -> list[tuple[int, float]]:
    """Return (step, ratio) of two quantities of the whole, where both were read after the start."""
    under = dict(chart.series(below))
    return [
        (s, v / under[s]) for s, v in chart.series(above)
        if s > 0 and under.get(s) and math.isfinite(v)
    ]  # fmt: skip


def stability(chart: Chart) -> list[tuple[int, float]]:
    """Return (step, sharpness over the threshold of stability) of the optimizer's rule."""
    return ratios(chart, "preconditioned_sharpness", "preconditioned_threshold") or ratios(
        chart, "sharpness", "sharpness_threshold"
    )


def matrices(chart: Chart, name: str) -> list[float]:
    """Return each weight matrix' median of a quantity by parameter, over recent readings."""
    shaped = {n for n, m in chart.facts.get("layers", {}).items() if len(m["shape"]) > 1}
    found = []
    for parameter in layers(chart, name):
        if parameter.rpartition(".")[0] in shaped and parameter.endswith("weight"):
            values = recent(chart, name, parameter)
            if values:
                found.append(median(values))
    return found


def _error(values: list[float]) -> float:
    return stdev(values) / math.sqrt(len(values)) if len(values) > 1 else math.inf

"""A batch size far from where noise and gradient are alike."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import mean

from chymist.doctor import trends
from chymist.doctor.chart import Chart
from chymist.doctor.finding import Finding
from chymist.doctor.rule import Rule

FAR = 10.0
"""Factor within which the noise scale predicts the critical batch size."""


def judge(chart: Chart) -> Iterator[Finding]:
    """Find a batch size that lies a factor of ten from the noise scale."""
    traces = [v for s, v in chart.series("noise_trace") if v == v]
    squares = [v for s, v in chart.series("noise_squared_gradient") if v == v]
    batch = int(chart.facts.get("data", {}).get("samples", 0))
    if len(traces) < 3 or len(traces) != len(squares) or not batch:
        return
    trace, square = mean(traces), mean(squares)
    if trace <= 0 or square <= 0:
        return
    scale = trace / square
    if batch / FAR <= scale <= batch * FAR:
        return
    more = scale > batch
    yield Finding(
        rule="noise-and-batch", severity="note",
        says=f"the gradient noise scale is {scale:.3g} samples, the batch has {batch}: "
             + ("noise dominates the steps" if more else "samples are spent on little noise"),
        value=scale, threshold=batch * FAR if more else batch / FAR,
        formula="tr Sigma / |G|^2, a factor of 10 from the batch size", unit="samples",
        why="Below the noise scale a batch twice as large saves nearly half of the steps; above "
            "it a larger batch saves few. It predicts the critical batch size within a factor of "
            "some ten, and grows along a training.",
        remedy=f"a batch of up to {scale:.2g} samples trains in fewer steps, with the step size "
               "raised in proportion" if more else
               f"a batch of some {max(1.0, 2 * scale):.2g} samples takes as many steps",
        study="gradient-noise-scale", step=trends.steps(chart),
    )  # fmt: skip


NOISE_AND_BATCH = Rule(
    "noise-and-batch",
    "gradient-noise-scale",
    "a batch size a factor of ten from the gradient noise scale",
    ("noise_trace", "noise_squared_gradient"),
    judge,
)

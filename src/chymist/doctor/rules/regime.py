"""Whether the training is lazy, a linear model at its start, or learns features."""

from __future__ import annotations

from collections.abc import Iterator

from chymist.doctor import trends
from chymist.doctor.chart import Chart
from chymist.doctor.finding import Finding
from chymist.doctor.rule import Rule

LAZY = 0.01
FALLEN = 0.5


def judge(chart: Chart) -> Iterator[Finding]:
    """Find a loss that has fallen by half while the tangent kernel has not turned."""
    turned, course = chart.last("kernel_turned"), trends.course(chart)
    if turned is None or course is None or course.fallen < FALLEN or not turned.value < LAZY:
        return
    if turned.step < trends.steps(chart) / 2:
        return
    moved = chart.last("parameter_drift")
    far = f", the weights moved by {moved.value:.2g} of their size" if moved else ""
    yield Finding(
        rule="regime", severity="note",
        says=f"the training is lazy: the tangent kernel has turned by {turned.value:.2g}{far}, "
             f"while {course.fallen:.0%} of the loss is gone",
        value=turned.value, threshold=LAZY, formula="1 - cosine(kernel now, kernel at the start)",
        why="Where the tangent kernel stays, the network is the linear model of its start: it "
            "learns no features, and generalises as that kernel does.",
        remedy="for features: a smaller initial scale of the output, a larger step size, or the "
               "muP parametrisation; nothing, if the linear model is good enough",
        study="ntk-regime", step=turned.step,
    )  # fmt: skip


REGIME = Rule(
    "regime",
    "ntk-regime",
    "a loss that falls while the tangent kernel stays",
    ("kernel_turned", "parameter_drift", "loss"),
    judge,
)

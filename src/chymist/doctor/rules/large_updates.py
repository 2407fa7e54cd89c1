"""Updates that replace the weights rather than change them."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from chymist.doctor import trends
from chymist.doctor.chart import Chart
from chymist.doctor.finding import Finding
from chymist.doctor.rule import Rule

LARGE = 0.1
"""Of the weights' size, a step: what was learnt is turned over in ten."""


def judge(chart: Chart) -> Iterator[Finding]:
    """Find weight matrices of which one step changes a tenth, late in the training."""
    found = trends.matrices(chart, "update_ratio")
    if not found or trends.steps(chart) < 30:
        return
    value = median(found)
    if value <= LARGE:
        return
    course = trends.course(chart)
    stuck = course is not None and course.fallen < max(0.01, 2 * course.error)
    yield Finding(
        rule="large-updates", severity="warning" if stuck else "note",
        says=f"one step changes weight matrices by {value:.2g} of their size, late in the training"
             + (", and the loss does not fall" if stuck else ""),
        value=value, threshold=LARGE, formula="|w' - w| / |w|, median over weight matrices",
        why="An update is a step along a gradient that was taken at the weights before it; it "
            "holds while the weights change by a small share. Adaptive rules move each weight by "
            "about lr a step, whatever its size: with weights of size 1/sqrt(width) the share "
            "grows with the width.",
        remedy="a step size ten times smaller, or lr proportional to 1/width (muP)",
        study="transformer-initialisation", step=trends.steps(chart),
    )  # fmt: skip


LARGE_UPDATES = Rule(
    "large-updates",
    "transformer-initialisation",
    "updates of a tenth of the weights' size and more",
    ("update_ratio", "loss"),
    judge,
    explains=("loss-course",),
    symptom=True,
)

"""A step size that the curvature does not allow."""

from __future__ import annotations

from collections.abc import Iterator

from chymist.doctor.chart import Chart
from chymist.doctor.finding import Finding
from chymist.doctor.rule import Rule

CATAPULT = 2.0
"""In units of the threshold: below, wide networks recover from a start beyond it (arXiv:2003.02218,
at lr = 4/sharpness); above, they diverge."""


def judge(chart: Chart) -> Iterator[Finding]:
    """Find a sharpness before training that is beyond the optimizer's threshold."""
    sharp, limit = chart.first("sharpness"), chart.first("sharpness_threshold")
    if sharp is None or limit is None or sharp.step > 0 or sharp.value <= limit.value:
        return
    ratio = sharp.value / limit.value
    lr = float(chart.facts["optimizer"]["lr"])
    yield Finding(
        rule="step-size", severity="critical" if ratio > CATAPULT else "note",
        says=f"the step size {lr:.3g} is {ratio:.2g} times the largest stable one: "
             f"sharpness {sharp.value:.3g}, threshold {limit.value:.3g}",
        value=sharp.value, threshold=limit.value, formula="(2 + 2 momentum) / lr",
        unit="1/step size",
        why="Gradient descent on a quadratic grows without bound along every direction whose "
            "curvature exceeds 2/lr (with momentum (2 + 2 beta)/lr). Networks can recover from a "
            "start somewhat beyond, by moving to a flatter place; from twice the threshold on "
            "they mostly diverge.",
        remedy=f"lr={lr / ratio:.2g} or less, or raise the step size from there over a warm-up",
        study="edge-of-stability", step=sharp.step,
    )  # fmt: skip


STEP_SIZE = Rule(
    "step-size",
    "edge-of-stability",
    "a sharpness before training beyond the optimizer's threshold of stability",
    ("sharpness", "sharpness_threshold"),
    judge,
)

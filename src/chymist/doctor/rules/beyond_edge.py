"""Steps beyond the edge of stability, and training at the edge."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from chymist.doctor import trends
from chymist.doctor.chart import Chart
from chymist.doctor.finding import Finding
from chymist.doctor.rule import Rule

EDGE = (0.7, 2.0)
"""Sharpness over the threshold between which a training goes along the edge."""


def judge(chart: Chart) -> Iterator[Finding]:
    """Find a sharpness at the threshold, and one beyond it while the loss does not fall."""
    found = trends.stability(chart)
    late = [r for s, r in found if s >= trends.RECENT * trends.steps(chart)]
    if not late or trends.steps(chart) < 20:
        return
    ratio, step = median(late), found[-1][0]
    course = trends.course(chart)
    stuck = course is not None and course.fallen < max(0.01, 2 * course.error)
    if ratio < EDGE[0]:
        return
    lr = trends.recent(chart, "lr") or [float(chart.facts.get("optimizer", {}).get("lr", 0.0))]
    beyond = ratio > EDGE[1] and stuck
    yield Finding(
        rule="beyond-edge", severity="critical" if beyond else "note",
        says=f"steps are beyond the edge of stability, and the loss does not fall: the sharpness "
             f"is {ratio:.2g} times the threshold at lr {lr[-1]:.3g}"
             if beyond else
             f"the training goes along the edge of stability: the sharpness is {ratio:.2g} times "
             f"the threshold",
        value=ratio, threshold=EDGE[1] if beyond else 1.0,
        formula="sharpness / ((2 + 2 momentum) / lr), of P^-1 H for adaptive rules",
        why="Along a direction of curvature above the threshold every step overshoots by more "
            "than it corrects. Full-batch training moves to where the sharpness hovers at the "
            "threshold, and the loss still falls over many steps: that is common, and no fault. "
            "Where the loss does not fall, the steps only throw the weights about.",
        remedy=f"lr={lr[-1] / ratio:.2g}, or a warm-up to the present one" if beyond else
               "nothing, as long as the loss falls; a smaller step size would make it fall evenly",
        study="edge-of-stability", step=step,
    )  # fmt: skip


BEYOND_EDGE = Rule(
    "beyond-edge",
    "edge-of-stability",
    "a sharpness at or beyond the optimizer's threshold of stability during training",
    ("sharpness", "sharpness_threshold", "preconditioned_sharpness", "preconditioned_threshold"),
    judge,
    explains=("loss-course", "large-updates"),
)

"""A step size far below what the curvature allows, with which little is learnt."""

from __future__ import annotations

import math
from collections.abc import Iterator
from statistics import median

from chymist.doctor import trends
from chymist.doctor.chart import Chart
from chymist.doctor.finding import Finding
from chymist.doctor.layers import adaptive, blind
from chymist.doctor.rule import Rule

FAR = 0.02
"""Sharpness over the threshold below which steps could be tens of times larger."""
PATH = 0.02
"""Share of the weights' size that all steps together could have moved them by, where they end."""
PATHS = 0.25
"""The same at most for steps that are all too small, as of layers of 64: see `path`."""
FALLEN = 0.2
"""Share of the loss that is gone from which on a training is not called too slow."""
STEPS = 50
ENDED = 1e-3
"""Of the largest step size: as many steps at it go as far as one did. Decays end there, and do not
spend half of a training there."""
LEARNT = 0.9
"""Share of the loss that is gone from which on nothing more is asked for."""


def judge(chart: Chart) -> Iterator[Finding]:
    """Find a training that has hardly moved, at a sharpness far below the threshold."""
    course, taken = trends.course(chart), trends.steps(chart)
    ratios = [r for _, r in trends.stability(chart)]
    moves = [v for _, v in chart.series("update_ratio") if v == v]
    # An adaptive rule moves every weight by lr, whatever the curvature.
    known = bool(ratios) or adaptive(chart)
    if course is None or not moves or taken < STEPS:
        return
    if course.fallen < LEARNT:
        yield from _ended(chart, taken)
    if not known:
        return
    rates = [v for _, v in chart.series("lr")]
    ratio, lr = max(ratios, default=0.0), max(rates, default=0.0)
    if course.fallen > FALLEN or ratio > FAR or lr <= 0:
        return
    gone = median(moves) * taken
    limit = path(chart, course)
    if gone > limit:
        return
    times = min(0.1 / max(ratio, 1e-3), 100.0) if ratios else 10.0
    yield Finding(
        rule="slow-descent", severity="warning",
        says=f"the step size {lr:.3g} is too small: {taken} steps have moved the weights by at "
             f"most {gone:.2g} of their size"
             + (f", at {ratio:.2g} of the largest stable step" if ratios else ""),
        value=ratio if ratios else gone, threshold=FAR if ratios else limit,
        formula=("sharpness / threshold of stability, while " if ratios else "")
                + f"steps * update ratio < {limit:.2g}, 1/sqrt(m) + 1/sqrt(n) of (m, n) weights",
        why="The time that descent takes goes as 1/lr, up to the threshold of stability set by "
            "the sharpness. Far below it steps could be larger at no risk, and what is learnt in "
            "as many steps is proportionally more. A move of rank one is as large as random (m, "
            "n) weights, in spectral norm, when it is 1/sqrt(m) + 1/sqrt(n) of their size: before "
            "that no layer says anything else than at its start.",
        remedy=f"lr={lr * times:.2g}, and raise it further while the loss falls",
        study="edge-of-stability", step=taken,
    )  # fmt: skip


def path(chart: Chart, course: trends.Course) -> float:
    """Return the share of their size by which weights must move to change what a layer says.

    A network that starts far below the loss of a constant answer was trained before, and may be
    meant to move little.
    """
    shapes = [m["shape"] for m in chart.facts.get("layers", {}).values() if len(m["shape"]) > 1]
    if course.start < (1 - FALLEN) * blind(chart)[0]:
        return 0.0
    widths = [1 / math.sqrt(s[0]) + 1 / math.sqrt(math.prod(s[1:])) for s in shapes] or [PATH]
    return min(PATHS, median(widths))


def _ended(chart: Chart, taken: int) -> Iterator[Finding]:
    """Find a schedule that has stopped the training before its second half."""
    rates = chart.series("lr")
    largest, late = max((v for _, v in rates), default=0.0), [v for s, v in rates if s >= taken / 2]
    moves = [v for s, v in chart.series("update_ratio") if s >= taken / 2 and v == v]
    if not late or not moves or largest <= 0 or max(late) > ENDED * largest:
        return
    path = max(moves) * taken / 2
    if path > PATH:
        return
    yield Finding(
        rule="slow-descent", severity="warning",
        says=f"the schedule has ended the training early: in its second half the step size is at "
             f"most {max(late):.2g}, of {largest:.2g}, and moves the weights by at most "
             f"{path:.2g} of their size",
        value=max(late) / largest, threshold=ENDED,
        formula="largest step size of the second half / largest of all",
        why="The way that is left is the sum of the step sizes to come. A factor a step of 0.8 "
            "sums to five steps of the first size, whatever the number of steps: what is not "
            "learnt by then never is.",
        remedy="step the scheduler once an epoch, not a batch; or CosineAnnealingLR over "
               f"T_max={taken} steps",
        study="edge-of-stability", step=taken,
    )  # fmt: skip


SLOW_DESCENT = Rule(
    "slow-descent",
    "edge-of-stability",
    "weights that hardly move, at a sharpness far below the threshold",
    ("sharpness", "sharpness_threshold", "preconditioned_sharpness", "preconditioned_threshold",
     "update_ratio", "loss", "lr", "loss_of_zeros", "loss_of_mean", "outputs"),
    judge,
    explains=("loss-course",),
)  # fmt: skip

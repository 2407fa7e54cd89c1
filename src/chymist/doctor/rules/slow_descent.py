"""A step size far below what the curvature allows, with which little is learnt."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
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
ENDED = 0.02
"""The second half's share of the sum of all step sizes. A decay to a tenth at a third and at two
thirds of a training leaves 0.04 to it, an exponential one to a hundredth 0.09, a cosine 0.18."""
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
    if not late or not moves or largest <= 0:
        return
    share, path = _late_share(rates, taken), max(moves) * taken / 2
    if share > ENDED or path > PATHS:
        return
    yield Finding(
        rule="slow-descent", severity="warning",
        says=f"the schedule has ended the training early: {share:.2g} of the sum of its step sizes "
             f"lies in its second half, where they are at most {max(late):.2g}, of {largest:.2g}, "
             f"and move the weights by at most {path:.2g} of their size",
        value=share, threshold=ENDED,
        formula="sum of step sizes in the second half / sum of all",
        why="The way that is left is the sum of the step sizes to come. A factor a step of 0.8 "
            "sums to five steps of the first size, whatever the number of steps: what is not "
            "learnt by then never is.",
        remedy="step the scheduler once an epoch, not a batch; or CosineAnnealingLR over "
               f"T_max={taken} steps",
        study="edge-of-stability", step=taken,
    )  # fmt: skip


def _late_share(rates: Sequence[tuple[int, float]], taken: int) -> float:
    """Return the second half's share of the sum of step sizes, each held until the next reading."""
    ends = [*(s for s, _ in rates[1:]), taken + 1]
    spans = [(s, end, v) for (s, v), end in zip(rates, ends, strict=True)]
    whole = sum(v * (end - s) for s, end, v in spans)
    late = sum(v * max(0.0, end - max(s, taken / 2)) for s, end, v in spans)
    return late / whole if whole > 0 else 0.0


SLOW_DESCENT = Rule(
    "slow-descent",
    "edge-of-stability",
    "weights that hardly move, at a sharpness far below the threshold",
    ("sharpness", "sharpness_threshold", "preconditioned_sharpness", "preconditioned_threshold",
     "update_ratio", "loss", "lr", "loss_of_zeros", "loss_of_mean", "outputs"),
    judge,
    explains=("loss-course",),
)  # fmt: skip

"""Gradients that are clipped at every step."""

from __future__ import annotations

import math
from collections.abc import Iterator
from statistics import mean

from chymist.doctor import trends
from chymist.doctor.chart import Chart
from chymist.doctor.finding import Finding
from chymist.doctor.layers import adaptive, number
from chymist.doctor.rule import Rule
from chymist.doctor.rules.slow_descent import path

READINGS = 3
EQUAL = 1e-3
"""Relative spread below which norms of gradients are one number; batches differ by more."""
FALLEN = 0.2
"""Share of the loss that is gone from which on a training is not called slow."""
FAR = 0.02
"""Sharpness over its threshold below which steps could be tens of times larger."""


def judge(chart: Chart) -> Iterator[Finding]:
    """Find norms of gradients that are the same at every step."""
    norms = [v for s, v in chart.series("gradient_norm") if s > 0 and math.isfinite(v) and v > 0]
    if len(norms) < READINGS:
        return
    level = mean(norms)
    spread = (max(norms) - min(norms)) / level
    if spread > EQUAL:
        return
    rates = dict(chart.series("lr"))
    full = max(rates.values(), default=0.0)
    # What a schedule makes small is not made so by the clipping.
    moves = [v for s, v in chart.series("update_ratio")
             if v == v and rates.get(s, full) >= full / 2]  # fmt: skip
    course = trends.course(chart)
    # Adaptive rules divide the norm out again: their steps are small for another reason.
    slow = (
        not adaptive(chart) and bool(moves) and course is not None and course.fallen < FALLEN
        and mean(moves) * trends.steps(chart) < path(chart, course)
    )  # fmt: skip
    # What is left of the step by the first gradient, in units of the largest stable step.
    left = level / number(chart, "gradient_size") * _stable(chart)
    short = not adaptive(chart) and left < FAR
    yield Finding(
        rule="clipped", severity="warning" if slow or short else "note",
        says=f"gradients are clipped to the norm {level:.3g} at every step"
             + (", and the weights hardly move" if slow else
                f", which leaves {left:.2g} of the largest stable step" if short else ""),
        value=spread, threshold=EQUAL, formula="(largest - smallest) / mean norm of the gradient",
        why="Clipped at every step, descent goes by lr times the clipping norm, whatever the "
            "gradient: the norm decides the step size, and a fiftieth of a stable step costs fifty "
            "times the steps. Adaptive rules divide it out again.",
        remedy=f"clip at a norm that is reached now and then, well above {level:.3g}: "
               "torch.nn.utils.clip_grad_norm_ returns the norm before clipping",
        study="edge-of-stability", step=trends.steps(chart),
    )  # fmt: skip


def _stable(chart: Chart) -> float:
    """Return sharpness over its threshold, the largest that was seen; NaN if none was."""
    seen = [r for _, r in trends.stability(chart)]
    start = number(chart, "sharpness") / number(chart, "sharpness_threshold")
    return max((r for r in [*seen, start] if r == r), default=math.nan)


CLIPPED = Rule(
    "clipped",
    "edge-of-stability",
    "norms of gradients that are one number at every step",
    (
        "gradient_norm",
        "update_ratio",
        "lr",
        "loss",
        "loss_of_zeros",
        "loss_of_mean",
        "outputs",
        "gradient_size",
        "sharpness",
        "sharpness_threshold",
    ),
    judge,
    explains=("step-size", "beyond-edge", "slow-descent", "loss-course"),
)

"""A step size with which nothing is learnt in any reasonable time."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from chymist.doctor.chart import Chart
from chymist.doctor.finding import Finding
from chymist.doctor.layers import adaptive, at_start, number, step_size
from chymist.doctor.rule import Rule

STEEPEST = 1000.0
"""Steps that plain descent may take along the direction of largest curvature."""
TURNED = 3e4
"""Steps in which an adaptive rule may turn over a weight."""


def judge(chart: Chart) -> Iterator[Finding]:
    """Find a step size so small that even the fastest direction, or any weight, takes too long."""
    made = chart.facts.get("optimizer", {})
    # A schedule notes the step size that it was given, which a warm-up ends at.
    lr = max(step_size(chart), float(made.get("initial_lr", 0.0)))
    if not lr > 0:
        if lr == 0:
            yield _told(lr, float("inf"), STEEPEST, "steps of zero", "a positive lr")
        return
    sizes = at_start(chart, "parameter_rms")
    if adaptive(chart):
        if made.get("rule") not in ("Adam", "AdamW", "NAdam", "RAdam", "RMSprop"):
            return
        weights = [v for n, v in sizes.values.items() if v > 0] if sizes is not None else []
        steps = median(weights) / lr if weights else 0.0
        if steps > TURNED:
            yield _told(lr, steps, TURNED, "root mean square of a weight over lr",
                        f"lr={median(weights) / 100:.1g}")  # fmt: skip
        return
    sharp, momentum = number(chart, "sharpness"), float(made.get("momentum", 0.0))
    if not sharp > 0:
        return
    steps = (1 - min(momentum, 0.999)) / (lr * sharp)
    if steps > STEEPEST:
        yield _told(lr, steps, STEEPEST, "(1 - momentum) / (lr times sharpness)",
                    f"lr={0.2 / sharp:.1g}, a tenth of the largest stable")  # fmt: skip


def _told(lr: float, steps: float, limit: float, formula: str, remedy: str) -> Finding:
    return Finding(
        rule="small-step", severity="warning",
        says=f"the step size {lr:.3g} is very small: "
             + (f"{steps:.2g} steps for what should take some hundred" if lr else "nothing moves"),
        value=steps, threshold=limit, formula=formula, unit="steps",
        why="Plain descent shrinks the error along a direction of curvature c by 1 - lr c a step, "
            "and an adaptive rule moves each weight by lr. With this step size even the fastest "
            "direction takes longer than most trainings.",
        remedy=remedy, study="edge-of-stability",
    )  # fmt: skip


SMALL_STEP = Rule(
    "small-step",
    "edge-of-stability",
    "a step size so small that nothing is learnt in reasonable time",
    ("sharpness", "parameter_rms"),
    judge,
    explains=("slow-descent",),
)

"""Parameters that the optimizer has and never moves."""

from __future__ import annotations

import math
from collections.abc import Iterator
from statistics import median

from chymist.doctor import trends
from chymist.doctor.chart import Chart
from chymist.doctor.finding import Finding
from chymist.doctor.layers import adaptive, at_start, step_sizes
from chymist.doctor.rule import Rule

READINGS = 3
STEPS = 50
"""Steps of zero after which a schedule is no warm-up that begins at zero."""


def judge(chart: Chart) -> Iterator[Finding]:
    """Find parameters whose every measured update was exactly zero, or is lost in rounding."""
    rates = dict(chart.series("lr"))
    if len(rates) >= READINGS and max(rates) >= STEPS and not any(rates.values()):
        yield _stopped(len(rates), max(rates))
        return
    yield from _rounded(chart)
    moving = [r for r in chart.readings.get("update_ratio", []) if rates.get(r.step, 1.0) > 0]
    if len(moving) < READINGS:
        return
    names = [n for n in moving[-1].values if n]
    if not names:
        return
    still = [n for n in names if all(r.values.get(n, 0.0) == 0 for r in moving)]
    still = [n for n in still if not _given_up(chart, n) and not _unfelt(n, names, still)]
    if not still:
        return
    every = len(still) == len(names)
    told = ", ".join(still[:4]) + (f" and {len(still) - 4} more" if len(still) > 4 else "")
    yield Finding(
        rule="unmoved", severity="critical" if every else "warning", layer=still[0],
        says=f"{'no parameter moves' if every else f'parameters do not move: {told}'}: their "
             f"updates were exactly zero at all of {len(moving)} steps that were measured",
        value=float(len(still)), threshold=0.0, formula="parameters with |w' - w| = 0 throughout",
        unit="parameters",
        why="A parameter that needs a gradient and is in the optimizer moves at every step, unless "
            "its gradient is exactly zero or missing: what it feeds is detached, multiplied by "
            "zero, or behind units that are all dead.",
        remedy=f"look whether {still[0]} enters the loss: it must not pass through detach(), "
               "no_grad() or dead units; a module that is not meant to train needs "
               "requires_grad_(False)",
        study="transformer-initialisation", step=trends.steps(chart),
    )  # fmt: skip


def _stopped(readings: int, step: int) -> Finding:
    return Finding(
        rule="unmoved", severity="critical",
        says=f"nothing moves: the step size was zero at all of {readings} steps that were looked "
             f"at, up to step {step}",
        value=0.0, threshold=0.0, formula="largest step size of all steps",
        why="An update is the step size times a direction. A schedule that multiplies the step "
            "size by zero, by a warm-up in whole numbers (step // warmup) or one that is never "
            "stepped, leaves every weight where it was born.",
        remedy="print(scheduler.get_last_lr()) along the training; call scheduler.step() after "
               "every optimizer.step(), and divide steps by the warm-up's length with /",
        study="transformer-initialisation", step=step,
    )  # fmt: skip


def _rounded(chart: Chart) -> Iterator[Finding]:
    """Find updates below half the distance between two numbers of the weights' precision."""
    made, lr = chart.facts.get("optimizer", {}), max(step_sizes(chart))
    eps, sizes = float(made.get("precision", 0.0)), at_start(chart, "parameter_rms")
    slopes = at_start(chart, "gradient_rms")
    if sizes is None or slopes is None or not lr > 0:
        return
    # An adaptive rule moves every weight by its step size, plain descent by its gradient.
    along = 1 - min(float(made.get("momentum", 0.0)), 0.999)
    steps = [
        (lr if adaptive(chart) else lr * slopes.values[n] / along) / rms
        for n, rms in sizes.values.items() if rms > 0 and slopes.values.get(n, 0.0) > 0
    ]  # fmt: skip
    share, limit = median(steps) if steps else math.inf, eps / 2
    if share >= limit:
        return
    yield Finding(
        rule="unmoved", severity="warning",
        says=f"steps are lost in rounding: they move the median parameter by {share:.2g} of its "
             f"size, and numbers of its precision lie {eps / 2:.2g} to {eps:.2g} apart",
        value=share, threshold=limit,
        formula="eps / 2: half the distance of the numbers about 1 in the weights' precision",
        why="A sum is rounded to the nearest number that the precision has. An update of less than "
            "half the distance to the next one leaves a weight exactly as it was, at every step "
            "again: large weights stop to learn, whatever the gradient.",
        remedy="keep the weights in float32 and compute in half precision: "
               "torch.autocast('cuda', dtype=torch.bfloat16)",
        study="transformer-initialisation",
    )  # fmt: skip


def _given_up(chart: Chart, name: str) -> bool:
    """Whether a finding of another kind says that the optimizer does not have the parameter."""
    return name in chart.facts.get("left_out", []) or any(
        name in r.values for r in chart.readings.get("untrained", [])
    )


def _unfelt(name: str, names: list[str], still: list[str]) -> bool:
    """Whether it is a bias whose own weight moves: then what follows does not feel a shift.

    So with the keys of a softmax, or in front of batch normalisation: the layer is not cut off.
    """
    layer, _, kind = name.rpartition(".")
    weight = f"{layer}.weight" if layer else "weight"
    return kind == "bias" and weight in names and weight not in still


UNMOVED = Rule(
    "unmoved",
    "transformer-initialisation",
    "trained parameters whose updates are exactly zero, or lost in rounding",
    ("update_ratio", "lr", "untrained", "parameter_rms", "gradient_rms"),
    judge,
    explains=("loss-course", "slow-descent"),
)

"""A step size that the curvature does not allow."""

from __future__ import annotations

import math
from collections.abc import Iterator
from statistics import median

from chymist.doctor import trends
from chymist.doctor.chart import Chart
from chymist.doctor.finding import Finding
from chymist.doctor.layers import adaptive, at_start, number, step_size, step_sizes
from chymist.doctor.rule import Rule

CATAPULT = 2.0
"""In units of the threshold: below, wide networks recover from a start beyond it (arXiv:2003.02218,
at lr = 4/sharpness); above, they diverge."""
PEAK, RUINOUS = 3.0, 10.0
"""How far the loss may rise in the first steps, over its start: a step r times the best along its
direction changes the loss by D (r^2 - 2 r), D at most the loss, so that 3 is r = 2.7 and more."""
SOME = 1.05
"""A rise that is more than what rounding does. With `LEFT` it spoke of none of 187 networks at
random that trained well (`benchmarks/doctor/false_alarms.py`)."""
LEFT = 0.5
"""Of the loss after the trial steps: networks that soon grow out of a threshold that they start
beyond, a catapult, have then learnt most of the batch."""
SIGNED = ("Adam", "AdamW", "NAdam", "RAdam", "Adamax", "RMSprop")
"""Rules whose first steps move every weight by the step size."""
EQUAL = 1e-3
"""Relative distance of the two largest norms of gradients at which they were clipped to one."""
ERASED = 1.0
"""An adaptive rule's step over the initialisation, in spectral norm: a step of `lr` along the signs
of a gradient of rank one has norm lr sqrt(m n), a random (m, n) matrix rms (sqrt(m) + sqrt(n))."""
FELT = 0.3
"""Its step over the size of a single weight, as must be too: wide layers pass the former at step
sizes with which they train, since the gradients of many samples are of a higher rank."""
BEYOND = 5.0
"""Preconditioned sharpness over its threshold after 20 steps, at which it should not be above 1."""


def judge(chart: Chart) -> Iterator[Finding]:
    """Find a sharpness before training beyond the threshold, or trial steps that lose."""
    if chart.facts.get("optimizer", {}).get("maximize"):
        return  # Steps that climb raise the loss, however short they are.
    sharp, limit = number(chart, "sharpness"), number(chart, "sharpness_threshold")
    start, peak, end = (number(chart, f"trial_{n}") for n in ("start", "peak", "end"))
    lr = step_size(chart)
    largest = max(step_sizes(chart))
    first = _erased(chart, largest) if adaptive(chart) else 0.0
    rise = peak / start if start > 0 else math.nan
    if math.isinf(end) and rise > PEAK:
        rise = math.inf  # It left the finite numbers, and not where the loss is not defined.
    # What is out of the network's reach is left by steps of any length.
    far = max(0.0, *(v for n in ("out_of_reach", "wave_out_of_reach")
                     if (v := number(chart, n)) == v), 0.0)  # fmt: skip
    # Where more than that is gone of a training's own loss, it was its own trial, and a longer one.
    course = trends.course(chart)
    learnt = course is not None and course.fallen - 2 * course.error > 1 - LEFT
    # Momentum swings about a minimum at any stable step, and no higher than it came from.
    above = "start" if _swings(chart) else "least"
    over = rise if above == "start" else number(chart, "trial_rise")
    overshoots = over > SOME and end > (far + LEFT * (1 - far)) * start and not learnt
    if sharp > limit:
        ratio = sharp / limit
        # Where the first steps are taken well, the network moves to a flatter place.
        lost = rise > RUINOUS or (math.isfinite(end) and end > start and rise > SOME)
        unknown = math.isnan(rise) and not learnt
        bad = lost if ratio < CATAPULT else lost or rise > PEAK or unknown
        yield Finding(
            rule="step-size", severity="critical" if bad else "warning" if overshoots else "note",
            says=f"the step size {lr:.3g} is {ratio:.2g} times the largest stable one: "
                 f"sharpness {sharp:.3g}, threshold {limit:.3g}" + _tried(start, peak, end),
            value=sharp, threshold=limit, formula="(2 + 2 momentum) / lr",
            unit="1/step size",
            why="Gradient descent on a quadratic grows without bound along every direction whose "
                "curvature exceeds 2/lr (with momentum (2 + 2 beta)/lr). Networks can recover from "
                "a start somewhat beyond, by moving to a flatter place; from twice the threshold "
                "on they mostly diverge.",
            remedy=f"lr={lr / ratio:.2g} or less, or raise the step size from there over a warm-up",
            study="edge-of-stability",
        )  # fmt: skip
        return
    beyond = number(chart, "trial_sharpness") / number(chart, "trial_threshold")
    if rise > PEAK or (math.isfinite(end) and end > start and rise > SOME):
        bad = rise > RUINOUS or end > start
        # Gradients that the loop clips are not clipped in the trial; a rule that adds up squares
        # takes its largest step first, and no second one like it.
        shrinks = chart.facts["optimizer"].get("rule") == "Adagrad" and end < LEFT * start
        other = (learnt and _clips(chart)) or shrinks
        yield Finding(
            rule="step-size", severity="note" if other else "critical" if bad else "warning",
            says=f"the step size {lr:.3g} is too large" + _tried(start, peak, end),
            value=rise, threshold=PEAK,
            formula="3 times the loss at the start: a step 2.7 times the best or longer",
            why="Twenty steps were taken on copies, on this batch alone, where the loss can only "
                "fall if steps are short enough. An adaptive rule's first steps change every "
                "weight by the step size, whatever the gradient, and are the first to overshoot.",
            remedy=_smaller(lr, 10 if bad else 3),
            study="edge-of-stability",
        )  # fmt: skip
    elif overshoots:
        yield Finding(
            rule="step-size", severity="warning",
            says=f"the step size {lr:.3g} is too large: in 20 trial steps on one batch the loss "
                 f"rose to {over:.3g} times its {above}, and {end / start:.0%} of it were left",
            value=over, threshold=SOME, formula="1.05 times the least loss before (with momentum: "
            "the loss at the start), and more than half of the loss left",
            why="On one batch steps below the threshold of stability only lower the loss, or with "
                "momentum swing below where they began; a rise "
                "says that they overshoot along some direction. Networks may move on to a flatter "
                "place, and have then learnt the batch; here they have not. Deep networks without "
                "a straight skip path (post-norm) are the first to go.",
            remedy=_smaller(lr, 3),
            study="edge-of-stability",
        )  # fmt: skip
    elif first > ERASED:
        yield Finding(
            rule="step-size", severity="warning",
            says=f"a step of {largest:.3g} is {first:.2g} times as large as the initialisation of "
                 "the median weight matrix, in spectral norm: one step replaces it",
            value=first, threshold=ERASED,
            formula="lr sqrt(m n) / (rms (sqrt(m) + sqrt(n))), (m, n) weights of that rms",
            why="An adaptive rule's first steps change every weight by the step size, whatever the "
                "gradient: all by as much, along the signs of one batch's gradient, a matrix of "
                "rank one or so. Where that is as large as the weights themselves the network "
                "starts from there, condensed, and not from its initialisation.",
            remedy=_smaller(largest, 10 * first) + "; or larger weights",
            study="edge-of-stability",
        )  # fmt: skip
    elif beyond > BEYOND:
        yield Finding(
            rule="step-size", severity="note",
            says=f"the step size {lr:.3g} is {beyond:.2g} times the largest stable one after 20 "
                 "trial steps, by the preconditioned sharpness",
            value=number(chart, "trial_sharpness"), threshold=number(chart, "trial_threshold"),
            formula="(2 + 2 beta1) / ((1 - beta1) lr), of P^-1 H", unit="1/step size",
            why="An adaptive rule is stable while the largest eigenvalue of its preconditioned "
                "Hessian is below this threshold. So early its averages still overstate it, mostly "
                "in deep networks, so this is no more than a hint: look again while training.",
            remedy=_smaller(lr, beyond),
            study="edge-of-stability",
        )  # fmt: skip


def _swings(chart: Chart) -> bool:
    """Return whether the optimizer remembers its steps: momentum, or a mean of gradients."""
    held = chart.facts.get("optimizer", {})
    return bool(held.get("momentum") or max(held.get("betas", [0.0])[:1]))


def _clips(chart: Chart) -> bool:
    """Return whether the loop clips gradients: the largest norms are then one number."""
    norms = sorted(v for _, v in chart.series("gradient_norm") if math.isfinite(v))
    return len(norms) > 2 and norms[-2] > (1 - EQUAL) * norms[-1]


def _erased(chart: Chart, lr: float) -> float:
    """Return a step's spectral norm over the initialisation's, of the median weight matrix.

    Zero if a single weight does not feel it, and for rules whose steps are not of one size.
    """
    sizes, held = at_start(chart, "parameter_rms"), chart.facts.get("layers", {})
    found = []
    for name, rms in (sizes.values if sizes is not None else {}).items():
        shape = held.get(name.rpartition(".")[0], {}).get("shape", [])
        if rms > 0 and len(shape) > 1 and name.endswith("weight"):
            m, n = math.sqrt(shape[0]), math.sqrt(math.prod(shape[1:]))
            found.append((lr / rms, lr / rms * m * n / (m + n)))
    known = chart.facts.get("optimizer", {}).get("rule") in SIGNED
    if not found or not known or median(share for share, _ in found) < FELT:
        return 0.0
    return median(norm for _, norm in found)


def _tried(start: float, peak: float, end: float) -> str:
    if math.isnan(start):
        return ""
    if math.isinf(end):
        return f"; in 20 trial steps on this batch the loss left {start:.3g} for infinity"
    return f"; in 20 trial steps on this batch the loss went {start:.3g}, {peak:.3g}, {end:.3g}"


def _smaller(lr: float, times: float) -> str:
    return f"lr={lr / times:.1g} or less, or raise the step size from there over a warm-up"


STEP_SIZE = Rule(
    "step-size",
    "edge-of-stability",
    "a step size beyond what the curvature, or the first steps, allow",
    ("sharpness", "sharpness_threshold", "trial_start", "trial_peak", "trial_end",
     "trial_sharpness", "trial_threshold", "trial_rise", "parameter_rms",
     "out_of_reach", "wave_out_of_reach", "loss", "gradient_norm", "lr"),
    judge,
    explains=("weight-decay", "divergence", "beyond-edge", "large-updates"),
)  # fmt: skip

"""Inputs and targets of a size that initialisations and step sizes are not made for."""

from __future__ import annotations

import math
from collections.abc import Iterator

from chymist.doctor.chart import Chart
from chymist.doctor.finding import Finding
from chymist.doctor.layers import at_start, number
from chymist.doctor.rule import Rule

LARGE, SMALL = 10.0, 0.03
"""Root mean squares of inputs: initialisations are for 1. Small ones are none where a sample, as
one word of many, is of length 1."""
UNEVEN, FAR = 100.0, 30.0
"""The largest feature over the median one; the median feature's mean in standard deviations."""
TARGETS = 10.0
"""Root mean square of targets, as of inputs: outputs start at 1 or below."""
DISTANCE = 0.05
"""Loss of zeros over the targets' size, of losses that are a distance: of squares it is the size,
of a quantile of 5 % still this. A likelihood of counts, whose outputs are logarithms, is far
below."""


def inputs(chart: Chart) -> Iterator[Finding]:
    """Find inputs that are far from unit size, uneven, or far from the origin."""
    sizes, far = at_start(chart, "input_rms"), number(chart, "input_offset")
    if sizes is None or _normed_first(chart):
        return
    whole, most = sizes.values[""], sizes.values["largest"]
    uneven = most / sizes.values["median"]
    if whole > LARGE:
        says, value, threshold = f"the inputs have root mean square {whole:.3g}", whole, LARGE
    elif most > LARGE and uneven > UNEVEN:
        says, value, threshold = (
            f"one input feature is {uneven:.3g} times as large as the median one", uneven, UNEVEN
        )  # fmt: skip
    elif far > FAR:
        says, value, threshold = f"the inputs' mean is {far:.3g} standard deviations", far, FAR
    elif whole < SMALL and whole * _length(chart) < 1:
        says, value, threshold = f"the inputs have root mean square {whole:.3g}", whole, SMALL
    else:
        return
    ratio = max(value / threshold, threshold / max(value, 1e-300))
    yield Finding(
        rule="input-scale", severity="critical" if ratio > LARGE else "warning",
        says=f"{says}: they are not scaled", value=value, threshold=threshold,
        formula=f"{threshold:g}; mean 0 and standard deviation 1 are expected",
        why="Initialisations keep a second moment of 1 at the input. The curvature by the first "
            "layer's weights is the second moment of the inputs: features of different size, or "
            "with a large mean, make it as uneven as their squares, so that the step that the "
            "largest allows teaches the smallest nothing; large inputs saturate units and start "
            "the loss far too high.",
        remedy="x = (x - x.mean(0)) / x.std(0), with mean and std of the training set; pictures "
               "/ 255",
        study="edge-of-stability",
    )  # fmt: skip


def targets(chart: Chart) -> Iterator[Finding]:
    """Find regression targets that are far larger than outputs start."""
    size, spread = number(chart, "target_rms"), number(chart, "target_std")
    out = number(chart, "output_rms")
    same = at_start(chart, "loss_of_mean") is not None or at_start(chart, "loss_of_rows")
    zeros = number(chart, "loss_of_zeros")
    limit = TARGETS * max(1.0, out)
    if not same or not size > limit or zeros < DISTANCE * size:
        return
    yield Finding(
        rule="target-scale", severity="critical" if size > LARGE * limit else "warning",
        says=f"the targets have root mean square {size:.3g} and standard deviation {spread:.3g}, "
             f"the outputs start at {out:.2g}: the targets are not scaled",
        value=size, threshold=limit, formula="10 max(1, root mean square of the outputs)",
        why="The network has to grow its outputs by that factor before it can fit anything. With "
            "an adaptive rule, whose steps are of one size, that takes as many times as long; "
            "with plain descent gradients are as many times too large, and clipping or a step "
            "size made for unit targets fails.",
        remedy="y = (y - y.mean(0)) / y.std(0), with mean and std of the training set; undo it on "
               "predictions",
        study="edge-of-stability",
    )  # fmt: skip


def _length(chart: Chart) -> float:
    """Return the root of how many numbers a sample has: its length where they are 1."""
    return math.sqrt(math.prod(chart.facts.get("data", {}).get("input", [1, 1])[1:]))


def _normed_first(chart: Chart) -> bool:
    signals = at_start(chart, "signal")
    first = next(iter(signals.values), "") if signals is not None else ""
    return "Norm" in str(chart.facts.get("layers", {}).get(first, {}).get("type", ""))


INPUT_SCALE = Rule(
    "input-scale",
    "edge-of-stability",
    "inputs that are far from mean 0 and standard deviation 1",
    ("input_rms", "input_offset"),
    inputs,
    explains=(
        "step-size", "loss-at-init", "saturated-units", "dead-units", "exploding-signal",
        "exploding-gradient", "rank-collapse", "vanishing-gradient", "target-scale",
        "high-frequency", "frozen-softmax", "divergence", "beyond-edge",
    ),
)  # fmt: skip
TARGET_SCALE = Rule(
    "target-scale",
    "edge-of-stability",
    "regression targets far larger than outputs",
    ("target_rms", "target_std", "output_rms", "loss_of_zeros"),
    targets,
    explains=("step-size", "loss-at-init", "small-step", "exploding-gradient", "divergence"),
)

"""A loss that starts far above that of an answer that knows nothing."""

from __future__ import annotations

import math
from collections.abc import Iterator

from chymist.doctor.chart import Chart
from chymist.doctor.finding import Finding
from chymist.doctor.layers import classes, number
from chymist.doctor.rule import Rule

WORSE = 1000.0
"""Squared errors over the targets' variance: outputs thirty times too large."""
LOGITS = (
    "Random logits of variance s^2 start the loss at ln C + s^2/2. At s = sqrt(2 ln C) that is "
    "twice chance, and the output's softmax is frozen on one class, as the random-energy model is. "
    "The first part of the training only undoes this."
)
OUTPUTS = (
    "Outputs start far larger than the targets' spread, so that the training first has to shrink "
    "them; its first steps are far larger than later ones."
)


def judge(chart: Chart) -> Iterator[Finding]:
    """Find a loss before training far above chance: ln C, or the targets' variance."""
    loss, zeros = number(chart, "loss"), number(chart, "loss_of_zeros")
    mean = number(chart, "loss_of_mean")
    binary = abs(zeros - math.log(2)) < 1e-3 * math.log(2) and not math.isnan(mean)
    if binary or classes(chart) > 1:
        # At logits of variance 2 ln C a sample's loss has that variance: two standard errors.
        chance, limit = zeros, 2 * zeros + 2 * math.sqrt(2 * zeros / _answers(chart))
        name = "ln 2" if binary else "ln C"
        formula = f"2 {name}, the expected loss at logits of variance 2 {name}, and two standard "
        formula += "errors"
        why = LOGITS
    elif mean > 0 and zeros < 10 * mean:
        chance, limit = mean, WORSE * mean
        formula = "1000 times the loss of the targets' mean"
        why = OUTPUTS
    else:
        return
    if not loss > limit:
        return
    yield Finding(
        rule="loss-at-init", severity="warning",
        says=f"the loss starts at {loss:.3g}, chance is {chance:.3g}",
        value=loss, threshold=limit, formula=formula, unit="of the loss", why=why,
        remedy="start the last layer small: nn.init.zeros_(head.weight) or a tenth of its default; "
               "check the scale of its inputs",
        study="transformer-initialisation",
    )  # fmt: skip


def _answers(chart: Chart) -> int:
    """Return how many answers the loss is a mean of."""
    shape = chart.facts.get("data", {}).get("target", [])
    return max(1, math.prod(int(n) for n in shape))


LOSS_AT_INIT = Rule(
    "loss-at-init",
    "transformer-initialisation",
    "a loss that starts far above chance",
    ("loss", "loss_of_zeros", "loss_of_mean", "outputs"),
    judge,
    explains=("step-size",),
)

"""Probabilities given to a loss that takes logits."""

from __future__ import annotations

import math
from collections.abc import Iterator

from chymist.doctor.chart import Chart
from chymist.doctor.finding import Finding
from chymist.doctor.layers import at_start, classes, number
from chymist.doctor.rule import Rule


def judge(chart: Chart) -> Iterator[Finding]:
    """Find a loss that cannot fall, as it takes the softmax of probabilities."""
    several, zeros = classes(chart), number(chart, "loss_of_zeros")
    ends = at_start(chart, "probabilities")
    kind = next(iter(ends.values), "") if ends is not None else ""
    if kind == "sigmoid" and abs(zeros - math.log(2)) < 1e-3 * math.log(2):
        # At logits of 1 for all that is right and 0 for all that is wrong, half of each.
        least, what = (math.log(1 + math.exp(-1)) + math.log(2)) / 2, "sigmoid"
    elif several > 1:
        least, what = math.log(1 + (several - 1) / math.e), "softmax"
        certain = number(chart, "loss_of_certain")
        if kind != "softmax" and not abs(certain - least) < 1e-3 * least:
            return
    else:
        return
    yield Finding(
        rule="softmax-twice", severity="critical",
        says=f"the loss takes the {what} of what is a {what} already: it cannot fall below "
             f"{least:.3g}",
        value=least, threshold=0.0,
        formula="ln(1 + (C - 1)/e), the loss of a certain and right answer"
                if what == "softmax" else "(ln(1 + 1/e) + ln 2)/2",
        unit="nat",
        why="Probabilities differ by 1 at most, so that a softmax of them is nearly uniform and "
            "its gradient small. The network is driven to saturate its own softmax, whose "
            "gradient then vanishes too.",
        remedy=f"leave out the {what}: the loss takes logits and does it itself",
        study="transformer-initialisation",
    )  # fmt: skip


SOFTMAX_TWICE = Rule(
    "softmax-twice",
    "transformer-initialisation",
    "a softmax or sigmoid before a loss that takes logits",
    ("probabilities", "loss_of_zeros", "loss_of_certain", "outputs"),
    judge,
    explains=("small-step", "vanishing-gradient"),
)

"""Attention whose softmax is frozen at birth: the forgotten division by sqrt(d)."""

from __future__ import annotations

import math
from collections.abc import Iterator

from chymist.doctor.chart import Chart
from chymist.doctor.finding import Finding
from chymist.doctor.layers import at_start
from chymist.doctor.rule import Rule

FEW = math.sqrt(2 * math.log(4))
"""Of fewer than four keys the law of many says little."""
ORDINARY = 1.2
"""Logits of normalised queries and keys have standard deviation 1."""
REMEDY = (
    "divide the logits by sqrt(d), d the width of a head: "
    "scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1]); or initialise the weights of the "
    "queries smaller by that factor, as T5 does"
)


def judge(chart: Chart) -> Iterator[Finding]:
    """Find softmaxes that are frozen before training, and those that nothing keeps from it."""
    spread, critical = at_start(chart, "attention_logit_std"), at_start(chart, "attention_critical")
    undivided = at_start(chart, "undivided")
    if spread is None or critical is None:
        return
    widths = undivided.values if undivided is not None else {}
    for layer, value in spread.values.items():
        threshold, width = critical.values[layer], widths.get(layer.partition("#")[0])
        if threshold < FEW:
            continue
        if value > threshold:
            yield _frozen(layer, value, threshold, width)
        elif width is not None and width > 1:
            yield _undivided(layer, value, threshold / 2, width)


def _frozen(layer: str, value: float, threshold: float, width: float | None) -> Finding:
    also = f"; nothing divides them by sqrt({width:.0f})" if width else ""
    return Finding(
        rule="frozen-softmax", severity="critical", layer=layer,
        says=f"the softmax of {layer} is frozen before training: its logits have standard "
             f"deviation {value:.2g}, above sqrt(2 ln T) = {threshold:.2g}{also}",
        value=value, threshold=threshold, formula="sqrt(2 ln T), T keys",
        why="Random logits with a standard deviation above sqrt(2 ln T) put nearly all weight on "
            "one of T keys, as the random-energy model does below its critical temperature. The "
            "softmax's Jacobian is then nearly zero: no gradient reaches the queries and keys, and "
            "the layer keeps attending to what it was born with.",
        remedy=REMEDY, study="transformer-initialisation",
    )  # fmt: skip


def _undivided(layer: str, value: float, threshold: float, width: float) -> Finding:
    near = value > max(threshold, ORDINARY)
    return Finding(
        rule="frozen-softmax", severity="warning" if near else "note", layer=layer,
        says=f"nothing divides the logits of {layer} by sqrt({width:.0f}): their standard "
             f"deviation is {value:.2g}, the softmax freezes at {2 * threshold:.2g}",
        value=value, threshold=threshold, formula="sqrt(2 ln T) / 2, T keys, undivided",
        why="Logits are products of queries and keys: when both have grown by sqrt(2), which they "
            "soon do, their standard deviation has doubled, and beyond sqrt(2 ln T) the softmax "
            "puts nearly all weight on one key and passes no gradient. An initialisation that "
            "makes up for the division, as T5's does, starts far below.",
        remedy=REMEDY, study="transformer-initialisation",
    )  # fmt: skip


FROZEN_SOFTMAX = Rule(
    "frozen-softmax",
    "transformer-initialisation",
    "attention logits that spread beyond sqrt(2 ln T), or that nothing divides by sqrt(d)",
    ("attention_logit_std", "attention_critical", "undivided"),
    judge,
    explains=("vanishing-gradient", "rank-collapse", "small-step"),
)

"""Attention whose softmax is frozen at birth: the forgotten division by sqrt(d)."""

from __future__ import annotations

from collections.abc import Iterator

from chymist.doctor.chart import Chart
from chymist.doctor.finding import Finding
from chymist.doctor.rule import Rule


def judge(chart: Chart) -> Iterator[Finding]:
    """Find softmaxes whose logits spread beyond sqrt(2 ln T) before training."""
    spread, critical = chart.first("attention_logit_std"), chart.first("attention_critical")
    if spread is None or critical is None or spread.step > 0:
        return
    for layer, value in spread.values.items():
        threshold = critical.values[layer]
        if value <= threshold:
            continue
        yield Finding(
            rule="frozen-softmax", severity="critical", layer=layer,
            says=f"the softmax of {layer} is frozen before training: its logits have standard "
                 f"deviation {value:.2g}, above sqrt(2 ln T) = {threshold:.2g}",
            value=value, threshold=threshold, formula="sqrt(2 ln T), T keys",
            why="Random logits with a standard deviation above sqrt(2 ln T) put nearly all weight "
                "on one of T keys, as the random-energy model does below its critical "
                "temperature. The softmax's Jacobian is then nearly zero: no gradient reaches the "
                "queries and keys, and the layer keeps attending to what it was born with.",
            remedy="divide the logits by sqrt(d), d the width of a head: "
                   "scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1]); or initialise the "
                   "weights of the queries smaller by that factor, as T5 does",
            study="transformer-initialisation", step=spread.step,
        )  # fmt: skip


FROZEN_SOFTMAX = Rule(
    "frozen-softmax",
    "transformer-initialisation",
    "attention logits at initialisation that spread beyond sqrt(2 ln T)",
    ("attention_logit_std", "attention_critical"),
    judge,
)

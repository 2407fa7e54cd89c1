"""Samples, or tokens, that the last layers can no longer tell apart."""

from __future__ import annotations

import math
from collections.abc import Iterator

from chymist.doctor.chart import Chart
from chymist.doctor.finding import Finding
from chymist.doctor.layers import at_start, weighted
from chymist.doctor.rule import Rule

SPREAD = math.exp(-12)
"""Share of the second moment. Differences between inputs shrink by exp(-l/xi) over l layers, and
networks train up to a depth of some 6 xi (arXiv:1611.01232); this is twice that."""
ROUNDING = 1e-12
COSINE = 0.99


def judge(chart: Chart) -> Iterator[Finding]:
    """Find samples that differ at the input and no longer before the last layer; then tokens."""
    layers = weighted(chart, "signal_spread")
    names = list(layers)
    if len(names) > 2 and layers[names[0]] > 0.01:
        layer = names[-2]
        value = layers[layer] / layers[names[0]]
        if 0 < value < SPREAD:
            yield _told(
                layer, value, SPREAD, value < ROUNDING,
                "exp(-12) of the second moment: twelve depth scales, where six can be trained",
                f"samples are nearly equal at {layer}: what differs between them is {value:.2g} of "
                "the second moment",
            )  # fmt: skip
    tokens, logits = at_start(chart, "token_cosine"), at_start(chart, "attention_logit_std")
    if tokens is None or logits is None:
        return
    rows = list(tokens.values)
    last = next((n for n in reversed(rows) if n != "(network)"), "")
    first, end = tokens.values[rows[0]], tokens.values.get(last, 0.0)
    if end > COSINE and first < 0.9:
        yield _told(
            last, end, COSINE, False, "0.99, mean cosine between the tokens of a sample",
            f"tokens are nearly equal at {last}: their mean cosine is {end:.4g}",
        )  # fmt: skip


def _told(
    layer: str, value: float, threshold: float, lost: bool, formula: str, says: str
) -> Finding:
    return Finding(
        rule="rank-collapse", severity="critical" if lost else "warning", layer=layer, says=says,
        value=value, threshold=threshold, formula=formula,
        why="Layers in the ordered phase, and attention without a strong skip path, bring inputs "
            "closer together at each layer, exponentially in depth. The kernel of the last layers "
            "is then almost of rank one: the mean is learnt, and what differs between inputs "
            "takes as many times longer as it is smaller.",
        remedy="keep the variance (nn.init.kaiming_normal_), add skip paths, normalise before the "
               "branches rather than after",
        study="transformer-initialisation",
    )  # fmt: skip


RANK_COLLAPSE = Rule(
    "rank-collapse",
    "transformer-initialisation",
    "samples or tokens that become equal through the layers",
    ("signal_spread", "token_cosine", "attention_logit_std", "weight_gain"),
    judge,
    explains=("small-step",),
)

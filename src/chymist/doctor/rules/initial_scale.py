"""Weights that start far too small or far too large."""

from __future__ import annotations

import math
from collections.abc import Iterator

from chymist.doctor.chart import Chart
from chymist.doctor.finding import Finding
from chymist.doctor.layers import adaptive, at_start, gains, most_above, most_below, weighted
from chymist.doctor.rule import Rule

TINY = 1e-3
"""Gain, fan-in times mean square weight: 1/3 by PyTorch's default, 0.006 at a standard deviation of
0.02 and 16 inputs."""
SMALL, REACH = 0.03, 0.1
HUGE = 10.0
"""Gain: 2 by He's rule, 25/9 for tanh by PyTorch's."""
WIDE = 16


def small(chart: Chart) -> Iterator[Finding]:
    """Find weights so small that the network must grow before it can say anything."""
    found = gains(chart)
    gain, reach = most_below(found), _reach(chart, found)
    tiny = gain < TINY
    cut_off = not chart.facts.get("normed", True) and gain < SMALL and reach < REACH
    # Activations that multiply, as sines of 30 times their input, make up for small weights.
    cut_off = cut_off and not _kept(chart, len(found))
    if not (tiny or cut_off):
        return
    layer = min(found, key=lambda n: found[n])
    value, threshold = (gain, TINY) if tiny else (reach, REACH)
    yield Finding(
        rule="small-init",
        severity="critical" if tiny or not adaptive(chart) else "warning", layer=layer,
        says=f"weights start far too small: fan-in times mean square weight is {gain:.2g} in the "
             f"middle of the layers ({found[layer]:.2g} in {layer}), where 1/3 to 2 keep signals",
        value=value, threshold=threshold,
        formula="1e-3, fan-in times mean square weight" if tiny
                else "0.1: product over layers of the weights' Frobenius norms, the most that the "
                     "network can say without growing",
        why="At such a start every layer shrinks signals, and gradients with them: the training "
            "begins at a saddle, where the loss stands still until the weights have grown. They "
            "grow along few directions, so neurons condense, and the network that trains is far "
            "narrower than the one that was built.",
        remedy="nn.init.kaiming_normal_(weight, nonlinearity='relu') or "
               "nn.init.xavier_normal_(weight), or leave PyTorch's default",
        study="condensation",
    )  # fmt: skip


def large(chart: Chart) -> Iterator[Finding]:
    """Find weights so large that signals grow by a factor a layer."""
    found = gains(chart, WIDE)
    gain = most_above(found)
    if not gain > HUGE:
        return
    layer = max(found, key=lambda n: found[n])
    yield Finding(
        rule="large-init", severity="note" if chart.facts.get("normed", True) else "warning",
        layer=layer,
        says=f"weights start far too large: fan-in times mean square weight is {gain:.3g} in the "
             f"middle of the layers ({found[layer]:.3g} in {layer}), where 1/3 to 2 keep signals",
        value=gain, threshold=HUGE, formula="10, fan-in times mean square weight; 2 by He's rule",
        why="Each layer multiplies signals by the root of this number: outputs start large, "
            "saturating what can saturate, and the training first has to undo them. The larger "
            "the scale at the start, the lazier the training: weights hardly turn, and the "
            "network stays with the features that it was born with.",
        remedy="nn.init.kaiming_normal_(weight, nonlinearity='relu') or "
               "nn.init.xavier_normal_(weight), or leave PyTorch's default",
        study="ntk-regime",
    )  # fmt: skip


def _kept(chart: Chart, layers: int) -> bool:
    """Return whether gradients come back through the layers, as weights this small let none."""
    back = list(weighted(chart, "signal_backward_norm").values())
    return layers > 2 and len(back) > 2 and back[-1] > 0 and back[0] > SMALL * back[-1]


def _reach(chart: Chart, found: dict[str, float]) -> float:
    """Return the product of Frobenius norms, sqrt(fan-out times gain); of convolutions by taps."""
    layers = chart.facts.get("layers", {})
    if not found or at_start(chart, "weight_gain") is None:
        return math.nan
    return math.prod(math.sqrt(g * layers[n]["shape"][0]) for n, g in found.items())


SMALL_INIT = Rule(
    "small-init",
    "condensation",
    "weights that start far too small",
    ("weight_gain", "signal_backward_norm"),
    small,
    explains=(
        "vanishing-gradient", "rank-collapse", "small-step", "no-gradient", "high-frequency",
        "step-size", "slow-descent",
    ),
)  # fmt: skip
LARGE_INIT = Rule(
    "large-init",
    "ntk-regime",
    "weights that start far too large",
    ("weight_gain",),
    large,
    explains=(
        "exploding-signal", "exploding-gradient", "loss-at-init", "saturated-units", "step-size",
        "residual-growth", "frozen-softmax",
    ),
)  # fmt: skip

"""Units that are dead or saturated before training."""

from __future__ import annotations

import math
from collections.abc import Iterator

from chymist.doctor.chart import Chart
from chymist.doctor.finding import Finding
from chymist.doctor.layers import at_start
from chymist.doctor.rule import Rule

FEW = 4
"""Units below which a share says nothing."""
ALMOST_ALL = 0.9
HALF = 0.5


def dead(chart: Chart) -> Iterator[Finding]:
    """Find ReLU layers with more dead units than random weights can have."""
    shares, units = at_start(chart, "dead_units"), at_start(chart, "units")
    if shares is None or units is None:
        return
    limit = {n: _limit(units.values[n]) for n in shares.values if units.values[n] >= FEW}
    over = {n: v for n, v in shares.values.items() if n in limit and v > limit[n]}
    if not over:
        return
    layer = max(over, key=lambda n: over[n])
    yield Finding(
        rule="dead-units", severity="critical" if over[layer] >= ALMOST_ALL else "warning",
        layer=layer,
        says=f"{over[layer]:.0%} of the ReLU units of {layer or 'the model'} are zero for every "
             f"sample" + (f"; so in {len(over)} layers" if len(over) > 1 else ""),
        value=over[layer], threshold=limit[layer], formula="1/2 + 2/sqrt(units), at most 0.99",
        why="Weights that are as likely positive as negative leave a unit dead with probability "
            "one half at most, however alike the samples are, with standard deviation "
            "1/(2 sqrt(units)). More are dead only if biases or inputs push them below zero. A "
            "dead unit passes no gradient, and none of its own weights ever moves.",
        remedy="initialise biases at zero, centre the inputs; or use LeakyReLU or GELU",
        study="transformer-initialisation",
    )  # fmt: skip


def saturated(chart: Chart) -> Iterator[Finding]:
    """Find tanh and sigmoid layers that are mostly at the ends of their range."""
    shares, units = at_start(chart, "saturated_values"), at_start(chart, "units")
    if shares is None or units is None:
        return
    over = {n: v for n, v in shares.values.items() if v > HALF and units.values[n] >= FEW}
    if not over:
        return
    layer = max(over, key=lambda n: over[n])
    yield Finding(
        rule="saturated-units", severity="critical" if over[layer] >= ALMOST_ALL else "warning",
        layer=layer,
        says=f"{over[layer]:.0%} of the values of {layer or 'the model'} are within 1 % of the "
             "ends of its range" + (f"; so in {len(over)} layers" if len(over) > 1 else ""),
        value=over[layer], threshold=HALF,
        formula="1/2: pre-activations of standard deviation 3.4 (tanh), where 1 is expected",
        why="At 1 % from its ends a tanh or sigmoid has a slope of 4 % of its largest. Where most "
            "values are there, hardly any gradient passes the layer.",
        remedy="scale the inputs to mean 0 and standard deviation 1; initialise by "
               "nn.init.xavier_normal_",
        study="transformer-initialisation",
    )  # fmt: skip


def _limit(units: float) -> float:
    return min(0.5 + 2 / math.sqrt(units), 0.99)


DEAD_UNITS = Rule(
    "dead-units",
    "transformer-initialisation",
    "ReLU units that are zero for every sample before training",
    ("dead_units", "units"),
    dead,
    explains=("no-gradient", "vanishing-gradient", "rank-collapse", "small-step", "unmoved"),
)
SATURATED_UNITS = Rule(
    "saturated-units",
    "transformer-initialisation",
    "tanh or sigmoid layers at the ends of their range before training",
    ("saturated_values", "units"),
    saturated,
    explains=("vanishing-gradient", "exploding-gradient", "rank-collapse"),
)

"""Reading a chart by its layers of weights, in the order in which they compute."""

from __future__ import annotations

import math
from statistics import median_high, median_low

from chymist.doctor.chart import Chart, Reading

PLAIN = ("SGD", "ASGD", "Rprop", "LBFGS")
"""Rules whose steps are as long as gradients are, or no longer than they say."""


def at_start(chart: Chart, name: str) -> Reading | None:
    """Return a quantity's reading before the first step."""
    found = chart.first(name)
    return found if found is not None and found.step == 0 else None


def number(chart: Chart, name: str, layer: str = "") -> float:
    """Return a number measured before the first step; NaN if it was not."""
    found = at_start(chart, name)
    return math.nan if found is None else found.values.get(layer, math.nan)


def weighted(chart: Chart, name: str) -> dict[str, float]:
    """Return a quantity before the first step of the layers with trained weights, in order."""
    found, gains = at_start(chart, name), at_start(chart, "weight_gain")
    if found is None or gains is None:
        return {}
    return {n: v for n, v in found.values.items() if n in gains.values}


def weight_of(layer: str) -> str:
    """Return the name of a layer's weight; that of a fused layer is the layer's own.

    >>> weight_of("0"), weight_of("gru.weight_hh_l0")
    ('0.weight', 'gru.weight_hh_l0')
    """
    return layer if "weight" in layer.rpartition(".")[2] else f"{layer}.weight"


def gains(chart: Chart, least: int = 1) -> dict[str, float]:
    """Return the gains of layers of at least so many inputs, those with weights of zero aside."""
    found = at_start(chart, "weight_gain")
    layers = chart.facts.get("layers", {})
    return {} if found is None else {
        n: g for n, g in found.values.items()
        if g > 0 and math.prod(layers.get(n, {}).get("shape", [0, 0])[1:]) >= least
    }  # fmt: skip


def most_above(values: dict[str, float]) -> float:
    """Return the number that more than half of the values are at or above; NaN of nothing."""
    return median_low(values.values()) if values else math.nan


def most_below(values: dict[str, float]) -> float:
    """Return the number that more than half of the values are at or below; NaN of nothing."""
    return median_high(values.values()) if values else math.nan


def classes(chart: Chart) -> float:
    """Return of how many classes the loss is a cross-entropy: that of zeros is ln C; else NaN."""
    zeros = number(chart, "loss_of_zeros")
    for place in ("", "last"):
        several = number(chart, "outputs", place)
        if several > 1 and abs(zeros - math.log(several)) < 1e-3 * math.log(several):
            return several
    return math.nan


def blind(chart: Chart) -> tuple[float, str]:
    """Return the loss of the best answer that does not look at the inputs, and its name.

    NaN where it is not known; of classes that of a uniform answer, which is no lower.
    """
    several, zeros = classes(chart), number(chart, "loss_of_zeros")
    mean = number(chart, "loss_of_mean")
    if abs(zeros - math.log(2)) < 1e-3 * math.log(2) and not math.isnan(mean):
        return zeros, "ln 2"
    return (zeros, f"ln {several:.0f}") if several > 1 else (mean, "that of the targets' mean")


def adaptive(chart: Chart) -> bool:
    """Return whether the optimizer divides by the size of gradients, so that theirs is lost."""
    rule = chart.facts.get("optimizer", {}).get("rule")
    return rule is not None and rule not in PLAIN


def step_size(chart: Chart) -> float:
    """Return the optimizer's step size; NaN without one."""
    return float(chart.facts.get("optimizer", {}).get("lr", math.nan))


def step_sizes(chart: Chart) -> list[float]:
    """Return the step sizes that a watched training was seen to take, or the optimizer's alone."""
    return [v for _, v in chart.series("lr") if v >= 0] or [step_size(chart)]


def calls(name: str) -> str:
    """Return the layer that was called: one that is called again has `#2` after its name.

    >>> calls("rnn.inner#12")
    'rnn.inner'
    """
    return name.partition("#")[0]

"""Neurons that are born equal and can never differ."""

from __future__ import annotations

from collections.abc import Iterator

from chymist.doctor.chart import Chart
from chymist.doctor.finding import Finding
from chymist.doctor.layers import at_start, number, weight_of, weighted
from chymist.doctor.rule import Rule

SOME, MOST = 0.25, 0.9
"""Shares of a layer's neurons: random ones have none that are equal, not one in 300 networks of
`benchmarks/doctor/false_alarms.py`."""


def judge(chart: Chart) -> Iterator[Finding]:
    """Find layers whose neurons have equal weights and equal gradients."""
    found, last = at_start(chart, "twin_units"), _outputs(chart)
    # Outputs have a target each, and are no neurons that could be exchanged: those of classes that
    # a batch lacks are alike in a last layer that starts at zero, until a batch has them.
    values = dict(found.values) if found is not None else {}
    twins = {n: v for n, v in values.items() if v > SOME and n != last}
    if not twins:
        return
    layer = max(twins, key=lambda n: twins[n])
    yield Finding(
        rule="symmetric-neurons", severity="critical" if twins[layer] >= MOST else "warning",
        layer=layer,
        says=f"{twins[layer]:.0%} of the neurons of {layer} are equal to another, and get the same "
             "gradient" + (f"; so in {len(twins)} layers" if len(twins) > 1 else ""),
        value=twins[layer], threshold=SOME,
        formula="share of neurons with the weights and the gradient of another, 0 at random",
        why="Every common update rule treats equal weights with equal gradients alike, so these "
            "neurons stay equal for ever: the layer has as many neurons as it has different ones, "
            "which is what condensation ends in, at its start.",
        remedy=f"initialise {weight_of(layer)} at random: "
               f"nn.init.kaiming_normal_({weight_of(layer)})",
        study="condensation",
    )  # fmt: skip


def _outputs(chart: Chart) -> str:
    """Return the last layer of weights, if it has as many neurons as the model has outputs."""
    name = next(reversed(weighted(chart, "signal")), "")
    held = chart.facts.get("layers", {}).get(name, {}).get("shape", [0])[0]
    return name if held in (number(chart, "outputs"), number(chart, "outputs", "last")) else ""


SYMMETRIC_NEURONS = Rule(
    "symmetric-neurons",
    "condensation",
    "neurons with equal weights and equal gradients, which training cannot part",
    ("twin_units", "signal", "outputs"),
    judge,
    explains=(
        "no-gradient", "small-init", "vanishing-gradient", "dead-units", "rank-collapse",
        "small-step", "unmoved",
    ),
)  # fmt: skip

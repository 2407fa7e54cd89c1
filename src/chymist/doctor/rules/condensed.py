"""Neurons that have come to point in few directions."""

from __future__ import annotations

from collections.abc import Iterator

from chymist.doctor import trends
from chymist.doctor.chart import Chart
from chymist.doctor.finding import Finding
from chymist.doctor.rule import Rule

FEW = 0.3
"""Share of the directions at the start below which a layer has condensed."""


def judge(chart: Chart) -> Iterator[Finding]:
    """Find layers whose neurons point in far fewer directions than at the start."""
    now, start = chart.last("directions"), chart.last("directions_start")
    if now is None or start is None or trends.steps(chart) < 30:
        return
    for layer, value in now.values.items():
        before = start.values.get(layer, float("nan"))
        if not value < FEW * before:
            continue
        yield Finding(
            rule="condensed", severity="note", layer=layer,
            says=f"the neurons of {layer} have condensed: they point in {value:.2g} directions, "
                 f"{before:.2g} at the start",
            value=value, threshold=FEW * before, formula="0.3 of the effective number at the start",
            unit="directions",
            why="From a small initialisation neurons turn towards a few directions before they "
                "grow: the layer is then as narrow as their number. That is how networks find "
                "simple solutions; it also holds a training on plateaus.",
            remedy="nothing, if the loss falls; else a larger initialisation, or fewer neurons",
            study="condensation", step=now.step,
        )  # fmt: skip


CONDENSED = Rule(
    "condensed",
    "condensation",
    "layers whose neurons point in far fewer directions than at the start",
    ("directions", "directions_start"),
    judge,
)

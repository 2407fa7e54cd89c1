"""Units that die during training."""

from __future__ import annotations

from collections.abc import Iterator

from chymist.doctor.chart import Chart
from chymist.doctor.finding import Finding
from chymist.doctor.rule import Rule

MOST = 0.8
GROWN = 0.3
SAMPLES = 64
"""Samples below which a unit that is seldom on looks dead."""


def judge(chart: Chart) -> Iterator[Finding]:
    """Find layers of which most units have died since the start."""
    first, last = chart.first("dead_units"), chart.last("dead_units")
    samples = int(chart.facts.get("data", {}).get("samples", 0))
    if first is None or last is None or last.step == first.step or samples < SAMPLES:
        return
    for layer, value in last.values.items():
        before = first.values.get(layer, 0.0)
        if value < MOST or value - before < GROWN:
            continue
        yield Finding(
            rule="dying-units", severity="warning", layer=layer,
            says=f"{value:.0%} of the units of {layer} are dead, {before:.0%} at the start: they "
                 f"are zero at all of {samples} samples",
            value=value, threshold=MOST, formula="share of units that are zero at every sample",
            why="A ReLU unit that is zero at every sample passes no gradient, and stays so. Units "
                "die in steps that throw their bias far below zero: a step size too large, or a "
                "bias that only ever falls.",
            remedy="a smaller step size or a warm-up from a new start; nn.LeakyReLU or nn.GELU; "
                   "gradients clipped",
            study="transformer-initialisation", step=last.step,
        )  # fmt: skip


DYING_UNITS = Rule(
    "dying-units",
    "transformer-initialisation",
    "layers of which most units have died since the start",
    ("dead_units",),
    judge,
    explains=("lost-rank", "loss-course", "unmoved"),
    symptom=True,
)

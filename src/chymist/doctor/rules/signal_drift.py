"""Signals that have grown far beyond their size at the start."""

from __future__ import annotations

from collections.abc import Iterator

from chymist.doctor.chart import Chart
from chymist.doctor.finding import Finding
from chymist.doctor.rule import Rule

GROWN = 1e6
"""Factor of a mean square, 1000 in size: half precision has 16 bits, and ends at 65504."""


def judge(chart: Chart) -> Iterator[Finding]:
    """Find the first layer whose signal's mean square has grown by a million since the start."""
    first, last = chart.first("signal"), chart.last("signal")
    if first is None or last is None or first.step > 0 or last.step == 0:
        return
    for layer, value in last.values.items():
        before = first.values.get(layer, 0.0)
        if before <= 1e-12 or value <= max(GROWN * before, GROWN):
            continue
        yield Finding(
            rule="signal-drift", severity="warning", layer=layer,
            says=f"the signal of {layer} has grown to a mean square of {value:.2g}, from "
                 f"{before:.2g} at the start",
            value=value / before, threshold=GROWN, formula="mean square now / at the start",
            why="A signal that grows by orders of magnitude leaves the range in which its layers "
                "were initialised: softmaxes freeze, and half precision overflows at 65504.",
            remedy="normalise the stream (LayerNorm, RMSNorm), add weight decay, or take a smaller "
                   "step size",
            study="transformer-initialisation", step=last.step,
        )  # fmt: skip
        return


SIGNAL_DRIFT = Rule(
    "signal-drift",
    "transformer-initialisation",
    "signals that have grown by orders of magnitude since the start",
    ("signal",),
    judge,
    symptom=True,
)

"""Batch normalisation by the statistics of too few numbers."""

from __future__ import annotations

from collections.abc import Iterator

from chymist.doctor.chart import Chart
from chymist.doctor.finding import Finding
from chymist.doctor.rule import Rule

FEWEST = 4


def judge(chart: Chart) -> Iterator[Finding]:
    """Find batch norms in training mode on a batch of one or a few samples."""
    layers = chart.facts.get("batch_norm", [])
    samples = int(chart.facts.get("data", {}).get("samples", 0))
    if not layers or not 0 < samples < FEWEST:
        return
    yield Finding(
        rule="batch-norm", severity="critical" if samples == 1 else "warning", layer=layers[0],
        says=f"batch norm takes mean and variance from {samples} "
             f"sample{'s' if samples > 1 else ''}",
        value=float(samples), threshold=float(FEWEST), formula="4 samples a batch",
        why="A variance from n samples has a relative standard deviation of sqrt(2/(n - 1)); of "
            "one sample it is zero, and what is normalised by it is zero or an error. Samples are "
            "told apart in training by their neighbours in the batch, and not at all in "
            "evaluation.",
        remedy="use larger batches, or nn.GroupNorm or nn.LayerNorm",
        study="transformer-initialisation",
    )  # fmt: skip


BATCH_NORM = Rule(
    "batch-norm",
    "transformer-initialisation",
    "batch normalisation on a batch of one or a few samples",
    (),
    judge,
)

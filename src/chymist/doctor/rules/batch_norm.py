"""Batch normalisation by the statistics of too few samples, or of none."""

from __future__ import annotations

from collections.abc import Iterator

from chymist.doctor.chart import Chart
from chymist.doctor.finding import Finding
from chymist.doctor.rule import Rule

FEWEST = 4


def judge(chart: Chart) -> Iterator[Finding]:
    """Find batch norms on a batch of one or a few samples, and such as go by none."""
    blind = chart.facts.get("batch_norm_blind", [])
    if blind:
        yield Finding(
            rule="batch-norm", severity="warning", layer=blind[0],
            says=f"{len(blind)} batch norms, {blind[0]} first, are in evaluation mode, with "
                 "statistics to which no batch has contributed: they normalise nothing",
            value=0.0, threshold=1.0, formula="batches in the running statistics", unit="batches",
            why="In evaluation mode batch norm divides by running statistics, which start at mean "
                "0 and variance 1 and are learnt in training mode alone. Until then the layer is "
                "the identity, and the network one without normalisation, whose signals and "
                "stable step sizes are others.",
            remedy="call model.train() before the training loop, and again after each evaluation",
            study="transformer-initialisation",
        )  # fmt: skip
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
    "batch normalisation on a batch of a few samples, or by statistics of none",
    (),
    judge,
    explains=(
        "exploding-signal", "exploding-gradient", "residual-growth", "loss-at-init", "step-size",
        "beyond-edge", "divergence", "loss-course",
    ),
)  # fmt: skip

"""Outputs and targets whose shapes differ, so that the loss compares all pairs."""

from __future__ import annotations

from collections.abc import Iterator

from chymist.doctor.chart import Chart
from chymist.doctor.finding import Finding
from chymist.doctor.layers import number
from chymist.doctor.rule import Rule

ROUNDING = 1e-3
"""Relative difference of two ways to the same loss that is more than rounding."""


def judge(chart: Chart) -> Iterator[Finding]:
    """Find a loss that changes when outputs get the targets' shape."""
    pairs, rows = number(chart, "loss_of_pairs"), number(chart, "loss_of_rows")
    if not abs(pairs - rows) > ROUNDING * abs(rows):
        return
    n = int(chart.facts.get("data", {}).get("samples", 0))
    yield Finding(
        rule="shape-mismatch", severity="critical",
        says=f"outputs and targets differ in shape (targets: {_shape(chart)}), and the loss "
             f"compares each of {n} outputs with every target",
        value=pairs, threshold=rows, formula="the loss with outputs in the targets' shape",
        unit="of the loss",
        why="Subtracting shapes (n, 1) and (n,) gives n times n differences: each output is drawn "
            "to the mean of all targets, so that the best the model can do is to predict that "
            "mean. The loss falls to the targets' variance and stays there.",
        remedy="loss(output.squeeze(-1), target), or target.unsqueeze(-1)",
        study="ntk-regime",
    )  # fmt: skip


def _shape(chart: Chart) -> str:
    return str(tuple(chart.facts.get("data", {}).get("target", ())))


SHAPE_MISMATCH = Rule(
    "shape-mismatch",
    "ntk-regime",
    "a loss that broadcasts outputs against targets",
    ("loss_of_pairs", "loss_of_rows"),
    judge,
    explains=("high-frequency", "loss-at-init", "step-size"),
)

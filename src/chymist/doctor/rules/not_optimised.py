"""Parameters that the optimizer does not have."""

from __future__ import annotations

from collections.abc import Iterator

from chymist.doctor.chart import Chart
from chymist.doctor.finding import Finding
from chymist.doctor.rule import Rule


def judge(chart: Chart) -> Iterator[Finding]:
    """Find trained parameters that are in no group of the optimizer."""
    left, held = chart.facts.get("left_out", []), int(chart.facts.get("held", 0))
    if not left:
        return
    strangers = int(chart.facts.get("strangers", 0))
    none = held == 0
    also = f"; it has {strangers} tensors that the model lacks" if strangers else ""
    yield Finding(
        rule="not-optimised", severity="critical" if none or strangers else "warning",
        layer=left[0].rpartition(".")[0],
        says=f"the optimizer has {'none' if none else 'not all'} of the model's parameters: "
             f"{', '.join(left[:3])}{' ...' if len(left) > 3 else ''}{also}",
        value=float(len(left)), threshold=0.0,
        formula="tensors with requires_grad True in no group of the optimizer",
        why="The optimizer steps the tensors it was made with. Layers that are added or replaced "
            "afterwards, or that live in a plain list, stay as they were born: random features.",
        remedy="make the optimizer after the model is complete: "
               f"{chart.facts['optimizer']['rule']}(model.parameters(), ...); freeze what is not "
               "to train: requires_grad_(False)",
        study="barron-approximation",
    )  # fmt: skip


NOT_OPTIMISED = Rule(
    "not-optimised",
    "barron-approximation",
    "trained parameters that the optimizer does not have",
    (),
    judge,
    explains=("no-gradient", "small-step", "unmoved"),
)

"""Weights that grow after every sample of a batch is classed right."""

from __future__ import annotations

from collections.abc import Iterator

from chymist.doctor import trends
from chymist.doctor.chart import Chart
from chymist.doctor.finding import Finding
from chymist.doctor.rule import Rule

RIGHT = 0.999
GROWN = 1.5


def judge(chart: Chart) -> Iterator[Finding]:
    """Find margins that have grown by half since all samples were classed right."""
    accuracy, margin = dict(chart.series("accuracy")), dict(chart.series("margin"))
    right = [s for s in accuracy if s > 0 and accuracy[s] >= RIGHT and s in margin]
    if len(right) < 3 or not margin[right[0]] > 0 or not margin[right[-1]] > 0:
        return
    grown = margin[right[-1]] / margin[right[0]]
    if grown < GROWN or accuracy[max(accuracy)] < RIGHT:
        return
    yield Finding(
        rule="margin-growth", severity="note",
        says=f"all samples of a batch are classed right since step {right[0]}, and the mean margin "
             f"has grown {grown:.2g} times since",
        value=grown, threshold=GROWN, formula="mean margin now / when all were first right",
        why="Once all is classed right, cross-entropy falls by growing weights, logarithmically "
            "slowly; the direction tends to one of maximal margin. The outputs grow more certain, "
            "whether or not they are right elsewhere.",
        remedy="stop by the error on other data; weight decay or label smoothing bound the growth",
        study="max-margin", step=trends.steps(chart),
    )  # fmt: skip


MARGIN_GROWTH = Rule(
    "margin-growth",
    "max-margin",
    "margins that grow after all samples are classed right",
    ("accuracy", "margin"),
    judge,
)

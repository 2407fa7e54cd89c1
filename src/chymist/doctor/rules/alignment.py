"""A gradient that lies along the sharpest direction."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from chymist.doctor import trends
from chymist.doctor.chart import Chart
from chymist.doctor.finding import Finding
from chymist.doctor.rule import Rule

MOST = 0.5


def judge(chart: Chart) -> Iterator[Finding]:
    """Find most of the gradient's square in one direction, in which descent only oscillates."""
    found = trends.recent(chart, "gradient_sharp_share")
    if not found or median(found) <= MOST or chart.facts.get("trained", 0) < 100:
        return
    value = median(found)
    yield Finding(
        rule="alignment", severity="note",
        says=f"{value:.0%} of the gradient's square lies along the sharpest direction",
        value=value, threshold=MOST, formula="(u . g)^2 / |g|^2, u the Hessian's top eigenvector",
        why="At the edge of stability the gradient's part along the sharpest direction turns its "
            "sign at every step: it is the largest part, and makes no way.",
        remedy="momentum averages it out; a smaller step size ends it",
        study="edge-of-stability", step=trends.steps(chart),
    )  # fmt: skip


ALIGNMENT = Rule(
    "alignment",
    "edge-of-stability",
    "a gradient that lies along the sharpest direction",
    ("gradient_sharp_share",),
    judge,
)

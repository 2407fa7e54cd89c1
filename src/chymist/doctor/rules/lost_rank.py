"""Features that have become the same for all samples."""

from __future__ import annotations

from collections.abc import Iterator

from chymist.doctor import trends
from chymist.doctor.chart import Chart
from chymist.doctor.finding import Finding
from chymist.doctor.rule import Rule

ALIKE = 1e-6
"""Share of a mean square that differs between samples: rounding, in single precision, is 1e-14."""
START = 1e-2


def judge(chart: Chart) -> Iterator[Finding]:
    """Find the first layer at which samples differed at the start, and have become alike."""
    first, last = chart.first("signal_spread"), chart.last("signal_spread")
    course = trends.course(chart)
    if first is None or last is None or first.step > 0 or last.step == 0 or course is None:
        return
    for layer, value in last.values.items():
        before = first.values.get(layer, 0.0)
        if before < START or value > ALIKE or course.fallen > 0.5:
            continue
        yield Finding(
            rule="lost-rank", severity="warning", layer=layer,
            says=f"samples have become alike at {layer}: {value:.2g} of its mean square differs "
                 f"between them, {before:.2g} at the start",
            value=value, threshold=ALIKE, formula="share of the mean square between samples",
            why="Where all samples have one representation, what follows is one answer for all: "
                "the loss stays at that of the targets' mean, and hardly a gradient tells samples "
                "apart.",
            remedy=f"look at the units of {layer} (dead or saturated), and take a smaller step "
                   "size from a new start: a collapsed layer does not recover",
            study="transformer-initialisation", step=last.step,
        )  # fmt: skip
        return


LOST_RANK = Rule(
    "lost-rank",
    "transformer-initialisation",
    "layers at which samples have become alike",
    ("signal_spread", "loss"),
    judge,
    explains=("loss-course",),
    symptom=True,
)

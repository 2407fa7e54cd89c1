"""A target whose high frequencies are not learnt."""

from __future__ import annotations

import math
from collections.abc import Iterator

from chymist.doctor import trends
from chymist.doctor.chart import Chart
from chymist.doctor.finding import Finding
from chymist.doctor.rule import Rule

CONTENT = 0.02
"""Share of the targets' energy from which on a frequency counts; noise has 1/n."""
LEFT = 0.8
"""Relative error above which a frequency is not learnt."""
HIGH = 4
"""Cycles over the inputs' range from which on a frequency is called high."""


def judge(chart: Chart) -> Iterator[Finding]:
    """Find a high frequency with much of the target in it, of which nearly all is left."""
    error, content = chart.last("frequency_error"), chart.last("frequency_content")
    taken = trends.steps(chart)
    if error is None or content is None or taken < 100 or error.step < taken / 2:
        return
    n = int(chart.facts.get("data", {}).get("samples", 0))
    least = max(CONTENT, 8 / max(n, 1))
    told = {
        int(k): v for k, v in error.values.items()
        if content.values.get(k, 0.0) >= least and math.isfinite(v)
    }  # fmt: skip
    left = {k: v for k, v in told.items() if k >= HIGH and v > LEFT}
    if not left:
        return
    first, worst = min(left), max(left, key=lambda k: content.values[str(k)])
    share = sum(content.values[str(k)] for k in left) / sum(content.values[str(k)] for k in told)
    if share < 0.1:
        return
    low = [v for k, v in told.items() if k < first]
    yield Finding(
        rule="unlearnt-frequency", severity="warning", layer="",
        says=f"the target's frequency of {worst} cycles over the inputs' range is not learnt: "
             f"{left[worst]:.0%} of it is left after {taken} steps"
             + (f", of lower ones {min(low):.0%}" if low else ""),
        value=left[worst], threshold=LEFT, formula="|hat(f - y)(k)| / |hat y(k)|",
        why="Networks learn low frequencies first. For a smooth activation the rate falls with "
            "the frequency like the spectrum of its derivative, so that what takes hundreds of "
            "steps at one cycle takes a hundred times that at ten: waiting is not the remedy.",
        remedy="give the inputs as Fourier features: torch.cat([torch.sin(x @ B), "
               f"torch.cos(x @ B)], -1) with B of size 2 pi {worst} over the inputs' range; or "
               "scale the inputs up, or use a multi-scale network",
        study="frequency-principle", step=error.step,
    )  # fmt: skip


UNLEARNT_FREQUENCY = Rule(
    "unlearnt-frequency",
    "frequency-principle",
    "high frequencies with much of the target, of which nearly all is left",
    ("frequency_error", "frequency_content"),
    judge,
    explains=("loss-course", "slow-descent"),
)

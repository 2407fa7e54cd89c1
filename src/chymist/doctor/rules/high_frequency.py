"""A target whose variation is out of the network's reach."""

from __future__ import annotations

from collections.abc import Iterator

from chymist.doctor.chart import Chart
from chymist.doctor.finding import Finding
from chymist.doctor.layers import number
from chymist.doctor.rule import Rule

OUT, SMOOTH, WAVES = 0.98, 0.5, 0.1
"""Shares of the targets' variance: out of reach, smooth on the samples, in waves out of reach."""


def judge(chart: Chart) -> Iterator[Finding]:
    """Find targets of high frequency, smooth on the samples, that the kernel hardly reaches."""
    out, smooth = number(chart, "out_of_reach"), number(chart, "smooth")
    waves, lowest = number(chart, "wave_out_of_reach"), number(chart, "wave_frequency")
    if out > OUT and not smooth <= SMOOTH:  # A residual without targets has no noise.
        value, threshold, which = out, OUT, "varies along directions"
    elif waves > WAVES:
        value, threshold, which = waves, WAVES, f"lies at {lowest:.0f} waves and more on the range"
    else:
        return
    yield Finding(
        rule="high-frequency", severity="warning",
        says=f"{value:.0%} of the targets' variance {which} that this network learns more than "
             "1000 times more slowly than its mean" + (
                 f" (from {lowest:.0f} waves on the inputs' range on)" if lowest else ""),
        value=value, threshold=threshold,
        formula=f"{threshold:g} of the variance along the tangent kernel's eigenvectors below "
                "1/1000 of the largest eigenvalue",
        why="Networks learn low frequencies first: the tangent kernel's eigenvalues fall as a "
            "power of the frequency, for smooth activations exponentially, and the time to learn "
            "grows as their inverse. The loss will stand at the share that is out of reach.",
        remedy="give the inputs features of the target's frequencies: "
               "torch.cat([torch.sin(2 * math.pi * k * x), torch.cos(2 * math.pi * k * x)], -1) "
               "with k = 1, 2, 4, ...; or sine activations with a first layer as large",
        study="frequency-principle",
    )  # fmt: skip


HIGH_FREQUENCY = Rule(
    "high-frequency",
    "frequency-principle",
    "targets that vary faster than the network can learn",
    ("out_of_reach", "smooth", "wave_out_of_reach", "wave_frequency"),
    judge,
    explains=("small-step", "slow-descent", "unlearnt-frequency"),
)

"""A target whose variation is out of the network's reach."""

from __future__ import annotations

from collections.abc import Iterator

from chymist.doctor.chart import Chart
from chymist.doctor.finding import Finding
from chymist.doctor.layers import number
from chymist.doctor.rule import Rule

LEAST, MOST = 0.02, 0.1
"""Shares of the variance in reach that count as none: twice what noise has there, within these."""
SMOOTH, WAVES = 0.5, 0.1
"""Shares of the targets' variance: smooth on the samples, in waves out of reach."""
SLOW = 1000**0.25
"""Waves on the range at which a kernel that falls as their fourth power has fallen by 1000."""


def judge(chart: Chart) -> Iterator[Finding]:
    """Find targets of high frequency, smooth on the samples, that the kernel hardly reaches."""
    out, smooth = number(chart, "out_of_reach"), number(chart, "smooth")
    waves, lowest = number(chart, "wave_out_of_reach"), number(chart, "wave_frequency")
    chance = number(chart, "in_reach_by_chance")
    limit = 1 - min(MOST, max(LEAST, 2 * chance))
    if smooth != smooth:
        # A residual without targets has no noise, and differs from a random vector's by chance:
        # three standard deviations of chi-squared of as many numbers as are in reach.
        samples = float(chart.facts.get("data", {}).get("samples", 1))
        limit = 1 - min(2 * MOST, chance + 3 * (2 * chance / samples) ** 0.5)
    # Of several inputs no waves are known.
    if out > limit and not smooth <= SMOOTH and not number(chart, "wave_largest") < SLOW:
        value, threshold, which = out, limit, "varies along directions"
    elif waves > WAVES and lowest > SLOW:
        value, threshold, which = waves, WAVES, f"lies at {lowest:.0f} waves and more on the range"
    else:
        return
    yield Finding(
        rule="high-frequency", severity="warning",
        says=f"{value:.0%} of the targets' variance {which} that this network learns more than "
             "1000 times more slowly than its mean" + (
                 f" (from {lowest:.0f} waves on the inputs' range on)" if lowest > 0 else ""),
        value=value, threshold=threshold,
        formula=f"{threshold:.2g} of the variance along the tangent kernel's eigenvectors below "
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
    (
        "out_of_reach",
        "in_reach_by_chance",
        "smooth",
        "wave_out_of_reach",
        "wave_frequency",
        "wave_largest",
    ),
    judge,
    explains=("small-step", "slow-descent", "unlearnt-frequency"),
)

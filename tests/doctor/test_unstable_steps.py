"""Losses that are thrown up for good, and such as only jump or are noisy."""

from __future__ import annotations

import math
import random

import pytest

from chymist.doctor.chart import Chart, Reading
from chymist.doctor.rules.unstable_steps import UNSTABLE_STEPS


def chart(losses: list[float]) -> Chart:
    made = Chart({"watch": {"steps": len(losses)}})
    for step, value in enumerate(losses):
        made.add("loss", Reading(step, {"": value}))
    return made


def falling(steps: int) -> list[float]:
    return [0.1 + 2.0 * math.exp(-n / 20) for n in range(steps)]


def test_a_loss_thrown_up_for_good_is_told_with_its_step() -> None:
    losses = [*falling(30), *[8.0] * 4, *[2.3] * 60]
    (found,) = UNSTABLE_STEPS.judge(chart(losses))
    assert found.severity == "critical" and 28 <= found.step <= 32


@pytest.mark.parametrize(
    "losses",
    [
        falling(100),
        [*falling(30), *[8.0] * 4, *falling(60)],  # It comes back: a catapult.
        [2.3] * 100,
        [*falling(30), 0.001, 0.001, 0.001, *[0.05, 0.06, 0.055] * 22],  # Near zero: noise.
        [abs(random.Random(n).gauss(0, 1)) ** 2 for n in range(100)],  # A batch of one.
    ],
)
def test_others_are_left_alone(losses: list[float]) -> None:
    assert not list(UNSTABLE_STEPS.judge(chart(losses)))

"""Losses that are thrown up for good, and such as only jump or are noisy."""

from __future__ import annotations

import math
import random

import pytest

from chymist.doctor.chart import Chart, Reading
from chymist.doctor.rules.unstable_steps import UNSTABLE_STEPS


def chart(losses: list[float], momentum: float = 0.0) -> Chart:
    made = Chart({"watch": {"steps": len(losses)}, "optimizer": {"momentum": momentum}})
    for step, value in enumerate(losses):
        made.add("loss", Reading(step, {"": value}))
    return made


def falling(steps: int) -> list[float]:
    return [0.1 + 2.0 * math.exp(-n / 20) for n in range(steps)]


def test_a_loss_thrown_up_for_good_is_told_with_its_step() -> None:
    losses = [*falling(30), *[8.0] * 4, *[2.3] * 60]
    (found,) = UNSTABLE_STEPS.judge(chart(losses))
    assert found.severity == "critical" and 28 <= found.step <= 32


def test_a_loss_thrown_above_its_start_that_comes_back_late() -> None:
    late = [2.3 - 0.02 * n for n in range(80)]
    (found,) = UNSTABLE_STEPS.judge(chart([*falling(30), *[8.0] * 4, *late, *[0.5] * 60]))
    assert found.severity == "warning" and found.value > found.threshold == 1 / 3


def test_momentum_that_rings_for_longer_than_the_training() -> None:
    swings = [0.5 + abs(math.cos(n / 10)) for n in range(150)]
    (found,) = UNSTABLE_STEPS.judge(chart(swings, 0.99))
    assert (found.value, found.threshold) == (pytest.approx(200), 150)
    assert not list(UNSTABLE_STEPS.judge(chart(swings, 0.9)))


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

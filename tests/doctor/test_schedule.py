"""The schedule on a clock that is moved by hand, and the promise that it keeps on a real one."""

from __future__ import annotations

import time

import pytest
import torch
from torch import nn
from torch.nn import functional

import chymist
from chymist.doctor.schedule import Schedule


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def simulated(
    costs: dict[str, float], budget: float, steps: int, step_time: float, guess: float = 1.0
) -> tuple[Schedule, dict[str, int]]:
    """A training whose measurements take what they take, whatever was guessed."""
    clock = Clock()
    plan = Schedule({n: guess * c / step_time for n, c in costs.items()}, budget, clock=clock)
    plan.begin()
    counts = dict.fromkeys(costs, 0)
    for step in range(steps):
        clock.now += step_time
        for task in plan.plan(step):
            with plan.spending():
                clock.now += costs[task]
            plan.measured(task, costs[task], step)
            counts[task] += 1
        plan.stepped()
    return plan, counts


@pytest.mark.parametrize("guess", [0.1, 1.0, 10.0])
@pytest.mark.parametrize("budget", [0.01, 0.05, 0.3])
def test_measuring_keeps_its_share_however_wrong_the_guess(budget: float, guess: float) -> None:
    costs = {"cheap": 0.001, "middle": 0.02, "dear": 0.5}
    plan, counts = simulated(costs, budget, 20_000, 0.1, guess)
    assert plan.share <= budget + max(costs.values()) / 2000
    assert all(counts.values())


def test_the_cheap_is_measured_more_often_and_the_dear_is_not_starved() -> None:
    _, counts = simulated({"cheap": 0.001, "dear": 0.1}, 0.05, 2_000, 0.01)
    assert counts["cheap"] > 5 * counts["dear"] > 0


def test_a_long_training_has_a_few_hundred_readings_of_each() -> None:
    _, counts = simulated({"cheap": 1e-6}, 0.5, 20_000, 0.01)
    assert 100 < counts["cheap"] < 500


def test_what_is_done_once_is_not_done_again() -> None:
    clock = Clock()
    plan = Schedule({"start": 1.0}, 0.5, once=frozenset({"start"}), clock=clock)
    plan.begin()
    for step in range(10):
        clock.now += 1.0
        plan.stepped()
        for task in plan.plan(step):
            plan.measured(task, 0.1, step)
    assert plan.done("start") is not None
    assert plan.next(10_000) is None


def test_the_cost_on_a_million_parameters_is_within_ten_per_cent() -> None:
    """Promise 19. Steps with and without the doctor take turns, so that both feel the same load."""
    torch.manual_seed(0)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    x, y = torch.randn(256, 256), torch.randint(0, 10, (256,))

    def made() -> tuple[nn.Module, torch.optim.Optimizer]:
        model = nn.Sequential(
            nn.Linear(256, 800), nn.ReLU(), nn.Linear(800, 960), nn.ReLU(), nn.Linear(960, 10)
        )
        return model, torch.optim.SGD(model.parameters(), lr=0.01)

    def step(model: nn.Module, optimizer: torch.optim.Optimizer) -> float:
        start = time.process_time()
        optimizer.zero_grad()
        functional.cross_entropy(model(x), y).backward()
        optimizer.step()
        return time.process_time() - start

    try:
        plain, watched = made(), made()
        assert sum(p.numel() for p in plain[0].parameters()) > 980_000
        spent = [0.0, 0.0]
        # The schedule's clock runs while either trains: half of the default share is the default.
        with chymist.watch(watched[0], functional.cross_entropy, watched[1], budget=0.025) as w:
            for index in range(160):
                with_doctor, without = step(*watched), step(*plain)
                if index >= 10:
                    spent[0] += with_doctor
                    spent[1] += without
    finally:
        torch.set_num_threads(threads)
    assert w.schedule.share <= 0.03
    assert spent[0] <= 1.1 * spent[1]

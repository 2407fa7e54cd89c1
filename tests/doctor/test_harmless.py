"""Trainings end with the same bits with the doctor and without, whatever they are made of."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

import doctor.watched_loops as loops
import pytest
import torch
from doctor.watched_loops import Made, with_and_without
from torch import nn
from torch.nn import functional

import chymist
from chymist.doctor import during_training
from chymist.doctor.quantity import Quantity

STEPS = 200
OFTEN = {"budget": 1.0}
"""A budget at which the doctor measures at nearly every step."""


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    monkeypatch.setattr(during_training, "CLOSING", 0.5)
    with torch.random.fork_rng():
        yield
    torch.set_num_threads(threads)


def mlp(width: int = 8) -> nn.Module:
    return nn.Sequential(nn.Linear(4, width), nn.ReLU(), nn.Linear(width, 3))


def classes(model: nn.Module, optimizer: torch.optim.Optimizer, *shape: int) -> Callable[[], None]:
    def step() -> None:
        x = torch.randn(16, *(shape or (4,)))
        y = torch.randint(0, 3, (16,))
        optimizer.zero_grad()
        functional.cross_entropy(model(x), y).backward()
        optimizer.step()

    return step


def plain() -> Made:
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    return model, functional.cross_entropy, optimizer, classes(model, optimizer)


def adam() -> Made:
    model = mlp()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    return model, functional.cross_entropy, optimizer, classes(model, optimizer)


@pytest.mark.parametrize("make", [plain, adam])
def test_a_training_ends_with_the_same_bits(make: Callable[[], Made]) -> None:
    differ, w = with_and_without(make, STEPS, **OFTEN)
    assert differ == []
    assert w.chart.off == {}
    assert {"loss", "gradient_norm", "update_ratio"} <= set(w.chart.readings)
    assert w.steps == STEPS


def test_an_instrument_that_raises_is_switched_off_and_the_training_goes_on() -> None:
    def broken(_: Any) -> dict[str, Any]:
        raise RuntimeError("this\ninstrument is broken")

    bad = Quantity("broken", broken, price=0.01, moments=("during",))
    differ, w = with_and_without(plain, 50, quantities=[bad], **OFTEN)
    assert differ == []
    assert w.chart.off == {"broken": "RuntimeError: this instrument is broken"}
    assert w.steps == 50


def test_a_doctor_that_fails_lets_the_training_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        during_training.Watch, "_check_finite", lambda _: (_ for _ in ()).throw(ValueError("no"))
    )
    differ, w = with_and_without(plain, 20, **OFTEN)
    assert differ == []
    assert w.chart.off == {"watch": "ValueError: no"}


def test_an_exception_of_the_loop_passes_and_the_chart_is_kept() -> None:
    model, loss, optimizer, step = plain()
    with pytest.raises(KeyError, match="mine"), chymist.watch(model, loss, optimizer) as w:
        for _ in range(30):
            step()
        raise KeyError("mine")
    assert w.chart.readings["loss"][0].step == 0
    assert sys.getprofile() is None
    assert not optimizer._optimizer_step_pre_hooks and not model._forward_pre_hooks


def test_the_users_hooks_run_once_a_call() -> None:
    calls: list[int] = []

    def make() -> Made:
        model, loss, optimizer, step = plain()
        model[0].register_forward_hook(lambda *_: calls.append(1))  # type: ignore[index]
        return model, loss, optimizer, step

    differ, _ = with_and_without(make, 50, **OFTEN)
    assert differ == [] and len(calls) == 100


def test_a_hook_for_all_modules_runs_as_often_as_without() -> None:
    calls: list[int] = []
    hook = torch.nn.modules.module.register_module_forward_hook(lambda *_: calls.append(1))
    try:
        with_and_without(plain, 0)
        loops.seeded()
        counts = []
        for watched in (False, True):
            model, loss, optimizer, step = plain()
            calls.clear()
            if watched:
                with chymist.watch(model, loss, optimizer, budget=1.0):
                    for _ in range(30):
                        step()
            else:
                for _ in range(30):
                    step()
            counts.append(len(calls))
    finally:
        hook.remove()
    assert counts[0] == counts[1]


def test_a_profiler_that_is_set_stays_set() -> None:
    model, loss, optimizer, step = plain()

    def own(*_: Any) -> None:
        return None

    sys.setprofile(own)
    try:
        with chymist.watch(model, loss, optimizer) as w:
            for _ in range(10):
                step()
        found = sys.getprofile()
    finally:
        sys.setprofile(None)
    assert found is own
    assert "not called" in w.chart.off["target"]

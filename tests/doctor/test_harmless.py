"""Trainings end with the same bits with the doctor and without, whatever they are made of."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

import doctor.watched_loops as loops
import pytest
import torch
from doctor.watched_loops import Made, with_and_without
from torch import Tensor, nn
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


def resnet() -> Made:
    class Block(nn.Module):
        def __init__(self, width: int) -> None:
            super().__init__()
            self.one, self.two = (nn.Conv2d(width, width, 3, padding=1) for _ in range(2))
            self.norm = nn.BatchNorm2d(width)

        def forward(self, x: Tensor) -> Tensor:
            return torch.as_tensor(x + self.two(self.norm(self.one(x)).relu()))

    model = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), Block(4), Block(4),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3),
    )  # fmt: skip
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, nesterov=True)
    return model, functional.cross_entropy, optimizer, classes(model, optimizer, 1, 6, 6)


def encoder() -> Made:
    """Dropout draws from the generator at every step."""
    layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.2, batch_first=True)
    model = nn.Sequential(
        nn.Embedding(11, 8), nn.TransformerEncoder(layer, 2, enable_nested_tensor=False),
        nn.Linear(8, 11),
    )  # fmt: skip
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def loss(out: Tensor, y: Tensor) -> Tensor:
        return functional.cross_entropy(out.flatten(0, 1), y.flatten())

    def step() -> None:
        x = torch.randint(0, 11, (8, 6))
        optimizer.zero_grad()
        loss(model(x), x.roll(1, 1)).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    return model, loss, optimizer, step


class Causal(nn.Module):
    """A language model whose read-out is its embedding, and which computes its own loss."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(11, 8)
        self.places = nn.Parameter(torch.randn(6, 8) * 0.1)
        self.q, self.k, self.v = (nn.Linear(8, 8) for _ in range(3))
        self.norm = nn.LayerNorm(8)
        self.head = nn.Linear(8, 11, bias=False)
        self.head.weight = self.embedding.weight
        self.register_buffer("mask", torch.ones(6, 6).tril() == 0)

    def forward(self, x: Tensor, targets: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        h = self.embedding(x) + self.places
        logits = self.q(h) @ self.k(h).mT / 8**0.5
        out = self.head(self.norm(h + logits.masked_fill(self.mask, -1e9).softmax(-1) @ self.v(h)))
        if targets is None:
            return out, None
        return out, functional.cross_entropy(out.flatten(0, 1), targets.flatten())


def causal() -> Made:
    model = Causal()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=0.1)

    def step() -> None:
        x = torch.randint(0, 11, (8, 6))
        _, loss = model(x, targets=x.roll(-1, 1))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    return model, lambda out: out[1], optimizer, step


def pretrained() -> Made:
    """A model of the library that everyone takes, tied, with dropout, at its smallest."""
    transformers = pytest.importorskip("transformers")
    config = transformers.GPT2Config(
        vocab_size=11, n_positions=8, n_embd=16, n_layer=2, n_head=2, bos_token_id=0,
        eos_token_id=0,
    )  # fmt: skip
    model = transformers.GPT2LMHeadModel(config)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)

    def step() -> None:
        x = torch.randint(0, 11, (8, 6))
        loss = model(input_ids=x, labels=x).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return model, lambda out: out.loss, optimizer, step


def frozen() -> Made:
    model = mlp()
    model[0].requires_grad_(False)  # type: ignore[index]
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    return model, functional.cross_entropy, optimizer, classes(model, optimizer)


class Mixed(nn.Module):
    """The middle is in half precision, as a converted part of a network may be."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.middle = nn.Linear(4, 8), nn.Linear(8, 8).bfloat16()
        self.last = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = self.middle(self.first(x).relu().to(self.middle.weight.dtype))
        return torch.as_tensor(self.last(h.to(self.last.weight.dtype)))


def mixed() -> Made:
    model = Mixed()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    return model, functional.cross_entropy, optimizer, classes(model, optimizer)


def autocast() -> Made:
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def step() -> None:
        x, y = torch.randn(16, 4), torch.randint(0, 3, (16,))
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()

    return model, functional.cross_entropy, optimizer, step


def accumulation() -> Made:
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    loss = nn.CrossEntropyLoss()

    def step() -> None:
        for _ in range(4):
            x, y = torch.randn(8, 4), torch.randint(0, 3, (8,))
            (loss(model(x), y) / 4).backward()
        optimizer.step()
        optimizer.zero_grad()

    return model, loss, optimizer, step


def several() -> Made:
    """Two losses, seen as a closure that draws; the loop draws from the same generator."""
    model = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def loss() -> Tensor:
        x = torch.rand(16, 2).requires_grad_()
        u = model(x)
        (slope,) = torch.autograd.grad(u.sum(), x, create_graph=True)
        inside = (slope.sum(1) - 1).square().mean()
        return inside + model(torch.zeros(4, 2)).square().mean()

    def step() -> None:
        optimizer.zero_grad(set_to_none=False)
        loss().backward()
        optimizer.step()

    return model, loss, optimizer, step


def residual() -> Made:
    """A loss of the output alone, which differentiates it by the inputs."""
    model = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    x = torch.rand(16, 2).requires_grad_()

    def loss(u: Tensor) -> Tensor:
        (slope,) = torch.autograd.grad(u.sum(), x, create_graph=True)
        return (slope.sum(1) - 1).square().mean() + u.square().mean()

    def step() -> None:
        optimizer.zero_grad()
        loss(model(x)).backward()
        optimizer.step()

    return model, loss, optimizer, step


def searched() -> Made:
    """LBFGS calls its closure, and the closure the model, several times a step."""
    model = nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, 1))
    optimizer = torch.optim.LBFGS(model.parameters(), lr=0.1, max_iter=3)
    x = torch.linspace(-1, 1, 16)[:, None]

    def loss() -> Tensor:
        ends = model(torch.ones(2, 1)).square().mean()
        return functional.mse_loss(model(x), x.sin()) + ends

    def step() -> None:
        def closure() -> Tensor:
            optimizer.zero_grad()
            value = loss()
            value.backward()
            return value

        optimizer.step(closure)

    return model, loss, optimizer, step


def lbfgs() -> Made:
    model = nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, 1))
    optimizer = torch.optim.LBFGS(model.parameters(), lr=0.1, max_iter=3)
    x = torch.linspace(-1, 1, 16)[:, None]

    def step() -> None:
        def closure() -> Tensor:
            optimizer.zero_grad()
            value = functional.mse_loss(model(x), x.sin())
            value.backward()
            return value

        optimizer.step(closure)

    return model, functional.mse_loss, optimizer, step


OTHERS = [
    resnet,
    encoder,
    causal,
    frozen,
    mixed,
    autocast,
    accumulation,
    several,
    residual,
    searched,
    lbfgs,
]


@pytest.mark.parametrize("make", OTHERS)
def test_so_do_trainings_of_other_kinds(make: Callable[[], Made]) -> None:
    differ, w = with_and_without(make, STEPS, **OFTEN)
    assert differ == []
    assert "target" not in w.chart.off and "watch" not in w.chart.off
    assert {"loss", "gradient_norm", "update_ratio"} <= set(w.chart.readings)
    assert w.steps == STEPS


@pytest.mark.parametrize("make", [plain, *OTHERS])
def test_so_do_trainings_of_which_all_is_measured(make: Callable[[], Made]) -> None:
    differ, w = with_and_without(make, 21, every=10)
    assert differ == []
    # Trial steps are not taken in mixed precision, and it is said so.
    assert set(w.chart.off) == ({"trial"} if make is mixed else set())
    assert "gradient_norm" in w.chart.readings
    if make not in (lbfgs, searched):
        assert {"sharpness", "preconditioned_sharpness"} & set(w.chart.readings)
    if make not in (several, searched):
        assert {"signal", "noise_trace", "kernel_turned"} - {
            "kernel_turned" if make in (causal, pretrained, residual) else ""
        } <= set(w.chart.readings)


@pytest.mark.parametrize("make", [several, searched])
def test_of_a_closure_the_layers_are_read_at_its_largest_batch(make: Callable[[], Made]) -> None:
    _, w = with_and_without(make, 6, every=5)
    assert {"signal_spread", "saturated_values", "gradient_norm"} <= set(w.chart.readings)
    assert w.chart.facts["data"]["samples"] == 16


@pytest.mark.slow
def test_so_does_a_compiled_model() -> None:
    def make() -> Made:
        model = mlp()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        compiled = torch.compile(model, backend="eager")
        return compiled, functional.cross_entropy, optimizer, classes(compiled, optimizer)

    differ, w = with_and_without(make, 50, **OFTEN)
    assert differ == []
    assert w.chart.off == {}
    assert "sharpness" in w.chart.readings


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

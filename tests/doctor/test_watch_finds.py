"""Faults planted in small loops watched at the default budget, and the same loops without."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import chymist
from chymist.doctor.during_training import Watch

STEPS = 200


@pytest.fixture(autouse=True)
def _seeded() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield
    torch.set_num_threads(threads)


def watched(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    loss: Callable[[Tensor, Tensor], Tensor],
    batch: Callable[[], tuple[Tensor, Tensor]],
    *,
    clip: float | None = None,
) -> Watch:
    with chymist.watch(model, loss, optimizer) as w:
        for _ in range(STEPS):
            x, y = batch()
            optimizer.zero_grad()
            loss(model(x), y).backward()
            if clip is not None:
                nn.utils.clip_grad_norm_(model.parameters(), clip)
            optimizer.step()
    return w


def parity(lr: float, clip: float | None = None, model: nn.Module | None = None) -> Watch:
    made = model or nn.Sequential(
        nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 4)
    )
    optimizer = torch.optim.SGD([p for p in made.parameters() if p.requires_grad], lr=lr)

    def batch() -> tuple[Tensor, Tensor]:
        x = torch.randn(64, 16)
        return x, x[:, :4].argmax(1)

    return watched(made, optimizer, functional.cross_entropy, batch, clip=clip)


def grave(w: Watch) -> list[str]:
    return [f.rule for f in w.findings if f.severity != "note"]


def test_a_healthy_loop_has_nothing_above_a_note() -> None:
    assert grave(parity(0.2)) == []


def test_steps_far_too_long_are_named_before_the_divergence_that_they_cause() -> None:
    w = parity(60.0)
    assert grave(w)[0] == "step-size"
    found = {f.rule: f for f in w.findings}
    assert "divergence" not in found or found["divergence"].because == "step-size"


def test_steps_far_too_short_are_named() -> None:
    assert grave(parity(1e-6)) == ["small-step"]


def test_clipping_that_stops_the_training_is_named() -> None:
    assert grave(parity(0.2, clip=1e-5)) == ["clipped"]


def test_a_layer_that_is_detached_is_named() -> None:
    class Detached(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = nn.Linear(16, 64), nn.Linear(64, 4)

        def forward(self, x: Tensor) -> Tensor:
            return torch.as_tensor(self.last(self.first(x).relu().detach()))

    named = {(f.rule, f.layer) for f in parity(0.2, model=Detached()).findings}
    assert {"unmoved", "no-gradient"} & {rule for rule, _ in named}
    assert any("first" in layer for _, layer in named)


@pytest.mark.parametrize("waves", [1, 20])
def test_a_frequency_too_high_to_be_learnt_is_named(waves: int) -> None:
    model = nn.Sequential(nn.Linear(1, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(),
                          nn.Linear(64, 1))  # fmt: skip
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    x = torch.linspace(-1, 1, 128)[:, None]
    y = torch.sin(math.pi * waves * x)
    w = watched(model, optimizer, functional.mse_loss, lambda: (x, y))
    assert bool({"high-frequency", "unlearnt-frequency"} & set(grave(w))) == (waves > 1)
    assert waves == 1 or grave(w)[0] in ("high-frequency", "unlearnt-frequency")

"""The noise of a watched step's gradient, beside the instrument that it stands for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import chymist
from chymist.doctor.quantities.noise import NOISE
from chymist.instruments import noise_scale


@pytest.fixture(autouse=True)
def _seeded() -> Iterator[None]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


@pytest.mark.parametrize("form", ["plain", "clipped", "accumulated", "own loss"])
def test_the_noise_is_that_of_the_batch_whatever_became_of_the_gradient(form: str) -> None:
    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 3))

        def forward(self, x: Tensor, y: Tensor | None = None) -> object:
            out = self.net(x)
            return out if y is None else (out, functional.cross_entropy(out, y))

    model, x, y = Own(), torch.randn(64, 6), torch.randint(0, 3, (64,))
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-6)
    loss = (lambda out: out[1]) if form == "own loss" else functional.cross_entropy
    expected = noise_scale(model, functional.cross_entropy, (x, y))
    with chymist.watch(model, loss, optimizer, every=1, quantities=[NOISE]) as w:
        for _ in range(3):
            optimizer.zero_grad()
            for _ in range(2 if form == "accumulated" else 1):
                made = model(x, y) if form == "own loss" else model(x)
                value = made[1] if form == "own loss" else functional.cross_entropy(made, y)
                value.backward()
            if form == "clipped":
                nn.utils.clip_grad_norm_(model.parameters(), 1e-3)
            optimizer.step()
    # From quarters of the batch the trace has six degrees of freedom at the least.
    near = 0.5 if form == "own loss" else 1e-3
    trace, squared = (
        w.chart.readings[n][-1].value for n in ("noise_trace", "noise_squared_gradient")
    )
    assert trace == pytest.approx(float(expected.trace), rel=near)
    whole = float(expected.squared_gradient) + float(expected.trace) / 64
    assert squared + trace / 64 == pytest.approx(whole, rel=1e-3)


def test_of_a_recurrent_kernel_the_noise_is_that_of_quarters() -> None:
    class Last(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner, self.head = nn.GRU(3, 8, batch_first=True), nn.Linear(8, 3)

        def forward(self, x: Tensor) -> Tensor:
            return torch.as_tensor(self.head(self.inner(x)[0][:, -1]))

    model, x, y = Last(), torch.randn(64, 5, 3), torch.randint(0, 3, (64,))
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-6)
    loss = nn.CrossEntropyLoss()
    with chymist.watch(model, loss, optimizer, every=1, quantities=[NOISE]) as w:
        for _ in range(3):
            optimizer.zero_grad()
            loss(model(x), y).backward()
            optimizer.step()
    assert w.chart.off == {}
    assert w.chart.readings["noise_trace"][-1].value > 0

from __future__ import annotations

import math

import pytest
import torch
from doctor.patients import adam, classes, cross_entropy, drawn, first, mlp, sgd, told
from torch import Tensor, nn


@pytest.mark.parametrize(
    ("layers", "activation", "optimizer", "threshold"),
    [(12, nn.ReLU, sgd, 1e-3), (20, nn.ReLU, adam, 1e-4), (10, nn.Sigmoid, adam, 1e-4)],
)
def test_gradients_vanish_through_depth(layers, activation, optimizer, threshold) -> None:  # type: ignore[no-untyped-def]
    model = mlp([20, *[64] * layers, 5], activation)
    x, y = classes()
    case = (model, cross_entropy, (x, y), optimizer(model))
    found = first(*case)
    assert (found.rule, found.layer, found.threshold) == ("vanishing-gradient", "0", threshold)
    hidden = x
    kept = []
    for layer in model:
        hidden = layer(hidden)
        hidden.retain_grad()
        kept.append(hidden)
    cross_entropy(hidden, y).backward()
    assert found.value == pytest.approx(float(kept[0].grad.norm() / kept[-1].grad.norm()), rel=1e-3)
    assert [f.because for f in told("rank-collapse", *case)] in ([], ["vanishing-gradient"])


def test_samples_that_have_become_equal() -> None:
    model = mlp([20, *[64] * 12, 5])
    (found,) = told("rank-collapse", model, cross_entropy, classes(), None)
    assert found.layer == "22" and 0 < found.value < found.threshold == math.exp(-12)


def test_signals_explode_through_depth() -> None:
    model = drawn(mlp([20, *[64] * 10, 5]), gain=5.0)
    x, y = classes()
    found = first(model, cross_entropy, (x, y), adam(model))
    assert (found.rule, found.threshold) == ("exploding-signal", 20.0)
    with torch.no_grad():
        sizes = [float(model[: i + 1](x).square().mean().sqrt()) for i in range(0, 20, 2)]
    assert found.value == pytest.approx(max(sizes) / float(x.square().mean().sqrt()), rel=0.03)
    assert found.layer == str(2 * sizes.index(max(sizes)))


def test_gradients_explode_through_depth() -> None:
    model = drawn(mlp([20, *[64] * 12, 5]), gain=12.0)
    (found,) = told("exploding-gradient", model, cross_entropy, classes(), None)
    assert found.layer == "0" and found.value > found.threshold == 100.0


class Added(nn.Module):
    """x + F(x), its branch not normalised."""

    def __init__(self, width: int, normed: bool) -> None:
        super().__init__()
        self.branch = drawn(mlp([width, width, width]))
        self.norm = nn.LayerNorm(width) if normed else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return torch.as_tensor(x + self.branch(self.norm(x)))


def stack(normed: bool) -> nn.Module:
    return nn.Sequential(
        nn.Linear(20, 32), nn.Sequential(*[Added(32, normed) for _ in range(12)]), nn.Linear(32, 5)
    )


def test_a_stream_of_branches_that_are_not_normalised() -> None:
    model = stack(normed=False)
    x, y = classes()
    found = first(model, cross_entropy, (x, y), adam(model))
    assert (found.rule, found.layer, found.threshold) == ("residual-growth", "1", 4.0)
    with torch.no_grad():
        middle = model[1][:6](model[0](x))  # type: ignore[index, operator]
        growth = model[1][6:](middle).square().mean() / middle.square().mean()  # type: ignore[index]
    assert found.value == pytest.approx(float(growth), rel=1e-3)
    assert math.log2(found.value) > 6


class Tall(nn.Module):
    """Multiplies by four outside of layers, before each of its layers, as a sum over sixteen."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(20 if n == 0 else 32, 32) for n in range(6))
        self.head = nn.Linear(32, 5)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(4 * x).relu()
        return torch.as_tensor(self.head(4 * x))


def test_signals_that_grow_between_layers_are_no_stream() -> None:
    model = drawn(Tall())
    case = (model, cross_entropy, classes(), adam(model))
    (found,) = told("exploding-signal", *case)
    assert found.layer == "head" and found.value > found.threshold
    assert told("residual-growth", *case) == []


class Along(nn.Module):
    """One layer along a sequence of the sample's numbers, read where it ends."""

    def __init__(self, gain: float) -> None:
        super().__init__()
        self.inner, self.state, self.head = nn.Linear(1, 16), nn.Linear(16, 16), nn.Linear(16, 5)
        nn.init.orthogonal_(self.state.weight, gain)

    def forward(self, x: Tensor) -> Tensor:
        h = x.new_zeros(len(x), 16)
        for now in x.split(1, 1):
            h = (self.inner(now) + self.state(h)).tanh()
        return torch.as_tensor(self.head(h))


def test_a_layer_along_a_sequence_learns_from_each_of_its_calls() -> None:
    model = Along(0.3)
    assert told("vanishing-gradient", model, cross_entropy, classes(), adam(model)) == []


def test_a_stream_of_normalised_branches_is_healthy() -> None:
    model = stack(normed=True)
    for rule in ("residual-growth", "exploding-signal", "exploding-gradient"):
        assert told(rule, model, cross_entropy, classes(), adam(model)) == []

from __future__ import annotations

import pytest
import torch
from doctor.patients import adam, curve, first, mlp, squares, told
from torch import Tensor, nn


@pytest.mark.parametrize("activation", [nn.Tanh, nn.ReLU])
def test_a_wave_of_many_cycles_is_named_first(activation: type[nn.Module]) -> None:
    model = mlp([1, 64, 64, 1], activation)
    found = first(model, squares, curve(30), adam(model))
    assert (found.rule, found.severity) == ("high-frequency", "warning")
    assert found.value > found.threshold


def test_a_fast_wave_on_top_of_a_slow_one() -> None:
    x, y = curve(1)
    model = mlp([1, 64, 64, 1], nn.Tanh)
    found = first(model, squares, (x, y + curve(40)[1]), adam(model))
    assert found.rule == "high-frequency" and found.threshold == 0.1
    assert found.value == pytest.approx(0.5, abs=0.02)
    assert "40 waves" in found.says


@pytest.mark.parametrize("kind", ["slow", "noisy", "noise", "step", "classes", "few"])
def test_targets_that_are_within_reach_or_noise(kind: str) -> None:
    x, y = curve(2)
    if kind == "noisy":
        y = y + 0.5 * torch.randn_like(y)
    elif kind == "noise":
        y = torch.randn_like(y)
    elif kind == "step":
        y = x.sign()
    elif kind == "few":
        x, y = curve(9, n=20)
    model = mlp([1, 64, 64, 2 if kind == "classes" else 1], nn.Tanh)
    loss = nn.CrossEntropyLoss() if kind == "classes" else squares
    goal = (curve(30)[1][:, 0] > 0).long() if kind == "classes" else y
    assert told("high-frequency", model, loss, (x, goal), adam(model)) == []


class Sines(nn.Module):
    """Features of the target's frequencies, the remedy."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = mlp([64, 64, 1])

    def forward(self, x: Tensor) -> Tensor:
        angles = torch.pi * x * torch.arange(1, 33)
        return torch.as_tensor(self.inner(torch.cat([angles.sin(), angles.cos()], 1)))


def test_the_remedy_silences_the_rule() -> None:
    model = Sines()
    assert told("high-frequency", model, squares, curve(30), adam(model)) == []


class Equation(nn.Module):
    """The residual of u'' = -(k pi)^2 sin(k pi x), without targets."""

    def __init__(self, k: float) -> None:
        super().__init__()
        self.k, self.net = k, mlp([1, 32, 32, 1], nn.Tanh)
        for layer in self.net[::2]:
            nn.init.xavier_normal_(layer.weight)

    def forward(self, x: Tensor) -> Tensor:
        x = x.detach().requires_grad_()
        u = self.net(x)
        (slope,) = torch.autograd.grad(u.sum(), x, create_graph=True)
        (bend,) = torch.autograd.grad(slope.sum(), x, create_graph=True)
        force = (self.k * torch.pi) ** 2 * torch.sin(self.k * torch.pi * x)
        return torch.as_tensor((bend + force) / (self.k * torch.pi) ** 2)


@pytest.mark.parametrize(("k", "rules"), [(1.0, []), (12.0, ["high-frequency"])])
def test_an_equation_whose_solution_is_out_of_reach(k: float, rules: list[str]) -> None:
    model = Equation(k)
    x = torch.rand(64, 1)
    found = told("high-frequency", model, lambda out: out.square().mean(), x, adam(model))
    assert [f.rule for f in found] == rules

from __future__ import annotations

import pytest
import torch
from doctor.patients import adam, classes, cross_entropy, first, mlp, squares, told
from torch import nn

import chymist


def quadratic() -> tuple[nn.Module, tuple[torch.Tensor, torch.Tensor], float]:
    x = torch.randn(50, 3, dtype=torch.float64)
    largest = float(torch.linalg.eigvalsh(2 * x.T @ x / len(x))[-1])
    return nn.Linear(3, 1, bias=False).double(), (x, x.sum(1, keepdim=True)), largest


@pytest.mark.parametrize(("momentum", "nesterov"), [(0.0, False), (0.9, False), (0.9, True)])
def test_three_times_the_largest_stable_step(momentum: float, nesterov: bool) -> None:
    model, data, largest = quadratic()
    stable = (2 + 2 * momentum) / ((1 + 2 * momentum if nesterov else 1) * largest)
    made = torch.optim.SGD(
        model.parameters(), 3 * stable, momentum=momentum, nesterov=nesterov
    )  # fmt: skip
    found = first(model, squares, data, made)
    assert (found.rule, found.severity) == ("step-size", "critical")
    assert found.value / found.threshold == pytest.approx(3, rel=0.01)
    assert found.value == pytest.approx(largest, rel=0.01)


@pytest.mark.parametrize("rule", [torch.optim.Adam, torch.optim.AdamW, torch.optim.RMSprop])
def test_adaptive_steps_that_lose_on_their_own_batch(rule: type[torch.optim.Optimizer]) -> None:
    model = mlp([20, 64, 64, 5])
    made = rule(model.parameters(), lr=0.5)  # type: ignore[call-arg]
    found = first(model, cross_entropy, classes(), made)
    assert (found.rule, found.severity, found.threshold) == ("step-size", "critical", 3.0)
    assert found.value > 10


def test_the_trial_leaves_the_optimizer_and_the_model_alone() -> None:
    model = mlp([20, 64, 5])
    made = adam(model)
    before = [p.detach().clone() for p in model.parameters()]
    found = chymist.preflight(model, cross_entropy, classes(), made)
    assert found.chart.last("trial_end") is not None
    assert not made.state and all(p.grad is None for p in model.parameters())
    assert all(torch.equal(p, b) for p, b in zip(model.parameters(), before, strict=True))


def test_steps_that_are_far_too_small() -> None:
    model = mlp([20, 64, 5])
    for made in (torch.optim.SGD(model.parameters(), 1e-5), adam(model, 1e-7)):
        found = first(model, cross_entropy, classes(), made)
        assert (found.rule, found.severity) == ("small-step", "warning")
        assert found.value > found.threshold
    assert told("small-step", model, cross_entropy, classes(), adam(model, 1e-5)) == []


def test_an_adaptive_step_as_long_as_the_weights() -> None:
    model = mlp([20, 256, 5])
    (found,) = told("step-size", model, cross_entropy, classes(), adam(model, 0.3))
    assert found.severity in ("warning", "critical")
    assert told("step-size", model, cross_entropy, classes(), adam(model, 0.003)) == []

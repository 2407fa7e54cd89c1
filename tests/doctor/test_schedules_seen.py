"""What a schedule, a precision or a direction does to steps, which the first step does not show."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from doctor.patients import adam, classes, cross_entropy, mlp, told
from torch import nn

from chymist.doctor import facts
from chymist.doctor.chart import Chart, Reading
from chymist.doctor.rules import RULES


def chart(optimizer: dict[str, Any], **series: list[float]) -> Chart:
    """Readings of a watched training of 100 steps, of one matrix of weights of size 0.1."""
    layers = {"0": {"type": "Linear", "shape": [64, 64]}}
    made = Chart({"optimizer": optimizer, "watch": {"steps": 100}, "layers": layers})
    made.add("parameter_rms", Reading(0, {"0.weight": 0.1}))
    made.add("gradient_rms", Reading(0, {"0.weight": 0.01}))
    for name, values in series.items():
        for index, value in enumerate(values):
            made.add(name, Reading(100 * index // len(values), {"": value}))
    return made


def said(rule: str, made: Chart) -> list[str]:
    (known,) = [r for r in RULES if r.name == rule]
    return [f.severity for f in known.judge(made)]


def test_a_warm_up_ends_in_steps_as_large_as_the_initialisation() -> None:
    begun = {"rule": "AdamW", "lr": 1e-4}
    assert said("step-size", chart(begun, lr=[1e-4, 0.05, 0.1])) == ["warning"]
    assert said("step-size", chart(begun, lr=[1e-4, 2e-3, 1e-3])) == []
    assert said("step-size", chart({**begun, "rule": "Muon"}, lr=[1e-4, 0.05, 0.1])) == []


def test_a_decay_that_a_schedule_raises() -> None:
    begun = {"rule": "SGD", "lr": 1e-4, "momentum": 0.9, "weight_decay": 0.1}
    assert said("weight-decay", chart(begun, lr=[1e-4, 0.05, 0.05])) == ["critical"]
    assert said("weight-decay", chart(begun, lr=[1e-4, 5e-4, 5e-4])) == []


def test_decay_in_the_gradient_is_judged_beside_it_and_decoupled_decay_by_the_step() -> None:
    for rule, expected in (("Adam", ["warning"]), ("AdamW", []), ("Muon", [])):
        made = chart({"rule": rule, "lr": 1e-3, "weight_decay": 0.15})
        assert said("weight-decay", made) == expected


@pytest.mark.parametrize(
    ("rule", "lr", "eps", "expected"),
    [
        ("Adam", 1e-4, 2**-7, ["warning"]), ("Adam", 1e-3, 2**-7, []), ("Adam", 1e-4, 2**-23, []),
        ("SGD", 1e-2, 2**-7, ["warning"]), ("SGD", 1e-1, 2**-7, []),
    ],
)  # fmt: skip
def test_updates_that_are_lost_in_rounding(
    rule: str, lr: float, eps: float, expected: list[str]
) -> None:
    assert said("unmoved", chart({"rule": rule, "lr": lr, "precision": eps})) == expected


def test_facts_of_an_optimizer_tell_its_precision_and_whether_it_climbs() -> None:
    weights = torch.zeros(3, dtype=torch.bfloat16, requires_grad=True)
    made = facts.optimizer(torch.optim.SGD([weights], lr=0.1, maximize=True))
    assert made["precision"] == 2**-7 and made["maximize"] is True
    assert "maximize" not in facts.optimizer(torch.optim.SGD([weights], lr=0.1))


def test_an_optimizer_that_climbs_has_no_step_too_large() -> None:
    model = mlp([20, 32, 5])
    climbs = torch.optim.SGD(model.parameters(), lr=0.1, maximize=True)
    assert told("step-size", model, cross_entropy, classes(), climbs) == []


class Waves(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.sin(30 * x)


def test_small_weights_before_steep_waves_are_not_too_small() -> None:
    model = mlp([20, 64, 64, 64, 5], Waves)
    for layer in model:
        if isinstance(layer, nn.Linear):
            nn.init.uniform_(layer.weight, -0.01, 0.01)
    assert told("small-init", model, cross_entropy, classes(), adam(model)) == []
    plain = mlp([20, 64, 64, 64, 5], nn.Tanh)
    plain.load_state_dict(model.state_dict())
    assert len(told("small-init", plain, cross_entropy, classes(), adam(plain))) == 1


def test_small_inputs_of_unit_length_are_not_too_small() -> None:
    model = mlp([2000, 16, 5])
    y = torch.randint(5, (64,))
    words = nn.functional.one_hot(torch.randint(2000, (64,)), 2000).float()
    assert told("input-scale", model, cross_entropy, (words, y), adam(model)) == []
    model = mlp([20, 16, 5])
    assert len(told("input-scale", model, cross_entropy, (0.02 * torch.randn(64, 20), y))) == 1


def test_counts_beside_logarithms_are_no_targets_too_large() -> None:
    model = mlp([20, 16, 1])
    counts = torch.poisson(torch.full((64, 1), 20.0))
    for loss, expected in ((nn.PoissonNLLLoss(), 0), (nn.MSELoss(), 1), (nn.L1Loss(), 1)):
        assert len(told("target-scale", model, loss, (torch.randn(64, 20), counts))) == expected

from __future__ import annotations

import pytest
from doctor.patients import adam, classes, cross_entropy, first, mlp, told
from torch import nn


def test_biases_that_kill_a_layer() -> None:
    model = mlp([20, 64, 64, 5])
    nn.init.constant_(model[0].bias, -20.0)
    case = (model, cross_entropy, classes(), adam(model))
    found = first(*case)
    assert (found.rule, found.layer, found.severity) == ("dead-units", "1", "critical")
    assert (found.value, found.threshold) == (1.0, 0.75)
    assert [f.because for f in told("no-gradient", *case)] == ["dead-units"]


def test_half_a_layer_dead_is_what_chance_does() -> None:
    model = mlp([20, 64, 64, 5])
    nn.init.constant_(model[0].bias[:32], -20.0)
    assert told("dead-units", model, cross_entropy, classes(), adam(model)) == []


def test_a_saturated_tanh() -> None:
    model = mlp([20, 64, 5], nn.Tanh)
    nn.init.normal_(model[0].weight, std=3.0)
    x, y = classes()
    (found,) = told("saturated-units", model, cross_entropy, (x, y), adam(model))
    share = float((model[:2](x).abs() >= 0.98).double().mean())
    assert (found.layer, found.threshold) == ("1", 0.5)
    assert found.value == pytest.approx(share)

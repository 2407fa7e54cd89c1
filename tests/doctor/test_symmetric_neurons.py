from __future__ import annotations

import pytest
from doctor.patients import adam, classes, cross_entropy, first, mlp, told
from torch import nn


@pytest.mark.parametrize("value", [0.0, 0.1])
def test_constant_weights_are_named_first(value: float) -> None:
    model = mlp([20, 64, 64, 5])
    for layer in model[::2]:
        nn.init.constant_(layer.weight, value)
        nn.init.zeros_(layer.bias)
    found = first(model, cross_entropy, classes(), adam(model))
    assert (found.rule, found.severity, found.layer) == ("symmetric-neurons", "critical", "0")
    assert (found.value, found.threshold) == (1.0, 0.25)


def test_equal_neurons_that_the_next_layer_tells_apart_are_healthy() -> None:
    model = mlp([20, 64, 64, 5])
    nn.init.constant_(model[0].weight, 0.1)
    nn.init.zeros_(model[0].bias)
    assert told("symmetric-neurons", model, cross_entropy, classes(), adam(model)) == []


def test_a_neuron_and_its_negated_double_are_healthy() -> None:
    model = mlp([20, 64, 5])
    model[0].weight.data[32:] = model[0].weight.data[:32]
    model[0].bias.data[32:] = model[0].bias.data[:32]
    model[2].weight.data[:, 32:] = -model[2].weight.data[:, :32]
    assert told("symmetric-neurons", model, cross_entropy, classes(), adam(model)) == []


def test_half_of_the_neurons_doubled() -> None:
    model = mlp([20, 64, 5])
    model[0].weight.data[48:] = model[0].weight.data[32:48]
    model[0].bias.data[48:] = model[0].bias.data[32:48]
    model[2].weight.data[:, 48:] = model[2].weight.data[:, 32:48]
    (found,) = told("symmetric-neurons", model, cross_entropy, classes(), adam(model))
    assert (found.value, found.severity) == (0.5, "warning")


def test_outputs_of_absent_classes_in_a_last_layer_of_zeros_are_healthy() -> None:
    model = mlp([20, 64, 200])
    nn.init.zeros_(model[2].weight)
    nn.init.zeros_(model[2].bias)
    assert told("symmetric-neurons", model, cross_entropy, classes(), adam(model)) == []

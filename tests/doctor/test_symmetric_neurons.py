from __future__ import annotations

import pytest
import torch
from doctor.patients import adam, classes, cross_entropy, first, mlp, told
from torch import Tensor, nn


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


class Fused(nn.Module):
    """A recurrent layer, or attention, whose weights have names of their own."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.into = nn.Linear(4, 16)
        self.inner: nn.Module = (
            nn.MultiheadAttention(16, 2, batch_first=True) if kind == "attention"
            else getattr(nn, kind)(16, 16, batch_first=True)
        )  # fmt: skip
        self.head = nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Tensor:
        h = self.into(x)
        out, _ = self.inner(h, h, h) if isinstance(self.inner, nn.MultiheadAttention) else (
            self.inner(h)
        )  # fmt: skip
        return torch.as_tensor(self.head(out[:, -1]))


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU", "attention"])
def test_equal_neurons_in_fused_layers_are_named(kind: str) -> None:
    model = Fused(kind)
    batch = torch.randn(32, 6, 4), torch.randint(0, 5, (32,))
    assert told("symmetric-neurons", model, cross_entropy, batch, adam(model)) == []
    names = [n for n, p in model.inner.named_parameters() if "weight" in n and "out_proj" not in n]
    for name, p in model.inner.named_parameters():
        nn.init.constant_(p, 0.1 if name in names else 0.0)
    nn.init.constant_(model.head.weight, 0.1)
    (found,) = told("symmetric-neurons", model, cross_entropy, batch, adam(model))
    assert found.layer in [f"inner.{n}" for n in names] and found.severity == "critical"
    assert found.remedy.endswith(f"nn.init.kaiming_normal_({found.layer})")


def test_equal_neurons_whose_gradients_cancel_up_to_rounding_are_named() -> None:
    model = mlp([20, 64, 64, 5], nn.Tanh)
    for layer in model[::2]:
        nn.init.constant_(layer.weight, 0.02)
        nn.init.zeros_(layer.bias)
    # Opposite signs of equal size in pairs: what they hand back is rounding.
    model[4].weight.data[:, ::2] *= -1
    model[2].weight.data[:] = 0.02
    found = first(model, cross_entropy, classes(), adam(model))
    assert found.rule == "symmetric-neurons"

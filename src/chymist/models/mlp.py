"""The multilayer perceptron and its Gaussian start."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from chymist.models.activations import activation as named_activation


class MLP(nn.Module):
    """Linear layers of the given sizes with one activation between them.

    >>> MLP(1, 64, 64, 1, activation="tanh")(torch.zeros(5, 1)).shape
    torch.Size([5, 1])
    """

    def __init__(self, *sizes: int, activation: str = "tanh", bias: bool = True) -> None:
        super().__init__()
        self.activation = named_activation(activation)
        self.layers = nn.ModuleList(nn.Linear(a, b, bias=bias) for a, b in pairwise(sizes))

    def forward(self, x: Float[Tensor, "sample feature"]) -> Float[Tensor, "sample output"]:
        """Map inputs to outputs."""
        *hidden, last = self.layers
        for layer in hidden:
            x = self.activation(layer(x))
        out: Tensor = last(x)
        return out


def gaussian_start(
    module: nn.Module,
    generator: torch.Generator,
    *,
    first_gain: float = 1.0,
    gain: float = 1.0,
) -> None:
    """Start an MLP with Gaussian weights.

    First layer: weights and biases N(0, first_gain^2), as its inputs are few. Later layers: weights
    N(0, gain^2 / fan_in), biases zero.
    """
    first, *rest = [m for m in module.modules() if isinstance(m, nn.Linear)]
    first.weight.normal_(0, first_gain, generator=generator)
    if first.bias is not None:
        first.bias.normal_(0, first_gain, generator=generator)
    for layer in rest:
        layer.weight.normal_(0, gain / math.sqrt(layer.in_features), generator=generator)
        if layer.bias is not None:
            layer.bias.zero_()


def normal_start(
    module: nn.Module, generator: torch.Generator, *, std: float, first: float | None = None
) -> None:
    """Draw all weights and biases from N(0, std^2), those of the first layer from N(0, first^2).

    Without `first` the first layer is as the others. Source of std = 0.05: Xu, Zhang, Xiao (2019),
    arXiv:1807.01251.
    """
    size = std if first is None else first
    for layer in (m for m in module.modules() if isinstance(m, nn.Linear)):
        layer.weight.normal_(0, size, generator=generator)
        if layer.bias is not None:
            layer.bias.normal_(0, size, generator=generator)
        size = std


def fan_in_start(module: nn.Module, generator: torch.Generator, *, gain: float = 1.0) -> None:
    """Draw the weights of all linear layers from N(0, gain^2 / fan_in); biases are zero.

    At gain 1/sqrt(3) weights are as large as PyTorch's default makes them.
    """
    for layer in (m for m in module.modules() if isinstance(m, nn.Linear)):
        layer.weight.normal_(0, gain / math.sqrt(layer.in_features), generator=generator)
        if layer.bias is not None:
            layer.bias.zero_()

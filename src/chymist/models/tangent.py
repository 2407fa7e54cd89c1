"""The multilayer perceptron in the scaling of the neural tangent kernel."""

from __future__ import annotations

import math
from itertools import pairwise

from jaxtyping import Float
from torch import Tensor, nn

from chymist.models.activations import activation as named_activation


class TangentMLP(nn.Module):
    """Linear layers with factors 1/sqrt(inputs) in the place of small weights; no biases.

    h_1 = W_1 x / sqrt(features), h_(l+1) = W_l+1 gain sigma(h_l) / sqrt(width), the last of them
    the output. With all weights from N(0, 1) (`normal_start(std=1)`) the outputs and the tangent
    kernel have the limits of `theory.infinite_width`: variances gain^2, the first layer's 1. One
    step size serves all widths. Source: Jacot, Gabriel, Hongler (2018), arXiv:1806.07572.

    >>> import torch
    >>> TangentMLP(3, 64, 64, 1, activation="relu", gain=2**0.5)(torch.zeros(5, 3)).shape
    torch.Size([5, 1])
    """

    def __init__(self, *sizes: int, activation: str = "relu", gain: float = 1.0) -> None:
        super().__init__()
        self.gain = gain
        self.activation = named_activation(activation)
        self.sizes = sizes
        self.layers = nn.ModuleList(nn.Linear(a, b, bias=False) for a, b in pairwise(sizes))

    def forward(self, x: Float[Tensor, "sample feature"]) -> Float[Tensor, "sample output"]:
        """Map inputs to outputs."""
        first, *rest = self.layers
        features, *widths, _ = self.sizes
        out: Tensor = first(x) * (1 / math.sqrt(features))
        for layer, width in zip(rest, widths, strict=True):
            out = layer(self.activation(out)) * (self.gain / math.sqrt(width))
        return out

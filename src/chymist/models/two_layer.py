"""The two-layer network f(x) = m^(-1/2) sum_j a_j sigma(w_j . x + b_j), and its starts."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from chymist.models.activations import activation as named_activation


class TwoLayer(nn.Module):
    """Two-layer network in the neural-tangent scaling; all of a, w, b are trained.

    With `alpha` the sum is divided by that instead: 1 gives f(x) = sum_j a_j sigma(w_j . x + b_j),
    `width` the mean-field scaling.

    >>> TwoLayer(2, 16)(torch.zeros(5, 2)).shape
    torch.Size([5, 1])
    """

    def __init__(
        self,
        inputs: int,
        width: int,
        *,
        activation: str = "relu",
        bias: bool = True,
        alpha: float | None = None,
    ) -> None:
        super().__init__()
        self.alpha = math.sqrt(width) if alpha is None else alpha
        self.activation = named_activation(activation)
        self.inner = nn.Linear(inputs, width, bias=bias)
        self.outer = nn.Linear(width, 1, bias=False)

    def forward(self, x: Float[Tensor, "sample feature"]) -> Float[Tensor, "sample 1"]:
        """Map inputs to outputs."""
        out: Tensor = self.outer(self.activation(self.inner(x)))
        return out / self.alpha


class Contributions(TwoLayer):
    """The two-layer network before its sum: puts out what each neuron adds, a_j sigma(...) / alpha.

    For losses that treat neurons apart, such as `models.dropout_error`.

    >>> Contributions(2, 16)(torch.zeros(5, 2)).shape
    torch.Size([5, 16])
    """

    def forward(self, x: Float[Tensor, "sample feature"]) -> Float[Tensor, "sample neuron"]:
        """Map inputs to the neurons' parts of the output."""
        parts: Tensor = self.activation(self.inner(x)) * self.outer.weight
        return parts / self.alpha


def stratified_circle_start(module: TwoLayer, generator: torch.Generator) -> None:
    """Put the first half of the neurons' weights evenly on the unit circle, then antisymmetrise.

    Angles are evenly spaced with a random offset (independent angles leave the density of kinks
    uneven by 1/sqrt(kinks per gap), which slows single frequencies); output weights are +-1 at
    random; biases start at zero.

    Raises:
        ValueError: the network does not take two inputs, or its width is odd.
    """
    width, inputs = module.inner.weight.shape
    if inputs != 2 or width % 2:
        raise ValueError(f"needs two inputs and an even width, got {inputs} and {width}")
    half = width // 2
    offset = torch.rand(1, generator=generator)
    angle = 2 * math.pi * (torch.arange(half) + offset) / half
    # The sign is drawn independently of the angle.
    sign = torch.randint(0, 2, (half,), generator=generator) * 2.0 - 1.0
    module.inner.weight[:half] = torch.stack([angle.cos(), angle.sin()], dim=1)
    module.outer.weight[0, :half] = sign
    if module.inner.bias is not None:
        module.inner.bias.zero_()
    antisymmetric_start(module)


def gaussian_circle_start(module: TwoLayer, generator: torch.Generator) -> None:
    """Draw the first half of the neurons from N(0, 1), biases zero, then antisymmetrise.

    Raises:
        ValueError: the width is odd.
    """
    width = module.inner.weight.shape[0]
    if width % 2:
        raise ValueError(f"needs an even width, got {width}")
    module.inner.weight.normal_(generator=generator)
    module.outer.weight.normal_(generator=generator)
    if module.inner.bias is not None:
        module.inner.bias.zero_()
    antisymmetric_start(module)


def antisymmetric_start(module: TwoLayer) -> None:
    """Copy the first half of the neurons to the second with negated output weights: f = 0 at start.

    Source: Zhang, Xu, Luo, Ma (2020), arXiv:1905.07777 (antisymmetrical initialisation).
    """
    half = module.inner.weight.shape[0] // 2
    module.inner.weight[half:] = module.inner.weight[:half]
    if module.inner.bias is not None:
        module.inner.bias[half:] = module.inner.bias[:half]
    module.outer.weight[0, half:] = -module.outer.weight[0, :half]

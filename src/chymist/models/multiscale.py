"""Multi-scale networks: what oscillates fast in x oscillates slowly in s x.

Source: Liu, Cai, Xu (2020), arXiv:2007.11207, who call them MscaleDNN.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from chymist.errors import BadParameter
from chymist.models.mlp import MLP

NARROWEST = 4
"""Fewest neurons that a scale may have in a layer."""


class MultiScale(nn.Module):
    """Sum of networks that each see the inputs through a scale: f(x) = sum_i g_i(s_i x).

    `build` makes one of the networks; any module that maps (sample, feature) likewise will do. The
    scales are a buffer: data, which may differ from lane to lane, and not trained. MscaleDNN-2 of
    the source. A compiled training takes all the networks in one pass. With `apart` the outputs are
    those of the networks side by side, and the loss adds them up (`penalised_error`).

    Raises:
        BadParameter: no scale is given, or one that is not positive and finite.

    >>> net = MultiScale(lambda: MLP(1, 16, 16, 1, activation="sin"), [1, 2, 4])
    >>> net(torch.zeros(5, 1)).shape
    torch.Size([5, 1])
    """

    scales: Tensor

    def __init__(
        self, build: Callable[[], nn.Module], scales: Sequence[float], *, apart: bool = False
    ) -> None:
        super().__init__()
        self.apart = apart
        self.register_buffer("scales", _positive(scales))
        self.networks = nn.ModuleList(build() for _ in scales)

    def forward(self, x: Float[Tensor, "sample axis"]) -> Float[Tensor, "sample output"]:
        """Map points to the sum of the networks' values, or to these."""
        parts = [network(x * self.scales[i : i + 1]) for i, network in enumerate(self.networks)]
        if self.apart:
            return torch.cat(parts, dim=-1)
        out: Tensor = parts[0]
        for part in parts[1:]:
            out = out + part
        return out


class MultiScaleInput(nn.Module):
    """One MLP whose first layer has a group of neurons for every scale: sigma(s_i W_i x + b_i).

    MscaleDNN-1 of the source. Groups are as even as they can be, first ones larger.

    Raises:
        BadParameter: a scale is not positive and finite, or a group has fewer than four neurons.

    >>> MultiScaleInput([1, 2, 4], 1, 12, 12, 1)(torch.zeros(5, 1)).shape
    torch.Size([5, 1])
    """

    scales: Tensor

    def __init__(self, scales: Sequence[float], *sizes: int, activation: str = "sin") -> None:
        super().__init__()
        given = _positive(scales)
        width, count = sizes[1], len(given)
        if width < NARROWEST * count:
            raise BadParameter(
                f"{count} scales leave {width / count:.3g} neurons each of a layer of {width}",
                f"allowed: {NARROWEST} or more; give at most {width // NARROWEST} scales",
            )
        place = torch.arange(width) * count // width
        self.register_buffer("scales", given[place][:, None])
        self.network = MLP(*sizes, activation=activation)

    def stretched(self) -> Float[Tensor, "neuron axis"]:
        """Return the first layer's weights, each times its neuron's scale."""
        weight: Tensor = _first(self.network).weight * self.scales
        return weight

    def forward(self, x: Float[Tensor, "sample axis"]) -> Float[Tensor, "sample output"]:
        """Map points to values."""
        _, *rest = self.network.layers
        out = torch.nn.functional.linear(x, self.stretched(), _first(self.network).bias)
        for layer in rest:
            out = layer(self.network.activation(out))
        return out


def _first(network: MLP) -> nn.Linear:
    layer = network.layers[0]
    assert isinstance(layer, nn.Linear)  # noqa: S101
    return layer


class Encoded(nn.Module):
    """A network of encoded inputs, such as `FourierFeatures`: x -> network(encoding(x)).

    >>> from chymist.models.coordinate import harmonics
    >>> Encoded(harmonics(8), MLP(16, 32, 1, activation="tanh"))(torch.zeros(5, 1)).shape
    torch.Size([5, 1])
    """

    def __init__(self, encoding: nn.Module, network: nn.Module) -> None:
        super().__init__()
        self.encoding = encoding
        self.network = network

    def forward(self, x: Float[Tensor, "sample axis"]) -> Float[Tensor, "sample output"]:
        """Map points to values."""
        out: Tensor = self.network(self.encoding(x))
        return out


def glorot_normal_start(module: nn.Module, generator: torch.Generator) -> None:
    """Draw weights and biases of linear layers from N(0, 2/(inputs + outputs)).

    Source: Liu, Cai, Xu (2020), arXiv:2007.11207; the weights alone are Glorot and Bengio's (2010).
    """
    for layer in (m for m in module.modules() if isinstance(m, nn.Linear)):
        std = math.sqrt(2 / (layer.in_features + layer.out_features))
        layer.weight.normal_(0, std, generator=generator)
        if layer.bias is not None:
            layer.bias.normal_(0, std, generator=generator)


def stretched_start(module: nn.Module, generator: torch.Generator, *, largest: float) -> None:
    """Start as `glorot_normal_start`, with scales geometric from 1 to `largest`, data of a lane.

    For a `MultiScale`; with `largest` 1 all its scales are 1.
    """
    glorot_normal_start(module, generator)
    for part in module.modules():
        if isinstance(part, MultiScale):
            part.scales.copy_(torch.as_tensor(geometric_scales(len(part.scales), largest)))


def geometric_scales(count: int, largest: float) -> list[float]:
    """Return `count` scales from 1 to `largest`, each as many times the one before.

    Raises:
        BadParameter: the count is not positive, or the largest scale is not positive and finite.

    >>> geometric_scales(4, 8.0)
    [1.0, 2.0, 4.0, 8.0]
    """
    _positive([largest] * max(count, 0))
    if count == 1:
        return [float(largest)]
    return [round(largest ** (i / (count - 1)), 12) for i in range(count)]


def _positive(scales: Sequence[float]) -> Tensor:
    if not len(scales):
        raise BadParameter("no scale is given", "give one or more positive numbers")
    for scale in scales:
        if not (scale > 0 and math.isfinite(scale)):
            raise BadParameter(f"scale {scale:g} cannot be used", "allowed: positive numbers")
    return torch.tensor([float(s) for s in scales])

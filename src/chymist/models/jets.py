"""Derivatives of networks with respect to their inputs, carried forward through the layers.

Beside a layer's values go its slopes along every axis and its Laplacian. For few axes that is
cheaper than differentiating backwards twice, and what comes out is a network like any other, of
linear layers and functions element by element: its derivatives are further outputs, which a loss
can weigh. Source: Li et al. (2024), arXiv:2307.08214, the forward Laplacian.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from chymist.errors import BadParameter
from chymist.models.activations import ACTIVATIONS
from chymist.models.box import BoxAnsatz
from chymist.models.coordinate import FourierFeatures
from chymist.models.mlp import MLP
from chymist.models.multiscale import Encoded, MultiScale, MultiScaleInput


class Jet(NamedTuple):
    """Values, and their derivatives by each coordinate; what is the same everywhere has one row.

    No Laplacian stands for one that is zero.
    """

    value: Float[Tensor, "sample feature"]
    slopes: tuple[Float[Tensor, "sample|1 feature"], ...]
    laplacian: Float[Tensor, "sample|1 feature"] | None = None


class WithDerivatives(nn.Module):
    """A network with its derivatives as further outputs: u, du/dx_1, ..., du/dx_d, Laplace u.

    Without `laplacian` the last is left out, which saves a third of the time. Of networks with one
    output. Those whose derivatives are known: `MLP` (with the activations of `SLOPES`),
    `MultiScale`, `MultiScaleInput`, `Encoded` by `FourierFeatures`, `BoxAnsatz`, `nn.Linear`.

    Raises:
        BadParameter: the network is none of these.

    >>> net = nn.Linear(2, 1)
    >>> made = WithDerivatives(net)(torch.rand(5, 2))
    >>> torch.equal(made[0, 1:3], net.weight[0]), abs(made[0, 3].item())
    (True, 0.0)
    """

    def __init__(self, network: nn.Module, *, laplacian: bool = True) -> None:
        super().__init__()
        _require_known(network)
        self.network = network
        self.laplacian = laplacian

    def forward(self, x: Float[Tensor, "sample axis"]) -> Float[Tensor, "sample output"]:
        """Map points to values and derivatives."""
        value, slopes, laplacian = jet(self.network, x, laplacian=self.laplacian)
        nothing = 0 * value
        parts = [value, *(nothing + slope for slope in slopes)]
        if self.laplacian:
            parts.append(nothing if laplacian is None else nothing + laplacian)
        return torch.cat(parts, dim=-1)


def jet(network: nn.Module, x: Float[Tensor, "sample axis"], *, laplacian: bool = True) -> Jet:
    """Return a network's outputs with slopes and Laplacian at points x.

    Cost: that of 1 + d forward passes, with the Laplacian 2 + d; the backward pass costs as many.

    Raises:
        BadParameter: the network is of a kind whose derivatives are not known.
    """
    axes = torch.eye(x.shape[-1], dtype=x.dtype, device=x.device)
    start = Jet(x, tuple(axes[i : i + 1] for i in range(x.shape[-1])))
    return _through(network, start, laplacian)


def _through(part: nn.Module, at: Jet, second: bool) -> Jet:
    match part:
        case nn.Linear():
            return _linear(at, part.weight, part.bias)
        case MLP():
            *hidden, last = part.layers
            return _layers(part, at, [*hidden, last], second)
        case MultiScaleInput():
            first, *rest = list(part.network.layers)
            at = _linear(at, part.stretched(), getattr(first, "bias", None))
            if rest:
                at = _element(part.network.activation, at, second)
            return _layers(part.network, at, rest, second)
        case MultiScale():
            parts = [
                _through(network, _scaled(at, part.scales[i : i + 1]), second)
                for i, network in enumerate(part.networks)
            ]
            return _sum(parts)
        case Encoded(encoding=FourierFeatures() as encoding):
            return _through(part.network, _waves(encoding, at, second), second)
        case BoxAnsatz():
            made = _through(part.network, at, second)
            for i in range(at.value.shape[-1]):
                made = _product(made, _edge(at, i), second)
            return made
    raise BadParameter(
        f"derivatives of {type(part).__name__} are not known",
        "give an MLP, MultiScale, MultiScaleInput, Encoded by FourierFeatures, or BoxAnsatz",
    )


def _require_known(network: nn.Module) -> None:
    first = next(network.parameters())
    axes = getattr(network, "axes", None)
    for count in (axes,) if axes else range(1, 4):
        try:
            jet(network, torch.zeros(1, count, dtype=first.dtype, device=first.device))
        except BadParameter:
            raise
        except RuntimeError:
            continue
        return


def _layers(mlp: MLP, at: Jet, layers: list[Any], second: bool) -> Jet:
    for number, layer in enumerate(layers):
        at = _linear(at, layer.weight, layer.bias)
        if number < len(layers) - 1:
            at = _element(mlp.activation, at, second)
    return at


def _linear(at: Jet, weight: Tensor, bias: Tensor | None) -> Jet:
    def turned(part: Tensor) -> Tensor:
        return torch.nn.functional.linear(part, weight)

    value = torch.nn.functional.linear(at.value, weight, bias)
    laplacian = None if at.laplacian is None else turned(at.laplacian)
    return Jet(value, tuple(map(turned, at.slopes)), laplacian)


def _scaled(at: Jet, scale: Tensor | float) -> Jet:
    laplacian = None if at.laplacian is None else at.laplacian * scale
    return Jet(at.value * scale, tuple(s * scale for s in at.slopes), laplacian)


def _element(activation: Callable[[Tensor], Tensor], at: Jet, second: bool) -> Jet:
    if activation not in SLOPES:
        known = ", ".join(sorted(n for n, f in ACTIVATIONS.items() if f in SLOPES))
        raise BadParameter("the activation's derivatives are not known", f"give one of {known}")
    value, slope, curvature = SLOPES[activation](at.value, second)
    return _chained(value, slope, curvature, at)


def _chained(value: Tensor, slope: Tensor, curvature: Tensor | None, at: Jet) -> Jet:
    """The chain rule: phi(z)' = phi' z', Laplace phi(z) = phi'' |grad z|^2 + phi' Laplace z."""
    laplacian = None
    if curvature is not None:
        total = torch.square(at.slopes[0])
        for other in at.slopes[1:]:
            total = total + torch.square(other)
        laplacian = curvature * total
        if at.laplacian is not None:
            laplacian = laplacian + slope * at.laplacian
    return Jet(value, tuple(slope * s for s in at.slopes), laplacian)


def _waves(encoding: FourierFeatures, at: Jet, second: bool) -> Jet:
    at = _scaled(_linear(at, encoding.frequencies, None), 2 * torch.pi)
    cos, sin = at.value.cos(), at.value.sin()
    size = encoding.amplitudes
    even = _chained(size * cos, -1 * (size * sin), -1 * (size * cos) if second else None, at)
    odd = _chained(size * sin, size * cos, -1 * (size * sin) if second else None, at)
    slopes = [torch.cat(pair, dim=-1) for pair in zip(even.slopes, odd.slopes, strict=True)]
    laplacian = None
    if even.laplacian is not None and odd.laplacian is not None:
        laplacian = torch.cat([even.laplacian, odd.laplacian], dim=-1)
    return Jet(torch.cat([even.value, odd.value], dim=-1), tuple(slopes), laplacian)


def _edge(at: Jet, axis: int) -> Jet:
    """The jet of 1 - x_i^2."""
    x, one = at.value[:, axis : axis + 1], at.slopes[axis][:, axis : axis + 1]
    slopes = tuple(
        -2 * x if i == axis else 0 * s[:, axis : axis + 1] for i, s in enumerate(at.slopes)
    )
    return Jet(1 - x * x, slopes, -2 * one)


def _product(a: Jet, b: Jet, second: bool) -> Jet:
    """The product rule: Laplace ab = a Laplace b + b Laplace a + 2 grad a . grad b."""
    pairs = list(zip(a.slopes, b.slopes, strict=True))
    laplacian = None
    if second:
        terms = [2 * p * q for p, q in pairs]
        terms += [] if a.laplacian is None else [b.value * a.laplacian]
        terms += [] if b.laplacian is None else [a.value * b.laplacian]
        laplacian = terms[0]
        for term in terms[1:]:
            laplacian = laplacian + term
    return Jet(a.value * b.value, tuple(p * b.value + a.value * q for p, q in pairs), laplacian)


def _sum(parts: list[Jet]) -> Jet:
    value, slopes, laplacian = parts[0]
    for part in parts[1:]:
        value = value + part.value
        slopes = tuple(a + b for a, b in zip(slopes, part.slopes, strict=True))
        if laplacian is not None and part.laplacian is not None:
            laplacian = laplacian + part.laplacian
    return Jet(value, slopes, laplacian)


def _tanh(z: Tensor, second: bool) -> tuple[Tensor, Tensor, Tensor | None]:
    t = torch.tanh(z)
    slope = 1 - t * t
    return t, slope, -2 * (t * slope) if second else None


def _sin(z: Tensor, second: bool) -> tuple[Tensor, Tensor, Tensor | None]:
    wave = torch.sin(z)
    return wave, torch.cos(z), -1 * wave if second else None


def _relu(z: Tensor, second: bool) -> tuple[Tensor, Tensor, Tensor | None]:
    value = torch.relu(z)
    step = torch.sign(value)
    return value, step, 0 * step if second else None


def _srelu(z: Tensor, second: bool) -> tuple[Tensor, Tensor, Tensor | None]:
    up, down = torch.relu(z), torch.relu(1 - z)
    inside = torch.sign(up * down)
    return up * down, inside * (1 - 2 * z), -2 * inside if second else None


def _phi(z: Tensor, second: bool) -> tuple[Tensor, Tensor, Tensor | None]:
    t = torch.abs(z - 1.5)
    wide, narrow = torch.relu(1.5 - t), torch.relu(0.5 - t)
    slope = torch.sign(z - 1.5) * (6 * narrow - 2 * wide)
    curvature = 2 * torch.sign(wide) - 6 * torch.sign(narrow) if second else None
    return wide * wide - 3 * (narrow * narrow), slope, curvature


SLOPES: dict[Callable[[Tensor], Tensor], Callable[..., tuple[Tensor, Tensor, Tensor | None]]] = {
    ACTIVATIONS["tanh"]: _tanh,
    ACTIVATIONS["sin"]: _sin,
    ACTIVATIONS["relu"]: _relu,
    ACTIVATIONS["srelu"]: _srelu,
    ACTIVATIONS["phi"]: _phi,
}
"""Activations to what gives their value, slope and, where wanted, curvature at z."""

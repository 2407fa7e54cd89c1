"""Homogeneity: whether f(c w; x) = c^L f(w; x) in the weights w, and the degree L."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from chymist.errors import BadParameter, CannotMeasure
from chymist.instruments.networks import Networks, of_snapshot, of_tensor
from chymist.instruments.snapshot import Instrument, Snapshot

ALLOWED = 1e-3
"""Relative departure from homogeneity up to which a network is called homogeneous."""


@dataclass(frozen=True, eq=False)
class Homogeneity:
    """A degree of homogeneity by Euler's identity and by scaling, each with how far it fails.

    `degree` is the L nearest to <w, grad f> = L f over samples and outputs, by least squares, and
    `residual` what it leaves, ||<w, grad f> - L f|| / ||L f||. `scaled` is ln(f(c w) . f(w) /
    ||f(w)||^2) / ln c for each factor c, and `turned` the sine of the angle of f(c w) to f(w).
    Homogeneous: both degrees agree, and residual and `turned` are zero.
    """

    degree: Float[Tensor, "*lane"]
    residual: Float[Tensor, "*lane"]
    scaled: Float[Tensor, "*lane factor"]
    turned: Float[Tensor, "*lane factor"]

    @property
    def homogeneous(self) -> Tensor:
        """Whether f is homogeneous to one part in a thousand, of each lane."""
        apart = (self.scaled - self.degree[..., None]).abs().amax(-1)
        small = (self.residual <= ALLOWED) & (self.turned.amax(-1) <= ALLOWED)
        return small & (apart <= ALLOWED * self.degree.abs().clamp(min=1))

    def lane(self, lane: int) -> Homogeneity:
        """Return one lane's homogeneity, without the lane dimension."""
        return Homogeneity(
            self.degree[lane], self.residual[lane], self.scaled[lane], self.turned[lane]
        )


def homogeneity(
    model: nn.Module, x: Tensor, *, factors: tuple[float, ...] = (1.1, 2.0), **options: Any
) -> Homogeneity:
    """Degree L of homogeneity of a network in its weights, f(c w; x) = c^L f(w; x), measured.

    By Euler's identity <w, df/dw> = L f and by scaling with each of `factors`, over all samples and
    outputs of x. A bias in any but the first layer, or a layer norm, is not homogeneous of the
    layers' number. Shapes: numbers, (factor,), float64. Unit: 1. `options` go to `of_tensor`: the
    degree in some weights alone with `only`. Cost: 3 gradient evaluations, a forward pass a factor.
    Memory: twice a gradient's. Error: rounding. Source: Lyu, Li (2020), arXiv:1906.05890.

    Raises:
        BadParameter: a factor is not positive, or 1.
        CannotMeasure: the outputs are zero; see `of_tensor`.

    Two layers without biases have the degree 2:

    >>> net = nn.Sequential(nn.Linear(3, 8, bias=False), nn.ReLU(), nn.Linear(8, 1, bias=False))
    >>> found = homogeneity(net.double(), torch.ones(1, 3, dtype=torch.float64))
    >>> round(float(found.degree), 9), bool(found.homogeneous)
    (2.0, True)
    """
    made = of_tensor(model, x, **options)
    if not bool(made.outputs().any()):
        raise CannotMeasure("all outputs are zero", "give samples with outputs that are not")
    return measured(made, factors).lane(0)


def training_homogeneity(name: str = "homogeneity") -> Instrument:
    """Return an instrument that records Euler's degree of homogeneity on the training samples.

    Shape: (lane,), float64. Unit: 1. Cost: 3 gradient evaluations. Memory: twice a gradient's.
    Error: rounding. NaN where all outputs are zero. Source: see `homogeneity`.

    >>> training_homogeneity().units
    '1'
    """

    def measure(snapshot: Snapshot) -> Tensor:
        made = of_snapshot(snapshot)
        return _euler(made)[0]

    return Instrument(name, measure, long_name="degree of homogeneity in the weights")


def measured(made: Networks, factors: tuple[float, ...] = (1.1, 2.0)) -> Homogeneity:
    """Return every lane's homogeneity; see `homogeneity`."""
    if not factors or not all(c > 0 and c != 1 for c in factors):
        raise BadParameter(f"factors are {factors}", "positive numbers other than 1")
    degree, residual = _euler(made)
    before = made.outputs().flatten(1)
    scaled, turned = [], []
    for c in factors:
        grown = {n: c * p.detach() for n, p in made.parameters.items()}
        after = replace(made, parameters=grown).outputs().flatten(1)
        along = (after * before).sum(1) / before.square().sum(1)
        scaled.append(along.log() / math.log(c))
        across = after - along[:, None] * before
        turned.append(across.norm(dim=1) / after.norm(dim=1))
    return Homogeneity(degree, residual, torch.stack(scaled, 1), torch.stack(turned, 1))


def needed_degree(made: Networks) -> Tensor:
    """Return every lane's degree of homogeneity.

    Raises:
        CannotMeasure: a network is not homogeneous.
    """
    found = measured(made)
    if not bool(found.homogeneous.all()):
        raise CannotMeasure(
            f"the network is not homogeneous in its weights: Euler's identity gives the degree "
            f"{float(found.degree[0]):.4g} with a residual of {float(found.residual[0]):.1e}",
            "take biases out of all layers but the first, or give degree=",
        )
    return found.degree


def _euler(made: Networks) -> tuple[Tensor, Tensor]:
    """Degree and residual by Euler's identity, whose left side is a derivative along the weights.

    It is taken by reverse mode twice: a gradient is linear in the vector it is pulled back from.
    """
    leaves, outputs = made.traced(made.x)
    with torch.enable_grad():
        pulled = torch.zeros_like(outputs, requires_grad=True)
        slopes = torch.autograd.grad(outputs, leaves, pulled, create_graph=True, allow_unused=True)
        along = sum(
            ((s * w.detach()).sum() for s, w in zip(slopes, leaves, strict=True) if s is not None),
            torch.zeros((), dtype=outputs.dtype, device=outputs.device),
        )
        (left,) = torch.autograd.grad(along, pulled)
    f, left = outputs.detach().double().flatten(1), left.double().flatten(1)
    degree = (left * f).sum(1) / f.square().sum(1)
    fitted = degree[:, None] * f
    residual = (left - fitted).norm(dim=1) / fitted.norm(dim=1)
    return degree, torch.where(fitted.any(1), residual, left.norm(dim=1))

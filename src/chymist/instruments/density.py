"""Spectral density of curvature: how many eigenvalues lie where, by stochastic Lanczos."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from chymist.errors import BadParameter
from chymist.instruments.matrices import curvature
from chymist.instruments.objective import Data, Loss, snapshot_objective
from chymist.instruments.one_network import objective
from chymist.instruments.operators import Operator
from chymist.instruments.probes import one_key, signs
from chymist.instruments.snapshot import Instrument, Snapshot
from chymist.keys import Key


@dataclass(frozen=True, eq=False)
class Density:
    """A spectral density on a grid, and the quadrature it is drawn from.

    `values` integrate to one. `width` is the standard deviation of the Gaussian kernel by which
    each eigenvalue is drawn; what is narrower is not resolved. `nodes` and `weights` are each
    probe's quadrature, without a kernel.
    """

    grid: Float[Tensor, "*lane point"]
    values: Float[Tensor, "*lane point"]
    standard_error: Float[Tensor, "*lane point"]
    width: Float[Tensor, "*lane"]
    products: int
    gradients: int
    nodes: Float[Tensor, "*lane probe node"] = field(repr=False)
    weights: Float[Tensor, "*lane probe node"] = field(repr=False)

    def share(self, low: float, high: float) -> tuple[Tensor, Tensor]:
        """Return the share of eigenvalues in [low, high), and its standard error; no kernel.

        As far as the steps resolve them: eigenvalues close to an edge may count on either side,
        which the standard error does not include.
        """
        inside = (self.nodes >= low) & (self.nodes < high)
        each = (self.weights * inside).sum(-1)
        return each.mean(-1), each.std(-1) / math.sqrt(each.shape[-1])

    def lane(self, lane: int) -> Density:
        """Return one lane's density, without the lane dimension."""
        return Density(
            self.grid[lane], self.values[lane], self.standard_error[lane], self.width[lane],
            self.products, self.gradients, self.nodes[lane], self.weights[lane],
        )  # fmt: skip


def spectral_density(
    model: nn.Module,
    loss: Loss,
    data: Data,
    *,
    matrix: str = "hessian",
    probes: int = 4,
    steps: int = 60,
    points: int = 512,
    width: float | None = None,
    seed: int = 0,
    **options: Any,
) -> Density:
    """Density of the eigenvalues of a network's curvature, (1/P) sum_i N(x; lambda_i, width^2).

    By stochastic Lanczos quadrature: each probe, a vector of random signs, gives after `steps`
    products with full reorthogonalisation a Gauss quadrature (nodes, weights) of the spectrum; the
    density is the mean over probes. `width` is the kernel's standard deviation (default: a
    hundredth of the range of the spectrum). Shapes: (point,). Unit of the grid: loss over the
    parameters' squared, of the values its inverse. `options` go to `objective`. Cost: two gradient
    evaluations for each of probes x steps products, one more. Memory: probes x steps vectors.
    Error: the standard error over probes; the quadrature is exact for polynomials of degree
    2 steps - 1. Sources: Golub and Welsch (1969), Math. Comput. 23; Ghorbani, Krishnan, Xiao
    (2019), arXiv:1901.10159.

    Raises:
        BadParameter: fewer than two probes, a step or a point, or a width that is not positive.
        CannotMeasure: see `objective`.

    The Hessian diag(4, 1): half of the eigenvalues are above 2.

    >>> x = torch.tensor([[2.0], [-2.0]])
    >>> half = lambda out, y: 0.5 * (out - y).square().mean()
    >>> found = spectral_density(nn.Linear(1, 1), half, (x, x))
    >>> found.share(2.0, 5.0)[0].round(decimals=4)
    tensor(0.5000, dtype=torch.float64)
    """
    made = curvature(objective(model, loss, data, **options), matrix)
    keys = one_key(seed, "density")
    return estimated_density(
        made, keys, probes=probes, steps=steps, points=points, width=width
    ).lane(0)


def training_density(
    *,
    matrix: str = "hessian",
    probes: int = 4,
    steps: int = 60,
    points: int = 256,
    width: float | None = None,
    name: str = "density",
) -> tuple[Instrument, Instrument]:
    """Return two instruments: the spectral density of each lane along a training, and its grid.

    They are called `name` and `name`_grid, and share one measurement: a lane's `name` at a point is
    the density at the eigenvalue that `name`_grid has there. Of the training loss over all samples,
    with probes by each lane's key; the rest is as of `spectral_density`. Shapes: (lane, point).
    Units: of the inverse of the grid's, which is the loss over the parameters' squared. Cost: two
    gradient evaluations for each of probes x steps products, and one more. Memory: probes x steps
    vectors a lane. Error: over probes. A lane whose products are not finite is NaN. Source: as
    there.

    Raises:
        BadParameter: fewer than two probes, a step or two points; a width that is not positive; at
            the recording, an unknown matrix.

    >>> [i.name for i in training_density()]
    ['density', 'density_grid']
    """
    _allowed(probes, steps, points, width)

    def measured(read: Callable[[Density], Tensor]) -> Callable[[Snapshot], Tensor]:
        def measure(snapshot: Snapshot) -> Tensor:
            step, kept = snapshot.memory.get(name, (-1, None))
            if step != snapshot.step:
                operator = curvature(snapshot_objective(snapshot), matrix)
                found = estimated_density(
                    operator, snapshot.keys(name),
                    probes=probes, steps=steps, points=points, width=width,
                )  # fmt: skip
                kept = (found, operator)
                snapshot.memory[name] = (snapshot.step, kept)
            found, operator = cast("tuple[Density, Operator]", kept)
            return operator.known(read(found))

        return measure

    what = f"of the spectrum of the {matrix}"
    return (
        Instrument(name, measured(lambda d: d.values), ("point",), long_name=f"density {what}"),
        Instrument(
            f"{name}_grid", measured(lambda d: d.grid), ("point",), long_name=f"grid {what}"
        ),
    )


def estimated_density(
    operator: Operator,
    keys: Sequence[Key],
    *,
    probes: int = 4,
    steps: int = 60,
    points: int = 512,
    width: float | None = None,
) -> Density:
    """Estimate the spectral density of each lane's matrix; see `spectral_density`.

    Raises:
        BadParameter: fewer than two probes, a step or a point, or a width that is not positive.
    """
    _allowed(probes, steps, points, width)
    before = operator.counts
    nodes, weights = _quadrature(operator, signs(operator, keys, probes), steps)
    seen = weights > 0
    top = nodes.masked_fill(~seen, -torch.inf).flatten(1).amax(1)
    low = nodes.masked_fill(~seen, torch.inf).flatten(1).amin(1)
    spread = (top - low).clamp(min=1e-6 * torch.maximum(top.abs(), low.abs()))
    # A matrix with all eigenvalues zero has no scale of its own.
    spread = torch.where(spread > 0, spread, torch.ones_like(spread))
    sigma = spread / 100 if width is None else torch.full_like(spread, width)
    unit = torch.linspace(0, 1, points, dtype=nodes.dtype)
    grid = (low - 4 * sigma)[:, None] + unit * (top - low + 8 * sigma)[:, None]
    bells = torch.zeros(*nodes.shape[:2], points, dtype=nodes.dtype)
    for node, weight in zip(nodes.unbind(2), weights.unbind(2), strict=True):
        away = (grid[:, None, :] - node[:, :, None]) / sigma[:, None, None]
        bells += weight[:, :, None] * torch.exp(-0.5 * away.square())
    bells = bells / (sigma[:, None, None] * math.sqrt(2 * math.pi))
    return Density(
        grid, bells.mean(1), bells.std(1) / math.sqrt(probes), sigma,
        operator.products - before[0], operator.gradients_since(before), nodes, weights,
    )  # fmt: skip


def _allowed(probes: int, steps: int, points: int, width: float | None) -> None:
    if probes < 2 or steps < 1 or points < 2:
        raise BadParameter(
            f"probes is {probes}, steps {steps} and points {points}", "at least 2, 1 and 2"
        )
    if width is not None and not width > 0:
        raise BadParameter(f"width is {width}", "it must be positive")


def _quadrature(operator: Operator, starts: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    """Each probe's nodes and weights (lane, probe, node), from its own Lanczos recurrence."""
    steps = min(steps, operator.size)
    eps = torch.finfo(operator.like.dtype).eps
    vector = starts / starts.norm(dim=2, keepdim=True)
    basis = vector[:, :, None]
    alphas: list[Tensor] = []
    betas: list[Tensor] = []
    scale = torch.zeros(vector.shape[:2], dtype=torch.float64)
    for step in range(steps):
        image = operator(vector)
        along = (image * vector).sum(2)
        alphas.append(along.double().cpu())
        if step + 1 == steps:
            break
        rest = image
        for _ in range(2):
            rest = rest - ((basis @ rest[..., None]).mT @ basis)[:, :, 0]
        size = rest.norm(dim=2, keepdim=True)
        scale = torch.maximum(scale, image.norm(dim=2).double().cpu())
        # Where nothing is left the recurrence is complete: zeros from there carry no weight.
        alive = size[..., 0].double().cpu() > 10 * eps * scale
        betas.append(size[..., 0].double().cpu() * alive)
        vector = torch.where(alive[..., None].to(size.device), rest / size, torch.zeros_like(rest))
        basis = torch.cat([basis, vector[:, :, None]], dim=2)
    matrix = torch.diag_embed(torch.stack(alphas, dim=2))
    if betas:
        off = torch.diag_embed(torch.stack(betas, dim=2), offset=1)
        matrix = matrix + off + off.mT
    nodes, rotation = torch.linalg.eigh(matrix)
    weights = rotation[:, :, 0, :].square()
    return nodes, torch.where(weights > 1e-14, weights, torch.zeros_like(weights))

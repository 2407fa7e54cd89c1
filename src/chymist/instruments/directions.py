"""Curvature along directions, and how much of the gradient lies in the directions of most."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from chymist.errors import CannotMeasure
from chymist.instruments.eigenpairs import eigenpairs
from chymist.instruments.hessian import hessian
from chymist.instruments.matrices import curvature
from chymist.instruments.objective import (
    Data,
    Loss,
    Objective,
    snapshot_objective,
)
from chymist.instruments.one_network import objective
from chymist.instruments.operators import Operator
from chymist.instruments.snapshot import Instrument, Snapshot


def directional_curvature(
    model: nn.Module,
    loss: Loss,
    data: Data,
    direction: Mapping[str, Tensor],
    *,
    matrix: str = "hessian",
    **options: Any,
) -> Tensor:
    """Curvature along a direction v in parameter space, v^T H v / v^T v.

    `direction` names a tensor for every parameter, shaped as it is. Shape: a number, float64. Unit:
    of the loss over the parameters' squared. `options` go to `objective`. Cost: three gradient
    evaluations. Memory: three times what a gradient holds. Error: rounding. Source: a Rayleigh
    quotient, as in Pearlmutter (1994), Neural Computation 6.

    Raises:
        CannotMeasure: the direction is zero, or does not fit the parameters; see `objective`.

    Half the squared error of w x + b bends by mean(x^2) along w:

    >>> import torch
    >>> x = torch.tensor([[2.0], [-2.0]])
    >>> half = lambda out, y: 0.5 * (out - y).square().mean()
    >>> along = {"weight": torch.ones(1, 1), "bias": torch.zeros(1)}
    >>> directional_curvature(nn.Linear(1, 1), half, (x, x), along)
    tensor(4., dtype=torch.float64)
    """
    made = objective(model, loss, data, **options)
    rows = made.rows(direction)
    if not bool(rows.any()):
        raise CannotMeasure("the direction is zero", "give one that is not")
    return rayleigh(curvature(made, matrix), rows)[0]


@dataclass(frozen=True, eq=False)
class Alignment:
    """How the gradient lies in the curvature. NaN where the gradient is zero.

    `share` is the part of ||g||^2 in the span of the k eigenvectors of largest eigenvalue;
    `curvature` is g^T H g / g^T g, and `ratio` that over the largest eigenvalue. `chance` is k / P,
    the share of a random direction.
    """

    share: Float[Tensor, "*lane"]
    curvature: Float[Tensor, "*lane"]
    ratio: Float[Tensor, "*lane"]
    chance: float
    gradients: int

    def lane(self, lane: int) -> Alignment:
        """Return one lane's alignment, without the lane dimension."""
        return Alignment(
            self.share[lane], self.curvature[lane], self.ratio[lane], self.chance, self.gradients
        )


def gradient_alignment(
    model: nn.Module,
    loss: Loss,
    data: Data,
    k: int = 1,
    *,
    tolerance: float = 1e-5,
    **options: Any,
) -> Alignment:
    """How much of the gradient g lies where the Hessian is largest: ||U^T g||^2 / ||g||^2.

    U holds the k eigenvectors of largest eigenvalue. Shapes: numbers, float64. Units: share and
    ratio 1, the curvature that of the Hessian. `options` go to `objective`. Cost: as `sharpness`
    with k, two gradient evaluations more. Memory: as there. Error: the share's is about twice the
    eigenvectors' angle, residual over gap. Source: Gur-Ari, Roberts, Dyer (2018), arXiv:1812.04754.

    Raises:
        BadParameter: k is larger than the number of parameters.
        CannotMeasure: see `objective`.

    With the Hessian diag(4, 1) and the gradient (4, 0), all of it lies along the first:

    >>> import torch
    >>> x, line = torch.tensor([[2.0], [-2.0]]), nn.Linear(1, 1)
    >>> half = lambda out, y: 0.5 * (out - y).square().mean()
    >>> with torch.no_grad():
    ...     _ = line.weight.fill_(1.0), line.bias.zero_()
    >>> found = gradient_alignment(line, half, (x, torch.zeros(2, 1)))
    >>> found.share.round(decimals=4), found.curvature
    (tensor(1., dtype=torch.float64), tensor(4., dtype=torch.float64))
    """
    made = objective(model, loss, data, **options)
    return alignment(made, k, tolerance=tolerance).lane(0)


def training_alignment(
    k: int = 1, *, tolerance: float = 1e-3, name: str = "alignment"
) -> Instrument:
    """Return an instrument that records `gradient_alignment`'s share of each lane.

    Of the training loss over all its samples. Shape: (lane,). Unit: 1. Cost: 2 gradient evaluations
    for each of about 6 k products and 2 products; eigenvectors are warm-started as in
    `training_sharpness`, with one guard. Memory and error: as there. Source: Gur-Ari, Roberts, Dyer
    (2018), arXiv:1812.04754.

    >>> training_alignment(2).name
    'alignment'
    """

    def measure(snapshot: Snapshot) -> Tensor:
        made = snapshot_objective(snapshot)
        operator = hessian(made)
        found = eigenpairs(
            operator, k, tolerance=tolerance, block=min(k + 1, made.size),
            start=snapshot.memory.get(name),
        )  # fmt: skip
        snapshot.memory[name] = found.next_start
        return operator.known(_share(found.vectors, made.gradient))

    return Instrument(
        name, measure, long_name=f"share of the gradient in the top {k} Hessian directions"
    )


def alignment(objective: Objective, k: int, *, tolerance: float = 1e-5) -> Alignment:
    """Return every lane's alignment; see `gradient_alignment`."""
    operator = hessian(objective)
    found = eigenpairs(operator, k, tolerance=tolerance)
    along = rayleigh(operator, objective.gradient)
    return Alignment(
        _share(found.vectors, objective.gradient),
        along,
        along / found.values[:, 0],
        k / objective.size,
        operator.gradients,
    )


def rayleigh(operator: Operator, rows: Float[Tensor, "lane parameter"]) -> Tensor:
    """Return v^T A v / v^T v of one vector a lane, in float64; NaN for a vector of zeros.

    >>> from chymist.instruments.operators import from_matrix
    >>> import torch
    >>> rayleigh(from_matrix(torch.diag(torch.tensor([4.0, 1.0]))), torch.tensor([[1.0, 1.0]]))
    tensor([2.5000], dtype=torch.float64)
    """
    rows = rows.to(operator.like)
    size = rows.norm(dim=1, keepdim=True)
    unit = torch.where(size == 0, rows, rows / size)
    quotient: Tensor = (unit.double() * operator(unit[:, None])[:, 0].double()).sum(1)
    return operator.known(quotient.masked_fill(size[:, 0] == 0, torch.nan))


def _share(vectors: Tensor, gradient: Tensor) -> Tensor:
    unit = (gradient / gradient.norm(dim=1, keepdim=True)).double()
    share: Tensor = (vectors.double() @ unit[..., None])[..., 0].square().sum(1)
    return share

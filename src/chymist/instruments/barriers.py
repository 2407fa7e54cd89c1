"""Loss barriers along the straight path between two networks of one shape."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from chymist.errors import BadParameter, CannotMeasure
from chymist.instruments.objective import Data, Loss
from chymist.instruments.one_network import objective
from chymist.instruments.slices import losses_at

GOLDEN = (5**0.5 - 1) / 2


@dataclass(frozen=True, eq=False)
class Barrier:
    """How far the loss rises above the straight line between its ends' losses.

    `height` is max over t of L(t) - ((1 - t) L(0) + t L(1)), never negative, and `at` its t.
    `losses` are those at the evenly spaced `points`.
    """

    height: Tensor
    at: float
    points: Float[Tensor, " point"]
    losses: Float[Tensor, " point"]


def loss_barrier(
    model: nn.Module,
    loss: Loss,
    data: Data,
    other: nn.Module | Mapping[str, Tensor],
    *,
    points: int = 25,
    refine: int = 20,
    **options: Any,
) -> Barrier:
    """Barrier of the loss on the straight path of weights from a model to another.

    max over t in [0, 1] of L((1 - t) w + t w') - ((1 - t) L(w) + t L(w')): on evenly spaced points,
    then by golden section around the highest. `other` is a model of the same shape, or its
    parameters by name; buffers and parameters with requires_grad False are the first model's.
    Shapes: numbers, (point,), float64. Unit: of the loss. `options` go to `objective`. Cost: a
    forward pass a point and a refinement, and two of checks. Memory: of a forward pass. Error: a
    narrower peak than the points' spacing can be missed; refined to about 1e-4 of the spacing.
    Source: Frankle and others (2020), arXiv:1912.05671.

    Raises:
        BadParameter: fewer than 3 points, or a negative `refine`.
        CannotMeasure: the other's parameters do not fit, are not finite or are the same; see
            `objective`.
        MovingTarget: see `objective`.

    The loss (w^2 - 1)^2 has a barrier of 1 between w = -1 and w = 1:

    >>> double = lambda out, y: (out.square() - y).square().mean()
    >>> line = nn.Linear(1, 1, bias=False)
    >>> with torch.no_grad():
    ...     _ = line.weight.fill_(-1.0)
    >>> found = loss_barrier(
    ...     line, double, (torch.ones(2, 1), torch.ones(2, 1)), {"weight": torch.ones(1, 1)})
    >>> found.height, found.at
    (tensor(1., dtype=torch.float64), 0.5)
    """
    if points < 3 or refine < 0:
        raise BadParameter(f"points is {points} and refine {refine}", "3 and 0 or more")
    made = objective(model, loss, data, **options)
    state = dict(other.named_parameters()) if isinstance(other, nn.Module) else other
    chosen = {n: t.detach() for n, t in state.items() if n in made.parameters or n not in
              {**dict(model.named_parameters()), **dict(model.named_buffers())}}  # fmt: skip
    end = made.rows(chosen)
    start = made.rows(made.parameters).detach()
    for name, part in made.named(end).items():
        if not bool(part.isfinite().all()):
            raise CannotMeasure(f"the other's parameter {name} is not finite", "give finite ones")
    if torch.equal(start, end):
        raise CannotMeasure("both ends of the path are the same", "give two networks")

    def at(t: float) -> Tensor:
        return losses_at(made, (1 - t) * start + t * end)[0]

    places = torch.linspace(0, 1, points, dtype=torch.float64)
    losses = torch.stack([at(float(t)) for t in places])
    first, last = losses[0], losses[-1]
    above = losses - ((1 - places) * first + places * last)
    top = int(above.argmax())
    best, height = float(places[top]), above[top]
    low, high = float(places[max(top - 1, 0)]), float(places[min(top + 1, points - 1)])
    tried = {t: at(t) - ((1 - t) * first + t * last) for t in (
        high - GOLDEN * (high - low), low + GOLDEN * (high - low)
    )} if refine else {}  # fmt: skip
    for _ in range(refine):
        (left, a), (right, b) = sorted(tried.items())[:2]
        if a > b:
            high, t = right, right - GOLDEN * (right - low)
            tried = {left: a}
        else:
            low, t = left, left + GOLDEN * (high - left)
            tried = {right: b}
        tried[t] = at(t) - ((1 - t) * first + t * last)
        for place, value in tried.items():
            if value > height:
                best, height = place, value
    return Barrier(height, best, places, losses)

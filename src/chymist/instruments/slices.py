"""Slices through the loss: along one direction or two, normalised filter by filter."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from chymist.errors import BadParameter, CannotMeasure
from chymist.instruments.objective import Data, Loss, Objective, snapshot_objective
from chymist.instruments.one_network import objective
from chymist.instruments.probes import one_key
from chymist.instruments.snapshot import Instrument, Snapshot
from chymist.keys import Key

STEPS = tuple(i / 25 for i in range(-25, 26))
Direction = Mapping[str, Tensor]
"""A tensor for every parameter, shaped as it is."""


@dataclass(frozen=True, eq=False)
class Slice:
    """Losses at w + s_1 d_1 (+ s_2 d_2), for all s_i among `steps`.

    `values` has one dimension a direction, in the order of the directions (rows).
    """

    steps: tuple[float, ...]
    values: Float[Tensor, ...]
    directions: tuple[dict[str, Tensor], ...]

    def half_width(self, above: float) -> float:
        """Return the mean distance from 0 at which a slice along one direction is `above` its loss.

        Linear between steps; infinite if a side does not rise so far.
        """
        if self.values.ndim != 1 or 0.0 not in self.steps:
            raise CannotMeasure("a width is of one direction, through 0", "slice along one")
        zero = self.steps.index(0.0)
        goal = float(self.values[zero]) + above
        sides = [list(range(zero, len(self.steps))), list(range(zero, -1, -1))]
        return sum(self._first(side, goal) for side in sides) / 2

    def _first(self, order: list[int], goal: float) -> float:
        for a, b in itertools.pairwise(order):
            low, high = float(self.values[a]), float(self.values[b])
            if high >= goal:
                share = (goal - low) / (high - low)
                return abs(self.steps[a] + share * (self.steps[b] - self.steps[a]))
        return float("inf")


def loss_slice(
    model: nn.Module,
    loss: Loss,
    data: Data,
    directions: int | Sequence[Direction] = 1,
    *,
    steps: Sequence[float] = STEPS,
    normalise: bool = True,
    seed: int = 0,
    **options: Any,
) -> Slice:
    """Losses on a line or a plane through the weights, L(w + s_1 d_1 + s_2 d_2).

    `directions` is their number, drawn at random by `seed`, or are given. With `normalise` each
    filter (row of a weight: what leads into one unit) of a direction gets the length of the
    network's, and one-dimensional parameters stay (biases, scales): then rescaling the weights
    between ReLU layers changes nothing. Shapes: `values` (step,) or (step, step), float64. Unit: of
    the loss. `options` go to `objective`. Cost: a forward pass a point, and two of checks. Memory:
    of a forward pass. Error: rounding; a picture of one or two directions among many. Source: Li,
    Xu, Taylor, Studer, Goldstein (2018), arXiv:1712.09913.

    Raises:
        BadParameter: not one direction or two; no steps.
        CannotMeasure: a direction does not fit the parameters; see `objective`.
        MovingTarget: see `objective`.

    Half the squared error of w x at w = 0, y = 0 is s^2 / 2 along w:

    >>> half = lambda out, y: 0.5 * (out - y).square().mean()
    >>> line = nn.Linear(1, 1, bias=False)
    >>> with torch.no_grad():
    ...     _ = line.weight.zero_()
    >>> data = (torch.ones(2, 1), torch.zeros(2, 1))
    >>> along = {"weight": torch.ones(1, 1)}
    >>> loss_slice(line, half, data, [along], steps=[0.0, 2.0], normalise=False).values
    tensor([0., 2.], dtype=torch.float64)
    """
    made = objective(model, loss, data, **options)
    if isinstance(directions, int):
        keys = [one_key(seed, f"slice {i}") for i in range(directions)]
        drawn = [random_direction(made, key) for key in keys]
    else:
        drawn = [made.rows(d) for d in directions]
    if len(drawn) not in (1, 2):
        raise BadParameter(f"there are {len(drawn)} directions", "one or two")
    places = _places(steps)
    rows = [filter_normalised(made, d) if normalise else d for d in drawn]
    values = torch.stack([sliced(made, rows[0], places)] if len(rows) == 1 else [
        sliced(made, rows[1], places, shift=s * rows[0]) for s in places
    ])  # fmt: skip
    named = tuple({n: t[0] for n, t in made.named(r).items()} for r in rows)
    return Slice(places, values[0, :, 0] if len(rows) == 1 else values[..., 0], named)


def training_slice(
    steps: Sequence[float] = (-1.0, -0.5, -0.25, 0.0, 0.25, 0.5, 1.0), *, name: str = "slice"
) -> Instrument:
    """Return an instrument that records the training loss along a filter-normalised direction.

    Random, by each lane's key, the same at every measurement but for its lengths. Shape: (lane,
    along), coordinate `along` the steps. Unit: of the loss. Cost: a forward pass a step. Memory: a
    vector of parameters a lane. Error: rounding. Source: Li and others (2018), arXiv:1712.09913.

    Raises:
        BadParameter: there are no steps.

    >>> training_slice().dims
    ('along',)
    """
    places = _places(steps)

    def measure(snapshot: Snapshot) -> Tensor:
        made = snapshot_objective(snapshot)
        drawn = random_direction(made, snapshot.keys(name))
        return sliced(made, filter_normalised(made, drawn), places).mT

    return Instrument(
        name, measure, dims=("along",), coords={"along": list(places)},
        long_name="training loss along a filter-normalised direction",
    )  # fmt: skip


def random_direction(made: Objective, keys: Sequence[Key]) -> Float[Tensor, "lane parameter"]:
    """Return a standard normal vector a lane, from its key."""
    drawn = [torch.randn(made.size, generator=key.torch(), dtype=torch.float64) for key in keys]
    return torch.stack(drawn).to(made.like)


def filter_normalised(
    made: Objective, rows: Float[Tensor, "lane parameter"]
) -> Float[Tensor, "lane parameter"]:
    """Give each filter of directions the length of its network's; one-dimensional parts are zero.

    >>> from chymist.instruments.objective import Objective
    >>> made = Objective({"w": torch.tensor([[[3.0, 4.0]]]), "b": torch.ones(1, 1)}, ())
    >>> filter_normalised(made, torch.tensor([[1.0, 0.0, 7.0]]))
    tensor([[5., 0., 0.]])
    """
    parts = []
    for (_, own), part in zip(made.parameters.items(), made.split(rows), strict=True):
        if own.ndim <= 2:
            parts.append(torch.zeros_like(part).flatten(1))
            continue
        length = part.flatten(2).norm(dim=2)
        goal = own.detach().flatten(2).norm(dim=2)
        ratio = torch.where(length == 0, 0.0, goal / length)
        parts.append((part.flatten(2) * ratio[..., None]).flatten(1))
    return torch.cat(parts, 1)


def sliced(
    made: Objective,
    direction: Float[Tensor, "lane parameter"],
    steps: Sequence[float],
    shift: Tensor | float = 0.0,
) -> Float[Tensor, "step lane"]:
    """Return the lanes' losses at w + shift + s direction for every step s, in float64."""
    own = made.rows(made.parameters).detach() + shift
    return torch.stack([losses_at(made, own + s * direction) for s in steps])


def losses_at(made: Objective, rows: Float[Tensor, "lane parameter"]) -> Float[Tensor, " lane"]:
    """Return the lanes' losses at other parameters, in float64. Cost: a forward pass."""
    # With a graph, as elsewhere: some modules compute otherwise without.
    leaves = {n: p.requires_grad_() for n, p in made.named(rows.detach()).items()}
    total = torch.zeros(made.lanes, dtype=torch.float64, device=rows.device)
    for piece in made.pieces:
        with torch.enable_grad():
            losses = piece.losses(piece.outputs(leaves))
        total = total + piece.share * losses.detach().double()
    return total


def _places(steps: Sequence[float]) -> tuple[float, ...]:
    places = tuple(float(s) for s in steps)
    if not places:
        raise BadParameter("there are no steps", "give at least one")
    return places

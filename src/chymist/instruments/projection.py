"""Directions in the space of inputs, and where samples lie along them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from chymist.errors import BadParameter, CannotMeasure
from chymist.instruments import checks
from chymist.keys import Key

Direction = str | Tensor | Sequence[float]
"""How to project inputs: "principal", "random", or a vector."""


def principal_direction(
    x: Float[Tensor, "*lane sample feature"],
) -> Float[Tensor, "*lane feature"]:
    """Return the first principal direction: the unit vector along which the inputs vary most.

    Its largest entry is positive, which settles the sign.

    Shapes: (*lane, feature), float64. Unit: 1. Cost: an eigenvalue problem of the smaller of
    samples and features, cubed, and the products that make it. Memory: that matrix, and the inputs
    in float64. Error: rounding over the gap to the second variance. Source: none; principal
    components.

    Raises:
        CannotMeasure: the inputs are all the same, or their two largest variances are equal: there
            is no such direction.

    >>> principal_direction(torch.tensor([[3.0, 3.0], [0.0, 0.0], [1.0, 1.0]]))
    tensor([0.7071, 0.7071], dtype=torch.float64)
    """
    rows = x.detach().double()
    rows = rows - rows.mean(-2, keepdim=True)
    samples, features = rows.shape[-2:]
    few = features <= samples
    values, vectors = torch.linalg.eigh(rows.mT @ rows if few else rows @ rows.mT)
    if not bool((values[..., -1] > 0).all()):
        raise CannotMeasure("the inputs are all the same", "they have no principal direction")
    if values.shape[-1] > 1 and bool((values[..., -1] - values[..., -2] <= 1e-9 * values[..., -1])
                                     .any()):  # fmt: skip
        raise CannotMeasure(
            "the two largest variances of the inputs are equal: there is no principal direction",
            'give a direction, or direction="random"',
        )
    top = vectors[..., -1] if few else (rows.mT @ vectors[..., -1:])[..., 0]
    top = top / top.norm(dim=-1, keepdim=True)
    largest = top.gather(-1, top.abs().argmax(-1, keepdim=True))
    return torch.as_tensor(top * largest.sign())


def random_direction(features: int, seed: int = 0) -> Float[Tensor, " feature"]:
    """Return a unit vector, uniform on the sphere, drawn from the key of `seed`; float64.

    >>> round(random_direction(3).norm().item(), 9)
    1.0
    """
    key = Key("instruments", "frequency", seed, "direction")
    drawn = torch.randn(features, generator=key.torch(), dtype=torch.float64)
    return torch.as_tensor(drawn / drawn.norm())


def direction_of(x: Tensor, direction: Direction, seed: int = 0) -> Float[Tensor, "*lane feature"]:
    """Return the unit vector that a direction means for inputs (*lane, sample, feature).

    Of inputs with one feature there is one.

    Raises:
        BadParameter: a vector of another length than the inputs, zero or not finite; an unknown
            word.
        CannotMeasure: see `principal_direction`.
    """
    features = x.shape[-1]
    if isinstance(direction, str):
        if direction not in ("principal", "random"):
            raise BadParameter(f"direction is {direction!r}", "principal, random, or a vector")
        if features == 1:
            return torch.ones(1, dtype=torch.float64, device=x.device)
        if direction == "principal":
            return principal_direction(x)
        return random_direction(features, seed).to(x.device)
    numbers = checks.numbers("direction", direction)
    vector = torch.tensor(numbers, dtype=torch.float64, device=x.device)
    size = vector.norm()
    if len(vector) != features or not size > 0:
        raise BadParameter(
            f"the direction has {len(vector)} numbers of norm {float(size):g}",
            f"{features} finite numbers, not all zero, are needed",
        )
    return torch.as_tensor(vector / size)


def checked_period(period: float | None) -> float | None:
    """Return a period, if there is one.

    Raises:
        BadParameter: it is no positive number.
    """
    if period is None:
        return None
    found = checks.numbers("period", period)
    if len(found) > 1 or not found[0] > 0:
        raise BadParameter(f"period is {period}", "a positive number")
    return found[0]


def places_along(
    x: Float[Tensor, "*lane sample feature"],
    direction: Float[Tensor, "*lane feature"],
    period: float | None = None,
) -> tuple[Float[Tensor, "*lane sample"], Float[Tensor, "*lane"]]:
    """Return where samples lie along a direction, in periods from the first, and the period.

    Without a period it is their range times n / (n - 1): for n even places on a line, a period of
    which the endpoint is left out.

    Raises:
        BadParameter: the period is not positive.
        CannotMeasure: all samples lie at one place.

    >>> x = torch.tensor([[0.0], [1.0], [2.0], [3.0]])
    >>> places_along(x, torch.ones(1, dtype=torch.float64))[0]
    tensor([0.0000, 0.2500, 0.5000, 0.7500], dtype=torch.float64)
    """
    given = checked_period(period)
    along = (x.detach().double() @ direction[..., None])[..., 0]
    least = along.amin(-1, keepdim=True)
    extent = along.amax(-1) - least[..., 0]
    if not bool((extent > 0).all()):
        raise CannotMeasure(
            "all samples lie at one place along the direction", "give another direction"
        )
    samples = along.shape[-1]
    length = extent * (samples / (samples - 1)) if given is None else torch.full_like(
        extent, given
    )  # fmt: skip
    return (along - least) / length[..., None], length

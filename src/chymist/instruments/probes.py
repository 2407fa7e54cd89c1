"""Random vectors of stochastic estimates, from each lane's own key, and what estimates return."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from chymist.errors import BadParameter
from chymist.instruments.operators import Operator
from chymist.keys import Key


@dataclass(frozen=True, eq=False)
class Estimate:
    """A stochastic estimate, its standard error over the draws, and its cost.

    A standard error of zero means that the value is exact to rounding.
    """

    value: Float[Tensor, "*lane"]
    standard_error: Float[Tensor, "*lane"]
    products: int
    gradients: int

    def lane(self, lane: int) -> Estimate:
        """Return one lane's estimate, without the lane dimension."""
        return Estimate(self.value[lane], self.standard_error[lane], self.products, self.gradients)


def signs(
    operator: Operator, keys: Sequence[Key], count: int
) -> Float[Tensor, "lane vector parameter"]:
    """Vectors of independent signs, mean zero and unit variance, drawn from each lane's key.

    >>> from chymist.instruments.operators import from_matrix
    >>> drawn = signs(from_matrix(torch.eye(3)), [Key("a", "b", 0, "c")], 2)
    >>> drawn.shape, bool((drawn.abs() == 1).all())
    (torch.Size([1, 2, 3]), True)
    """
    _one_a_lane(operator, keys)
    drawn = [
        torch.randint(0, 2, (count, operator.size), generator=key.torch(), dtype=torch.int8)
        for key in keys
    ]
    return (2.0 * torch.stack(drawn) - 1.0).to(operator.like)


def normals(
    operator: Operator, keys: Sequence[Key], count: int
) -> Float[Tensor, "lane vector parameter"]:
    """Vectors of independent standard normal numbers, drawn from each lane's key.

    >>> from chymist.instruments.operators import from_matrix
    >>> normals(from_matrix(torch.eye(3)), [Key("a", "b", 0, "c")], 2).shape
    torch.Size([1, 2, 3])
    """
    _one_a_lane(operator, keys)
    drawn = [
        torch.randn(count, operator.size, generator=key.torch(), dtype=torch.float64)
        for key in keys
    ]
    return torch.stack(drawn).to(operator.like)


def one_key(seed: int, purpose: str) -> tuple[Key, ...]:
    """Return the key of one network's draws."""
    return (Key("instruments", "curvature", seed, purpose),)


def _one_a_lane(operator: Operator, keys: Sequence[Key]) -> None:
    if len(keys) != operator.lanes:
        raise BadParameter(f"{len(keys)} keys for {operator.lanes} lanes", "give one a lane")

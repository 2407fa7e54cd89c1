"""Activation functions by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from chymist.errors import BadParameter

Activation = Literal[
    "tanh", "relu", "gelu", "sigmoid", "sin", "hat", "xtanh", "x2tanh", "erf", "srelu", "phi"
]


def hat(x: Tensor) -> Tensor:
    """Triangle on [0, 2] with its peak 1 at 1: relu(x) - 2 relu(x-1) + relu(x-2).

    Computed as relu(1 - |x - 1|), the same function with one relu instead of three.

    >>> hat(torch.tensor([-1.0, 0.5, 1.0, 3.0])).tolist()
    [0.0, 0.5, 1.0, 0.0]
    """
    return torch.relu(1 - torch.abs(x - 1))


def xtanh(x: Tensor) -> Tensor:
    """X tanh x: even, x^2 near 0.

    >>> xtanh(torch.tensor([0.0, 20.0, -20.0])).tolist()
    [0.0, 20.0, 20.0]
    """
    return x * torch.tanh(x)


def x2tanh(x: Tensor) -> Tensor:
    """x^2 tanh x: odd, x^3 near 0.

    >>> x2tanh(torch.tensor([0.0, 20.0, -20.0])).tolist()
    [0.0, 400.0, -400.0]
    """
    return x * x * torch.tanh(x)


def srelu(x: Tensor) -> Tensor:
    """relu(x) relu(1 - x): a parabola on [0, 1], zero elsewhere; its largest value is 1/4.

    Source: Cai, Xu (2019), arXiv:1910.11710.

    >>> srelu(torch.tensor([-1.0, 0.5, 2.0])).tolist()
    [0.0, 0.25, 0.0]
    """
    return torch.relu(x) * torch.relu(1 - x)


def phi(x: Tensor) -> Tensor:
    """Twice the quadratic B-spline on [0, 3], zero elsewhere; with a continuous slope.

    relu(x)^2 - 3 relu(x-1)^2 + 3 relu(x-2)^2 - relu(x-3)^2, whose largest value is 3/2, computed
    as relu(3/2 - t)^2 - 3 relu(1/2 - t)^2 with t = |x - 3/2|, in which nothing large cancels.
    Source: Liu, Cai, Xu (2020), arXiv:2007.11207.

    >>> phi(torch.tensor([-1.0, 1.0, 1.5, 4.0])).tolist()
    [0.0, 1.0, 1.5, 0.0]
    """
    t = torch.abs(x - 1.5)
    wide, narrow = torch.relu(1.5 - t), torch.relu(0.5 - t)
    return wide * wide - 3 * (narrow * narrow)


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "tanh": torch.tanh,
    "relu": torch.relu,
    "gelu": torch.nn.functional.gelu,
    "sigmoid": torch.sigmoid,
    "sin": torch.sin,
    "hat": hat,
    "xtanh": xtanh,
    "x2tanh": x2tanh,
    "erf": torch.erf,
    "srelu": srelu,
    "phi": phi,
}


def activation(name: str) -> Callable[[Tensor], Tensor]:
    """Return the activation function of this name.

    Raises:
        ValueError: no activation has this name.
    """
    if name not in ACTIVATIONS:
        raise ValueError(f"unknown activation {name!r}; known: {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[name]


def multiplicity(function: Callable[[Tensor], Tensor], most: int = 6) -> int:
    """The order p of a smooth function's first derivative that is not 0 at 0; sigmoid has p = 0.

    It decides in how many directions the neurons of a small network turn at first. Derivatives are
    exact, by repeated differentiation in float64; below 1e-12 they count as 0. Source: Zhou et al.
    (2022), arXiv:2105.11686.

    Raises:
        BadParameter: derivatives 0 to `most` all vanish, or the function has a kink at 0.

    >>> [multiplicity(f) for f in (torch.tanh, xtanh, x2tanh, torch.sigmoid)]
    [1, 2, 3, 0]
    """
    x = torch.zeros((), dtype=torch.float64, requires_grad=True)
    nearby = torch.tensor([-1e-6, 0.0, 1e-6], dtype=torch.float64)
    left, middle, right = function(nearby).tolist()
    if abs(right - 2 * middle + left) > 1e-9:
        raise BadParameter("the function has a kink at 0", "give one that is smooth there")
    value = function(x)
    for order in range(most + 1):
        if abs(value.item()) > 1e-12:
            return order
        if not value.requires_grad:
            break
        (value,) = torch.autograd.grad(value, x, create_graph=True)
    raise BadParameter(
        f"the function's derivatives up to order {most} are 0 at 0", "give one that is not flat"
    )

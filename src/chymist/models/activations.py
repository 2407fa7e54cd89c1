"""Activation functions by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

Activation = Literal["tanh", "relu", "gelu", "sigmoid", "sin", "hat", "erf"]


def hat(x: Tensor) -> Tensor:
    """Triangle on [0, 2] with its peak 1 at 1: relu(x) - 2 relu(x-1) + relu(x-2).

    Computed as relu(1 - |x - 1|), the same function with one relu instead of three.

    >>> hat(torch.tensor([-1.0, 0.5, 1.0, 3.0])).tolist()
    [0.0, 0.5, 1.0, 0.0]
    """
    return torch.relu(1 - torch.abs(x - 1))


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "tanh": torch.tanh,
    "relu": torch.relu,
    "gelu": torch.nn.functional.gelu,
    "sigmoid": torch.sigmoid,
    "sin": torch.sin,
    "hat": hat,
    "erf": torch.erf,
}


def activation(name: str) -> Callable[[Tensor], Tensor]:
    """Return the activation function of this name.

    Raises:
        ValueError: no activation has this name.
    """
    if name not in ACTIVATIONS:
        raise ValueError(f"unknown activation {name!r}; known: {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[name]

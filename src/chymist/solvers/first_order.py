"""First-order update rules on stacked parameters; every number may differ from lane to lane.

A rule is a frozen record of its numbers. `start` makes the state, `update` returns the next
parameters. Numbers arrive as floats, or as tensors with one value a lane.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import torch
import xarray as xr
from torch import Tensor

Number = float | xr.DataArray
Tensors = Mapping[str, Tensor]


@dataclass(frozen=True, eq=False)
class Solver:
    """What the training loop asks of an update rule."""

    moments: ClassVar[int] = 0

    def numbers(self) -> dict[str, Number]:
        """Return the rule's numbers by name."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    def start(self, parameters: Tensors) -> dict[str, Any]:
        """Return the state before the first update."""
        return {}

    def update(
        self,
        parameters: Tensors,
        gradients: Tensors,
        state: dict[str, Any],
        step: int,
        numbers: Mapping[str, Any],
    ) -> dict[str, Tensor]:
        """Return the parameters after one update; may change `state` in place."""
        raise NotImplementedError


@dataclass(frozen=True, eq=False)
class GradientDescent(Solver):
    """w <- w - lr g. With minibatches this is stochastic gradient descent."""

    lr: Number

    def update(
        self,
        parameters: Tensors,
        gradients: Tensors,
        state: dict[str, Any],
        step: int,
        numbers: Mapping[str, Any],
    ) -> dict[str, Tensor]:
        """Take one step."""
        return {
            n: p - _wide(numbers["lr"], p) * gradients[n] for n, p in parameters.items()
        }


@dataclass(frozen=True, eq=False)
class Momentum(Solver):
    """m <- b m + g; w <- w - lr m (Polyak, as in `torch.optim.SGD`), or Nesterov's variant.

    Nesterov: w <- w - lr (g + b m), with the new m.
    """

    moments: ClassVar[int] = 1
    lr: Number
    momentum: Number = 0.9
    nesterov: bool = False

    def start(self, parameters: Tensors) -> dict[str, Any]:
        """Start at rest."""
        return {n: torch.zeros_like(p) for n, p in parameters.items()}

    def update(
        self,
        parameters: Tensors,
        gradients: Tensors,
        state: dict[str, Any],
        step: int,
        numbers: Mapping[str, Any],
    ) -> dict[str, Tensor]:
        """Take one step."""
        after = {}
        for n, p in parameters.items():
            b = _wide(numbers["momentum"], p)
            state[n] = b * state[n] + gradients[n]
            move = gradients[n] + b * state[n] if self.nesterov else state[n]
            after[n] = p - _wide(numbers["lr"], p) * move
        return after


@dataclass(frozen=True, eq=False)
class Adam(Solver):
    """Adam with bias correction, as in `torch.optim.Adam` (Kingma and Ba, ICLR 2015)."""

    moments: ClassVar[int] = 2
    lr: Number = 1e-3
    beta1: Number = 0.9
    beta2: Number = 0.999
    eps: Number = 1e-8

    def start(self, parameters: Tensors) -> dict[str, Any]:
        """Start with both moments at zero."""
        return {
            n: (torch.zeros_like(p), torch.zeros_like(p)) for n, p in parameters.items()
        }

    def update(
        self,
        parameters: Tensors,
        gradients: Tensors,
        state: dict[str, Any],
        step: int,
        numbers: Mapping[str, Any],
    ) -> dict[str, Tensor]:
        """Take one step."""
        beta1, beta2 = numbers["beta1"], numbers["beta2"]
        rate = numbers["lr"] / (1 - beta1 ** (step + 1))
        correction = (1 - beta2 ** (step + 1)) ** 0.5
        after = {}
        for n, p in parameters.items():
            g = gradients[n]
            first, second = state[n]
            first.mul_(_wide(beta1, p)).add_(g * (1 - _wide(beta1, p)))
            second.mul_(_wide(beta2, p)).add_(g * g * (1 - _wide(beta2, p)))
            scale = second.sqrt().div_(_wide(correction, p)).add_(_wide(numbers["eps"], p))
            after[n] = p - _wide(rate, p) * first / scale
        return after


def _wide(number: Any, like: Tensor) -> Any:
    if isinstance(number, Tensor) and number.ndim:
        return number.reshape(-1, *(1,) * (like.ndim - 1))
    return number

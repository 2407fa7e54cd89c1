"""First-order update rules on stacked parameters; every number may differ from lane to lane.

A rule is a frozen record of its numbers. `start` makes the state, `update` changes the parameters
and the state in place. Numbers arrive as floats, or as double-precision tensors with one value a
lane.
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
    """What the training loop asks of an update rule.

    `moments` says how many tensors of the parameters' size the state holds. A rule that is
    `elementwise` updates each number by itself; it is handed all parameters of a lane as one row,
    under one name, which is faster.
    """

    moments: ClassVar[int] = 0
    elementwise: ClassVar[bool] = False

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
    ) -> None:
        """Do update number step + 1: change `parameters` and `state` in place.

        Gradients may be changed too; nobody else uses them.
        """
        raise NotImplementedError


@dataclass(frozen=True, eq=False)
class GradientDescent(Solver):
    """w <- w - lr g. With minibatches this is stochastic gradient descent."""

    elementwise: ClassVar[bool] = True
    lr: Number

    def update(
        self,
        parameters: Tensors,
        gradients: Tensors,
        state: dict[str, Any],
        step: int,
        numbers: Mapping[str, Any],
    ) -> None:
        """Take one step."""
        for n, p in parameters.items():
            _descend(p, gradients[n], numbers["lr"])


@dataclass(frozen=True, eq=False)
class Momentum(Solver):
    """m <- b m + g; w <- w - lr m (Polyak, as in `torch.optim.SGD`), or Nesterov's variant.

    Nesterov: w <- w - lr (g + b m), with the new m.
    """

    elementwise: ClassVar[bool] = True
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
    ) -> None:
        """Take one step."""
        for n, p in parameters.items():
            g, m = gradients[n], state[n]
            b = _wide(numbers["momentum"], p)
            m.mul_(b).add_(g)
            _descend(p, g + b * m if self.nesterov else m, numbers["lr"])


@dataclass(frozen=True, eq=False)
class Adam(Solver):
    """Adam with bias correction, as in `torch.optim.Adam` (Kingma and Ba, ICLR 2015)."""

    elementwise: ClassVar[bool] = True
    moments: ClassVar[int] = 2
    lr: Number = 1e-3
    beta1: Number = 0.9
    beta2: Number = 0.999
    eps: Number = 1e-8

    def start(self, parameters: Tensors) -> dict[str, Any]:
        """Start with both moments at zero."""
        return {n: (torch.zeros_like(p), torch.zeros_like(p)) for n, p in parameters.items()}

    def update(
        self,
        parameters: Tensors,
        gradients: Tensors,
        state: dict[str, Any],
        step: int,
        numbers: Mapping[str, Any],
    ) -> None:
        """Take one step."""
        beta1, beta2 = numbers["beta1"], numbers["beta2"]
        rate = numbers["lr"] / (1 - beta1 ** (step + 1))
        correction = (1 - beta2 ** (step + 1)) ** 0.5
        for n, p in parameters.items():
            g = gradients[n]
            first, second = state[n]
            first.lerp_(g, _wide(1 - beta1, p))
            second.mul_(_wide(beta2, p)).add_(g.square_().mul_(_wide(1 - beta2, p)))
            scale = second.sqrt().div_(_wide(correction, p)).add_(_wide(numbers["eps"], p))
            _descend(p, torch.div(first, scale, out=scale), rate)


def _descend(parameter: Tensor, direction: Tensor, rate: Any) -> None:
    """Take w <- w - rate d in place."""
    if isinstance(rate, Tensor):
        parameter.addcmul_(direction, _wide(rate, parameter), value=-1.0)
    else:
        parameter.add_(direction, alpha=-rate)


def _wide(number: Any, like: Tensor) -> Any:
    """Let a number a lane meet stacked parameters."""
    if isinstance(number, Tensor):
        return number.to(like.dtype).reshape(-1, *(1,) * (like.ndim - 1))
    return number

"""First-order update rules on stacked parameters; every number may differ from lane to lane.

A rule is a frozen record of its numbers. `start` makes the state, `update` changes the parameters
and the state in place, `preconditioner` reads it. Numbers arrive as floats, or as double-precision
tensors with one value a lane.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import torch
from torch import Tensor

from chymist.solvers.numbers import Number, Numbers, wide

Tensors = Mapping[str, Tensor]
State = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Solver:
    """What the training loop asks of an update rule.

    `state_names` says what the state holds: under each name a tensor for every parameter, of its
    shape, zero before the first update. A rule that is `elementwise` updates each number by itself;
    it is handed all parameters of a lane as one row, under one name, which is faster.
    """

    state_names: ClassVar[tuple[str, ...]] = ()
    elementwise: ClassVar[bool] = False

    @property
    def moments(self) -> int:
        """How many tensors of the parameters' size the state holds."""
        return len(self.state_names)

    def numbers(self) -> dict[str, Number]:
        """Return the rule's numbers by name; a field that holds words is none."""
        found = {f.name: getattr(self, f.name) for f in fields(self)}
        return {name: value for name, value in found.items() if not isinstance(value, str)}

    def start(self, parameters: Tensors) -> State:
        """Return the state before the first update: {name: {parameter: zeros}}."""
        return {
            s: {n: torch.zeros_like(p) for n, p in parameters.items()} for s in self.state_names
        }

    def update(
        self, parameters: Tensors, gradients: Tensors, state: State, step: int, numbers: Numbers
    ) -> None:
        """Do update number step + 1: change `parameters` and `state` in place.

        Gradients may be changed too; nobody else uses them.
        """
        raise NotImplementedError

    def preconditioner(
        self, state: Mapping[str, Tensors], step: int, numbers: Numbers
    ) -> dict[str, Tensor] | None:
        """Return P of update number `step`, w <- w - lr P^-1 m, one number a parameter.

        m is the gradient, or an average of gradients with weights that add up to 1. Not a number
        before the first update; None for a rule that is not of this form, or has P = 1.
        """
        return None


@dataclass(frozen=True, eq=False)
class GradientDescent(Solver):
    """w <- w - lr g. With minibatches this is stochastic gradient descent."""

    elementwise: ClassVar[bool] = True
    lr: Number

    def update(
        self, parameters: Tensors, gradients: Tensors, state: State, step: int, numbers: Numbers
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
    state_names: ClassVar[tuple[str, ...]] = ("momentum",)
    lr: Number
    momentum: Number = 0.9
    nesterov: bool = False

    def update(
        self, parameters: Tensors, gradients: Tensors, state: State, step: int, numbers: Numbers
    ) -> None:
        """Take one step."""
        for n, p in parameters.items():
            g, m = gradients[n], state["momentum"][n]
            b = wide(numbers["momentum"], p)
            m.mul_(b).add_(g)
            _descend(p, g + b * m if self.nesterov else m, numbers["lr"])


@dataclass(frozen=True, eq=False)
class Adam(Solver):
    """Adam with bias correction, as in `torch.optim.Adam` (Kingma and Ba, ICLR 2015)."""

    elementwise: ClassVar[bool] = True
    state_names: ClassVar[tuple[str, ...]] = ("first_moment", "second_moment")
    lr: Number = 1e-3
    beta1: Number = 0.9
    beta2: Number = 0.999
    eps: Number = 1e-8

    def update(
        self, parameters: Tensors, gradients: Tensors, state: State, step: int, numbers: Numbers
    ) -> None:
        """Take one step."""
        beta1, beta2 = numbers["beta1"], numbers["beta2"]
        rate = numbers["lr"] / (1 - beta1 ** (step + 1))
        correction = (1 - beta2 ** (step + 1)) ** 0.5
        for n, p in parameters.items():
            g = gradients[n]
            first, second = state["first_moment"][n], state["second_moment"][n]
            first.lerp_(g, wide(1 - beta1, p))
            second.mul_(wide(beta2, p)).add_(g.square_().mul_(wide(1 - beta2, p)))
            scale = second.sqrt().div_(wide(correction, p)).add_(wide(numbers["eps"], p))
            _descend(p, torch.div(first, scale, out=scale), rate)

    def preconditioner(
        self, state: Mapping[str, Tensors], step: int, numbers: Numbers
    ) -> dict[str, Tensor]:
        """P = (1 - beta1^t) (sqrt(v / (1 - beta2^t)) + eps), v the second moment after t updates.

        The average m starts at zero, which its first factor corrects.
        """
        average, correction = 1 - numbers["beta1"] ** step, 1 - numbers["beta2"] ** step
        return {
            n: v.div(wide(correction, v)).sqrt_()
            .add_(wide(numbers["eps"], v)).mul_(wide(average, v))
            for n, v in state["second_moment"].items()
        }  # fmt: skip


@dataclass(frozen=True, eq=False)
class RMSProp(Solver):
    """v <- a v + (1 - a) g^2; w <- w - lr g / (sqrt(v) + eps), as in `torch.optim.RMSprop`.

    `decay` is a. Without momentum, and without bias correction (Tieleman and Hinton, 2012).
    """

    elementwise: ClassVar[bool] = True
    state_names: ClassVar[tuple[str, ...]] = ("second_moment",)
    lr: Number = 1e-2
    decay: Number = 0.99
    eps: Number = 1e-8

    def update(
        self, parameters: Tensors, gradients: Tensors, state: State, step: int, numbers: Numbers
    ) -> None:
        """Take one step."""
        decay = numbers["decay"]
        for n, p in parameters.items():
            g, second = gradients[n], state["second_moment"][n]
            second.mul_(wide(decay, p)).add_(g.square().mul_(wide(1 - decay, p)))
            scale = second.sqrt().add_(wide(numbers["eps"], p))
            _descend(p, torch.div(g, scale, out=scale), numbers["lr"])

    def preconditioner(
        self, state: Mapping[str, Tensors], step: int, numbers: Numbers
    ) -> dict[str, Tensor]:
        """P = sqrt(v) + eps, v the second moment after `step` updates."""
        none = torch.nan if step == 0 else 0.0
        return {
            n: v.sqrt().add_(wide(numbers["eps"], v)).add_(none)
            for n, v in state["second_moment"].items()
        }


def _descend(parameter: Tensor, direction: Tensor, rate: Any) -> None:
    """Take w <- w - rate d in place."""
    if isinstance(rate, Tensor):
        parameter.addcmul_(direction, wide(rate, parameter), value=-1.0)
    else:
        parameter.add_(direction, alpha=-rate)

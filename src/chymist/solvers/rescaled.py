"""Update rules that train a weight as if it were stored at another scale."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from chymist.solvers.first_order import Adam, GradientDescent, State, Tensors
from chymist.solvers.numbers import Number, Numbers, wide


@dataclass(frozen=True, eq=False)
class RescaledAdam(Adam):
    """Adam in which some weights W = f V are updated as Adam would update V.

    W is a network's parameter whose name matches `pattern`, f the `factor`. The gradient by V is f
    times that by W, Adam's step does not feel it, and W moves by f times V's step: W's step size is
    f lr, and its eps is eps/f. Exact for powers of two, to rounding otherwise. With f = 1/sqrt(d)
    for queries of T5's start it is the division by sqrt(d); with f = 1/width for hidden weights it
    is muP's step size (Yang et al. 2022, arXiv:2203.03466).
    """

    elementwise: ClassVar[bool] = False
    pattern: str = "*"
    factor: Number = 1.0

    def update(
        self, parameters: Tensors, gradients: Tensors, state: State, step: int, numbers: Numbers
    ) -> None:
        """Take one step, those that match with their own numbers."""
        f = numbers["factor"]
        own = {**numbers, "lr": numbers["lr"] * f, "eps": numbers["eps"] / f}
        for chosen, theirs in _parted(parameters, self.pattern, own, numbers):
            super().update(chosen, gradients, state, step, theirs)

    def preconditioner(
        self, state: Mapping[str, Tensors], step: int, numbers: Numbers
    ) -> dict[str, Tensor]:
        """P of Adam over the factor, for weights that match: w <- w - lr P^-1 m for all."""
        f = numbers["factor"]
        found = super().preconditioner(state, step, numbers)
        matching = set(fnmatch.filter(found, self.pattern))
        own = super().preconditioner(state, step, {**numbers, "eps": numbers["eps"] / f})
        return {n: own[n] / wide(f, own[n]) if n in matching else p for n, p in found.items()}


@dataclass(frozen=True, eq=False)
class RescaledDescent(GradientDescent):
    """Gradient descent in which some weights W = f V are updated as V would be: step size f^2 lr.

    As `RescaledAdam`; the gradient by V is f times that by W, and W moves by f times V's step.
    """

    elementwise: ClassVar[bool] = False
    pattern: str = "*"
    factor: Number = 1.0

    def update(
        self, parameters: Tensors, gradients: Tensors, state: State, step: int, numbers: Numbers
    ) -> None:
        """Take one step, those that match with their own step size."""
        f = numbers["factor"]
        for chosen, theirs in _parted(
            parameters, self.pattern, {"lr": numbers["lr"] * f * f}, numbers
        ):
            super().update(chosen, gradients, state, step, theirs)


def _parted(
    parameters: Tensors, pattern: str, own: Numbers, numbers: Numbers
) -> list[tuple[Tensors, Numbers]]:
    matching = set(fnmatch.filter(parameters, pattern))
    if not matching:
        raise ValueError(f"no parameter matches {pattern!r}; there are {', '.join(parameters)}")
    return [
        ({n: p for n, p in parameters.items() if n in matching}, own),
        ({n: p for n, p in parameters.items() if n not in matching}, numbers),
    ]

"""What margins and Lipschitz constants are measured of: lanes as functions of weights and inputs.

The lanes form is the general one, and one network is one lane.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from chymist.errors import CannotMeasure
from chymist.instruments import checks
from chymist.instruments.objective import Objective
from chymist.instruments.one_network import called, objective
from chymist.instruments.snapshot import Snapshot

Stacked = Mapping[str, Float[Tensor, "lane ..."]]
"""Parameters of all lanes, by name."""


@dataclass(frozen=True, eq=False)
class Networks:
    """The lanes as functions f(parameters, x) with a row of outputs a sample.

    `x` is (sample, ...), or (lane, sample, feature) where lanes have their own inputs; `y` is what
    the inputs belong to. `may_lose` says that lanes may have diverged: they give NaN.
    """

    parameters: Stacked
    x: Tensor
    y: Tensor
    forward: Callable[[Stacked, Tensor], Float[Tensor, "lane sample output"]]
    may_lose: bool = False

    @property
    def lanes(self) -> int:
        """How many networks there are."""
        return len(next(iter(self.parameters.values())))

    @property
    def norm(self) -> Float[Tensor, " lane"]:
        """The Euclidean norm of each lane's parameters, in float64."""
        squares = [p.detach().double().square().flatten(1).sum(1) for p in self.parameters.values()]
        return torch.as_tensor(torch.stack(squares).sum(0).sqrt())

    @property
    def own_inputs(self) -> Tensor:
        """The inputs as a leaf of a graph, each lane with its own copy."""
        laned = self.may_lose and self.x.ndim == 2
        x = self.x.expand(self.lanes, *self.x.shape).contiguous() if laned else self.x
        return x.detach().clone().requires_grad_()

    def outputs(self) -> Float[Tensor, "lane sample output"]:
        """Return the outputs, in float64, without a graph."""
        return self.traced(self.x)[1].detach().double()

    def traced(self, x: Tensor) -> tuple[tuple[Tensor, ...], Tensor]:
        """Return the parameters as leaves of a graph, and the outputs at x as made from them."""
        leaves = tuple(p.detach().requires_grad_() for p in self.parameters.values())
        with torch.enable_grad():
            return leaves, self.forward(dict(zip(self.parameters, leaves, strict=True)), x)


def network(
    model: nn.Module, x: Tensor, y: Tensor | None = None, *, flat: bool = True, **options: Any
) -> Networks:
    """Make one model a function of its parameters and inputs: one lane.

    Checked as `objective` checks it, with whose options (`only`, `dtype`). Parameters with
    requires_grad False are constants. With `flat` the outputs of a sample may have any shape, and
    are laid out as a row. Cost: two forward passes of checks.

    Raises:
        CannotMeasure: x is not a tensor, an output not a row a sample; see `objective`.
        MovingTarget: the model draws random numbers or keeps a state.
    """
    if not isinstance(x, Tensor):
        raise CannotMeasure(f"the inputs are of type {type(x).__name__}", "give one tensor")
    if "samples_at_once" in options:
        raise CannotMeasure(
            "samples_at_once is not known here", "give the samples in parts yourself"
        )
    goal = torch.zeros(len(x) if x.ndim else 0, device=x.device, dtype=torch.int8)

    def checked(out: Any, target: Tensor) -> Tensor:
        return _rows(out, len(target), flat).double().mean()

    made: Objective = objective(model, checked, (x, goal if y is None else y), **options)
    dtype = made.like.dtype
    rest = {
        n: t.detach().to(dtype) if t.is_floating_point() else t.detach()
        for n, t in checks.states(model).items()
        if n not in made.parameters
    }

    def forward(parameters: Stacked, inputs: Tensor) -> Tensor:
        own = {n: p[0] for n, p in parameters.items()}
        buffers = {n: t.clone() for n, t in rest.items()}
        return _rows(called(model, {**own, **buffers}, inputs), len(inputs), flat)[None]

    inputs = x.to(dtype) if x.is_floating_point() else x
    return Networks(made.parameters, inputs, goal if y is None else y, forward)


def snapshot_networks(snapshot: Snapshot) -> Networks:
    """Make the lanes of a snapshot functions of their parameters and inputs."""
    return Networks(snapshot.parameters, snapshot.x, snapshot.y, snapshot.forward, may_lose=True)


def _rows(out: Any, samples: int, flat: bool) -> Tensor:
    if (
        not isinstance(out, Tensor)
        or out.ndim < 1
        or len(out) != samples
        or (out.ndim > 2 and not flat)
    ):
        found = tuple(out.shape) if isinstance(out, Tensor) else type(out).__name__
        raise CannotMeasure(
            f"the model's output is {found}", f"a row of numbers for each of {samples} samples"
        )
    return out.reshape(samples, -1)

"""Outputs of many networks as functions of their stacked parameters and of inputs.

What kernels, margins and Lipschitz constants are made of. The lanes form is the general one, and
one network is one lane.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from chymist.errors import CannotMeasure
from chymist.instruments import checks
from chymist.instruments.calling import called
from chymist.instruments.snapshot import Snapshot

Stacked = Mapping[str, Float[Tensor, "lane ..."]]
"""Parameters of all lanes, by name."""


@dataclass(frozen=True, eq=False)
class Networks:
    """The lanes as functions f(parameters, x) with a row of outputs a sample.

    No lane's outputs depend on another's parameters. `x`, and `other` where two sets of samples are
    compared, are a tensor or a tuple or mapping of tensors, whose samples lie along `dim`; `y` is
    what the inputs belong to. With `flat` the outputs of a sample may have any shape, and are laid
    out as a row. `may_lose` says that lanes may have diverged: they give NaN.
    """

    parameters: Stacked
    forward: Callable[[Stacked, Any], Any]
    x: Any
    y: Tensor
    other: Any = None
    dim: int = 0
    flat: bool = True
    may_lose: bool = False

    @property
    def lanes(self) -> int:
        """How many networks there are."""
        return len(next(iter(self.parameters.values())))

    @property
    def norm(self) -> Float[Tensor, " lane"]:
        """The Euclidean norm of each lane's parameters, in float64."""
        squares = [
            p.detach().double().square().reshape(len(p), -1).sum(1)
            for p in self.parameters.values()
        ]
        return torch.as_tensor(torch.stack(squares).sum(0).sqrt())

    @property
    def own_inputs(self) -> Tensor:
        """The inputs as a leaf of a graph, each lane with its own copy."""
        laned = self.may_lose and self.x.ndim == 2
        x = self.x.expand(self.lanes, *self.x.shape).contiguous() if laned else self.x
        own: Tensor = x.detach().clone().requires_grad_()
        return own

    def leaves(self) -> dict[str, Tensor]:
        """Return the parameters as leaves of a new graph."""
        return {n: p.detach().requires_grad_() for n, p in self.parameters.items()}

    def rows(self, parameters: Stacked, x: Any) -> Float[Tensor, "lane sample output"]:
        """Return the outputs with all that belong to a sample in one dimension.

        Raises:
            CannotMeasure: they are no tensor of real numbers with a row for each sample.
        """
        out: Any = self.forward(parameters, x)
        count = self.samples(x)
        if not isinstance(out, Tensor) or not out.is_floating_point():
            kind = str(out.dtype) if isinstance(out, Tensor) else type(out).__name__
            raise CannotMeasure(
                f"the model's output is of type {kind}", "a tensor of real numbers is needed"
            )
        if out.ndim < 2 or out.shape[1] != count or (out.ndim > 3 and not self.flat):
            raise CannotMeasure(
                f"the model's output has shape {tuple(out.shape[1:])} for {count} samples",
                f"it needs a row of numbers for each of {count} samples, along dimension 0",
            )
        return out.reshape(*out.shape[:2], -1)

    def outputs(self) -> Float[Tensor, "lane sample output"]:
        """Return the outputs on the inputs, in float64, without a graph."""
        return self.traced(self.x)[1].detach().double()

    def traced(self, x: Any) -> tuple[tuple[Tensor, ...], Tensor]:
        """Return the parameters as leaves of a graph, and the outputs at x as made from them."""
        leaves = self.leaves()
        with torch.enable_grad():
            return tuple(leaves.values()), self.rows(leaves, x)

    def samples(self, x: Any) -> int:
        """Return how many samples inputs hold."""
        return int(checks.parts(x)[0].shape[self.dim])

    def take(self, x: Any, first: int, last: int) -> Any:
        """Return some of the samples."""
        return checks.mapped(lambda t: t.narrow(self.dim, first, last - first), x)


def of_model(
    model: nn.Module,
    x: Any,
    y: Tensor | None = None,
    *,
    other: Any = None,
    flat: bool = True,
    only: str | Sequence[str] | None = None,
    dtype: torch.dtype | None = None,
) -> Networks:
    """Make one model a network of one lane, checked on its inputs x (and `other`), and cast those.

    Parameters with requires_grad False are constants; `only` names others to keep, and `dtype`
    computes in another precision, as in `objective`. Cost: two forward passes of checks.

    Raises:
        MovingTarget: the model draws random numbers, or keeps a state.
        CannotMeasure: there is nothing to differentiate by; dtypes or devices are mixed; there are
            no samples; a tensor is not finite; the output is no tensor with a row a sample.
        BadParameter: a pattern in `only` matches no parameter.
    """
    checks.still(model)
    trained = checks.chosen(model, only)
    others = {n: t.detach() for n, t in checks.states(model).items() if n not in trained}
    for given, name in ((x, "x"), (other, "other")):
        if given is not None or name == "x":
            told = checks.inputs(given, name)
            if name == "x" and y is not None:
                told["the target y"] = y
            checks.consistent({**trained, **others}, told)
            checks.samples(told)

    cast = partial(checks.cast, dtype=dtype)
    own = {n: cast(p) for n, p in trained.items()}
    x, other = (g if g is None else checks.mapped(cast, g) for g in (x, other))
    made = of_lane(model, own, {n: cast(t) for n, t in others.items()}, x, y, other, flat=flat)
    like = next(iter(own.values()))
    (first,) = checks.still_by_trial(
        lambda: [made.traced(x)[1].detach()], like, "the outputs moved by up to {off:.6g}"
        " on the same inputs", "the model",
    )  # fmt: skip
    if not bool(first.isfinite().all()):
        bad = int((~first.isfinite()).sum())
        raise CannotMeasure(
            f"the output has {bad} of {first.numel()} values that are not finite",
            "the network overflows on these inputs, or is undefined there",
        )
    return made


def of_tensor(model: nn.Module, x: Any, y: Tensor | None = None, **options: Any) -> Networks:
    """Make one model whose inputs are one tensor a network of one lane: see `of_model`.

    Raises:
        CannotMeasure: x is not a tensor, or the samples were to be taken in parts; see `of_model`.
        MovingTarget: the model draws random numbers or keeps a state.
    """
    if not isinstance(x, Tensor):
        raise CannotMeasure(f"the inputs are of type {type(x).__name__}", "give one tensor")
    if "samples_at_once" in options:
        raise CannotMeasure(
            "samples_at_once is not known here", "give the samples in parts yourself"
        )
    return of_model(model, x, y, **options)


def of_lane(
    model: nn.Module,
    parameters: Mapping[str, Tensor],
    state: Mapping[str, Tensor],
    x: Any,
    y: Tensor | None = None,
    other: Any = None,
    *,
    flat: bool = True,
) -> Networks:
    """Make one network, its parameters and its other tensors by name, a network of one lane."""

    def forward(stacked: Stacked, x: Any) -> Any:
        own = {n: p[0] for n, p in stacked.items()}
        # Buffers are copied, so that a model that keeps a state cannot change its own.
        rest = {n: t.clone() for n, t in state.items()}
        out = called(model, {**own, **rest}, x)
        return out[None] if isinstance(out, Tensor) else out

    first = checks.parts(x)[0]
    goal = torch.zeros(len(first), device=first.device, dtype=torch.int8) if y is None else y
    stacked = {n: p.detach()[None] for n, p in parameters.items()}
    return Networks(stacked, forward, x, goal, other, flat=flat)


def of_snapshot(snapshot: Snapshot) -> Networks:
    """Make the lanes of a snapshot functions of their parameters and inputs."""
    return Networks(
        snapshot.parameters, snapshot.forward, snapshot.x, snapshot.y,
        dim=snapshot.x.ndim - 2, may_lose=True,
    )  # fmt: skip

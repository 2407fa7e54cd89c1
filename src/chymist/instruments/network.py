"""Outputs of many networks as functions of their stacked parameters: what kernels are made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from chymist.errors import CannotMeasure, MovingTarget
from chymist.instruments import checks
from chymist.instruments.one_network import called
from chymist.instruments.snapshot import Snapshot


@dataclass(frozen=True, eq=False)
class Network:
    """Networks of all lanes: stacked parameters, and outputs (lane, sample, ...) as their function.

    No lane's outputs depend on another's parameters. `dim` is the dimension of samples in the
    inputs, a tensor or a tuple or mapping of tensors.
    """

    parameters: Mapping[str, Float[Tensor, "lane ..."]]
    forward: Callable[[Mapping[str, Tensor], Any], Tensor]
    dim: int = 0

    @property
    def lanes(self) -> int:
        """How many networks there are."""
        return len(next(iter(self.parameters.values())))

    def leaves(self) -> dict[str, Tensor]:
        """Return the parameters as leaves of a new graph."""
        return {n: p.detach().requires_grad_() for n, p in self.parameters.items()}

    def outputs(self, parameters: Mapping[str, Tensor], x: Any) -> Float[Tensor, "lane sample out"]:
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
        if out.ndim < 2 or out.shape[1] != count:
            raise CannotMeasure(
                f"the model's output has shape {tuple(out.shape[1:])} for {count} samples",
                "it needs a row for each sample along dimension 0",
            )
        return out.reshape(*out.shape[:2], -1)

    def samples(self, x: Any) -> int:
        """Return how many samples inputs hold."""
        return int(_first(x).shape[self.dim])

    def take(self, x: Any, first: int, last: int) -> Any:
        """Return some of the samples."""
        return checks.mapped(lambda t: t.narrow(self.dim, first, last - first), x)


def of_model(
    model: nn.Module,
    x: Any,
    other: Any = None,
    *,
    only: str | Sequence[str] | None = None,
    dtype: torch.dtype | None = None,
) -> tuple[Network, Any, Any]:
    """Make one model a network of one lane, checked on inputs x (and `other`), and cast those.

    Cost: two forward passes of checks.

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
        if given is None and name == "other":
            continue
        parts = (
            given.values() if isinstance(given, Mapping)
            else given if isinstance(given, tuple | list) else (given,)
        )  # fmt: skip
        told = {f"the input {name}" + (f", part {i}" if i else ""): t for i, t in enumerate(parts)}
        checks.consistent({**trained, **others}, told)
        checks.samples(told)

    def cast(tensor: Tensor) -> Tensor:
        return tensor.to(dtype) if dtype and tensor.is_floating_point() else tensor

    state = {n: cast(t) for n, t in others.items()}
    made = of_lane(model, {n: cast(p) for n, p in trained.items()}, state)
    x, other = (g if g is None else checks.mapped(cast, g) for g in (x, other))
    _still_by_trial(made, x)
    return made, x, other


def of_lane(
    model: nn.Module, parameters: Mapping[str, Tensor], state: Mapping[str, Tensor]
) -> Network:
    """Make one network, its parameters and its other tensors by name, a network of one lane."""

    def forward(stacked: Mapping[str, Tensor], x: Any) -> Any:
        own = {n: p[0] for n, p in stacked.items()}
        # Buffers are copied, so that a model that keeps a state cannot change its own.
        rest = {n: t.clone() for n, t in state.items()}
        out = called(model, {**own, **rest}, x)
        return out[None] if isinstance(out, Tensor) else out

    return Network({n: p.detach()[None] for n, p in parameters.items()}, forward)


def of_snapshot(snapshot: Snapshot) -> Network:
    """Make the lanes of a training a network."""
    return Network(snapshot.parameters, snapshot.forward, dim=snapshot.x.ndim - 2)


def _first(x: Any) -> Tensor:
    first: Tensor = (
        next(iter(x.values())) if isinstance(x, Mapping)
        else x[0] if isinstance(x, tuple | list) else x
    )  # fmt: skip
    return first


def _still_by_trial(made: Network, x: Any) -> None:
    """Evaluate twice: what moves is refused, and leaves no trace in PyTorch's generators."""
    like = next(iter(made.parameters.values()))
    devices = [like.device] if like.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices), torch.enable_grad():
        # With a gradient, as later: some modules compute otherwise without.
        first, again = (made.outputs(made.leaves(), x).detach() for _ in range(2))
    if not bool(first.isfinite().all()):
        bad = int((~first.isfinite()).sum())
        raise CannotMeasure(
            f"the output has {bad} of {first.numel()} values that are not finite",
            "the network overflows on these inputs, or is undefined there",
        )
    off = float((first - again).abs().max())
    if off > 100 * torch.finfo(first.dtype).eps * float(first.abs().max()):
        raise MovingTarget(
            f"the outputs moved by up to {off:.6g} on the same inputs: a moving target",
            "call model.eval(), and take random numbers out of the model",
        )

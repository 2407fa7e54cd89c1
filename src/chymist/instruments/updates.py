"""How large an update is beside the weights that it changes."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import overload

import torch
from torch import Tensor, nn

from chymist.errors import CannotMeasure, did_you_mean
from chymist.instruments.snapshot import Instrument, Snapshot


@overload
def update_ratio(
    before: nn.Module, after: torch.optim.Optimizer | nn.Module
) -> dict[str, Tensor]: ...
@overload
def update_ratio(
    before: Mapping[str, Tensor], after: Mapping[str, Tensor]
) -> dict[str, Tensor]: ...
def update_ratio(
    before: nn.Module | Mapping[str, Tensor],
    after: torch.optim.Optimizer | nn.Module | Mapping[str, Tensor],
) -> dict[str, Tensor]:
    """Size of an update relative to the weights, ||w' - w|| / ||w||, for each parameter tensor.

    Frobenius norms. Between two states (modules, or tensors by name), or of the step that an
    optimizer is about to take from the gradients that its parameters have: it is taken on copies.
    Tensors are compared as they are; of stacked ones see `stacked_update_ratio`.

    Shapes: a number each, float64; infinite where weights at zero move, NaN where they stay. Unit:
    1. Cost: one pass over the parameters, and a step of the optimizer. Memory: one copy of the
    parameters; with an optimizer its state and gradients too. Error: rounding of the parameters'
    dtype. Source: Bottou, Curtis, Nocedal (2018), arXiv:1606.04838 (steps), used as a rule of
    thumb, 1e-3, by practitioners.

    Raises:
        CannotMeasure: names or shapes differ; a tensor is not finite; the optimizer has none of the
            model's parameters, or these have no gradient.

    >>> update_ratio({"w": torch.tensor([3.0, 4.0])}, {"w": torch.tensor([3.0, 3.0])})
    {'w': tensor(0.2000, dtype=torch.float64)}
    """
    if isinstance(after, torch.optim.Optimizer):
        if not isinstance(before, nn.Module):
            raise CannotMeasure(
                f"an optimizer goes with a module, not with {type(before).__name__}",
                "give the model that it trains",
            )
        before, after = _stepped(before, after)
    one, two = (
        dict(s.named_parameters()) if isinstance(s, nn.Module) else s for s in (before, after)
    )
    _fit(one, two)
    stacked = stacked_update_ratio(
        {n: p.detach()[None] for n, p in one.items()},
        {n: p.detach()[None] for n, p in two.items()},
    )
    return {n: r[0] for n, r in stacked.items()}


def training_update_ratio(model: nn.Module, *, name: str = "update_ratio") -> Instrument:
    """Return an instrument that records how far each tensor moved since the last recording.

    ||w - w'|| / ||w'||, w' the weights at the last recording: with a schedule of every(1) the ratio
    of each single update, with every(n) that of n together. The first recording has none: NaN.
    `model` is one of the networks that are trained, and names the tensors.

    Shape: (lane, tensor). Unit: 1. Cost: one pass over the parameters. Memory: one copy of them.
    Error: rounding of the parameters' dtype. Source: see `update_ratio`.

    Raises:
        CannotMeasure: at the recording, if the training's parameters are not the model's.

    >>> training_update_ratio(nn.Linear(1, 1)).coords
    {'tensor': ['weight', 'bias']}
    """
    names = [n for n, _ in model.named_parameters()]

    def measure(snapshot: Snapshot) -> Tensor:
        now = snapshot.parameters
        _fit(dict.fromkeys(names), dict.fromkeys(now))
        last = snapshot.memory.get(name)
        snapshot.memory[name] = {n: p.detach().clone() for n, p in now.items()}
        if last is None:
            like = next(iter(now.values()))
            return torch.full((len(like), len(names)), torch.nan, dtype=torch.float64).to(
                like.device
            )
        found = stacked_update_ratio(last, now)
        return torch.stack([found[n] for n in names], dim=1)

    return Instrument(
        name, measure, dims=("tensor",), coords={"tensor": names},
        long_name="size of the update relative to the weights",
    )  # fmt: skip


def stacked_update_ratio(
    before: Mapping[str, Tensor], after: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Return every lane's ratios (lane,) from stacked parameters (lane, ...).

    >>> w = torch.ones(2, 3)
    >>> stacked_update_ratio({"w": w}, {"w": w * torch.tensor([[1.5], [1.0]])})
    {'w': tensor([0.5000, 0.0000], dtype=torch.float64)}
    """
    return {n: _norm(after[n] - w) / _norm(w) for n, w in before.items()}


def _stepped(
    model: nn.Module, optimizer: torch.optim.Optimizer
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return the parameters an optimizer trains, before and after a step taken on copies."""
    known = {id(p): n for n, p in model.named_parameters()}
    own = [p for group in optimizer.param_groups for p in group["params"]]
    trained = [p for p in own if id(p) in known]
    if not trained:
        raise CannotMeasure(
            "the optimizer has none of the model's parameters",
            "make it from model.parameters(), after the model is on its device",
        )
    if all(p.grad is None for p in trained):
        raise CannotMeasure("no parameter has a gradient", "call loss.backward() before")
    # A copy of an optimizer has none of the user's hooks, for a step that is none.
    made = copy.deepcopy(optimizer)
    moved = [p for group in made.param_groups for p in group["params"]]
    for copied, p in zip(moved, own, strict=True):
        copied.grad = None if p.grad is None else p.grad.detach().clone()
    made.step()
    after = {known[id(p)]: c for c, p in zip(moved, own, strict=True) if id(p) in known}
    return {known[id(p)]: p for p in trained}, after


def _fit(before: Mapping[str, Tensor | None], after: Mapping[str, Tensor | None]) -> None:
    if not before:
        raise CannotMeasure("there are no parameters", "give a state with at least one tensor")
    for name in {**before, **after}:
        if name not in before or name not in after:
            raise CannotMeasure(
                f"parameter {name} is in one state only",
                did_you_mean(name, after if name in before else before),
            )
        one, two = before[name], after[name]
        if one is None or two is None:
            continue
        for what in ("shape", "device", "dtype"):
            if getattr(one, what) != getattr(two, what):
                raise CannotMeasure(
                    f"parameter {name} has {what} {getattr(one, what)} before and "
                    f"{getattr(two, what)} after",
                    "give two states of one network",
                )
        for when, tensor in (("before", one), ("after", two)):
            if not bool(tensor.isfinite().all()):
                raise CannotMeasure(
                    f"parameter {name} has values that are not finite {when} the update",
                    "a measurement needs finite values",
                )


def _norm(stacked: Tensor) -> Tensor:
    # A parameter of no dimension has its lanes alone.
    norm: Tensor = stacked.double().reshape(len(stacked), -1).norm(dim=1)
    return norm

"""Checks that instruments share: what a model, its state, its data and its loss must be."""

from __future__ import annotations

import fnmatch
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from chymist.errors import BadParameter, CannotMeasure, MovingTarget, did_you_mean


def still(model: nn.Module) -> None:
    """Refuse dropout and batch normalisation in training mode.

    Raises:
        MovingTarget: there is some; call `model.eval()`.
    """
    for name, module in model.named_modules():
        kind = type(module).__name__
        # Their base classes have no public names.
        random = isinstance(module, nn.modules.dropout._DropoutNd) and module.p > 0
        state = isinstance(module, nn.modules.batchnorm._NormBase) and (
            isinstance(module, nn.modules.batchnorm._BatchNorm) or module.track_running_stats
        )
        if module.training and (random or state):
            what = "draws random numbers" if random else "takes its statistics from the batch"
            raise MovingTarget(
                f"{kind} {name or 'itself'} is in training mode and {what}: a moving target",
                "call model.eval() before measuring, and model.train() after",
            )


def states(model: nn.Module) -> dict[str, Tensor]:
    """Return a model's parameters and buffers by name."""
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}


def chosen(model: nn.Module, only: str | Sequence[str] | None) -> dict[str, Tensor]:
    """Return the parameters to differentiate by: those that are trained, or those named.

    Raises:
        BadParameter: a name matches none, or one that is not trained.
        CannotMeasure: none is left.
    """
    every: dict[str, Tensor] = dict(model.named_parameters())
    trained = {n: p for n, p in every.items() if p.requires_grad}
    if only is not None:
        patterns = [only] if isinstance(only, str) else list(only)
        for pattern in patterns:
            if not fnmatch.filter(every, pattern):
                hint = did_you_mean(pattern, every)
                raise BadParameter(f"no parameter is called {pattern!r}", hint)
            if not fnmatch.filter(trained, pattern):
                raise BadParameter(
                    f"parameter {pattern} has requires_grad False",
                    "call requires_grad_() on it to differentiate by it",
                )
        trained = {n: p for n, p in trained.items() if any(fnmatch.fnmatch(n, o) for o in patterns)}
    if not trained:
        raise CannotMeasure(
            f"{type(model).__name__} has no parameter with requires_grad True",
            "curvature needs at least one: call requires_grad_()",
        )
    return trained


def consistent(states: Mapping[str, Tensor], data: Mapping[str, Any]) -> None:
    """Refuse states and data of several devices or dtypes, and what is not finite.

    Raises:
        CannotMeasure: names the first tensor at fault.
    """
    first, parameter = next(iter(states.items()))
    for name, tensor in {**states, **data}.items():
        what = f"parameter {name}" if name in states else name
        if not isinstance(tensor, Tensor):
            kind = type(tensor).__name__
            raise CannotMeasure(f"{what} is of type {kind}", "a tensor is needed")
        if tensor.device != parameter.device:
            raise CannotMeasure(
                f"{what} is on {tensor.device} and parameter {first} on {parameter.device}",
                "move both to one device",
            )
        if tensor.is_floating_point() and tensor.dtype != parameter.dtype:
            raise CannotMeasure(
                f"{what} is {tensor.dtype} and parameter {first} is {parameter.dtype}",
                "convert one of them: x.to(dtype) or model.to(dtype)",
            )
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            bad = int((~tensor.isfinite()).sum())
            raise CannotMeasure(
                f"{what} has {bad} of {tensor.numel()} values that are not finite",
                "a measurement needs finite values",
            )


def samples(data: Mapping[str, Tensor]) -> int:
    """Return how many samples there are.

    Raises:
        CannotMeasure: none, or not as many everywhere.
    """
    counts = {name: len(t) if t.ndim else 0 for name, t in data.items()}
    for name, count in counts.items():
        if count == 0:
            raise CannotMeasure(f"{name} has no samples", "give at least one along dimension 0")
    if len(set(counts.values())) > 1:
        told = ", ".join(f"{name} has {count}" for name, count in counts.items())
        raise CannotMeasure(f"numbers of samples differ: {told}", "give one target a sample")
    return next(iter(counts.values()))


def parts(x: Any) -> tuple[Tensor, ...]:
    """Return the tensors of inputs: a tensor, or those of a tuple or a mapping."""
    every = x.values() if isinstance(x, Mapping) else x if isinstance(x, tuple | list) else (x,)
    return tuple(every)


def inputs(x: Any, name: str = "x") -> dict[str, Any]:
    """Return the tensors of inputs under the names by which messages speak of them."""
    more = "input" if name == "x" else f"input {name}"
    return {f"{more} {i}" if i else f"the input {name}": t for i, t in enumerate(parts(x))}


def still_by_trial(
    evaluate: Callable[[], list[Tensor]], like: Tensor, told: str, out_of: str
) -> list[Tensor]:
    """Evaluate twice: what moves is refused, and leaves no trace in PyTorch's generators.

    `told` is what a message says, with {first}, {again} and {off} for the values that differ most.
    Not-a-number in both is no movement. Returns what the first evaluation gave.

    Raises:
        MovingTarget: more than rounding lies between the two.
    """
    devices = [like.device] if like.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        once, again = evaluate(), evaluate()
    for one, two in zip(once, again, strict=True):
        if one.shape == two.shape and (one.numel() == 0 or not one.is_floating_point()):
            continue
        if one.shape == two.shape:
            off = (one - two).abs().masked_fill(one.isnan() & two.isnan() | (one == two), 0.0)
            worst = int(off.argmax())
            largest = float(one.nan_to_num(0.0, 0.0, 0.0).abs().max())
            if float(off.flatten()[worst]) <= 100 * torch.finfo(one.dtype).eps * largest:
                continue
            values = [float(t.flatten()[worst]) for t in (one, two, off)]
        else:
            values = [math.nan] * 3
        what = told.format(first=values[0], again=values[1], off=values[2])
        raise MovingTarget(
            f"{what}: a moving target",
            f"call model.eval(), and take random numbers out of {out_of}",
        )
    return once


def mapped(function: Callable[[Tensor], Tensor], x: Any) -> Any:
    """Apply a function to a tensor, or to each of a tuple or a mapping of them."""
    if isinstance(x, Mapping):
        return {n: function(t) for n, t in x.items()}
    return tuple(function(t) for t in x) if isinstance(x, tuple | list) else function(x)


def cast(tensor: Tensor, dtype: torch.dtype | None) -> Tensor:
    """Return real numbers in another precision, if there is one; all else as it is."""
    return tensor.to(dtype) if dtype and tensor.is_floating_point() else tensor


def arguments(x: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return inputs as positional and named arguments of a model's call."""
    if isinstance(x, Mapping):
        return (), dict(x)
    return (x if isinstance(x, tuple) else (x,)), {}


def numbers(name: str, given: Any) -> list[float]:
    """Return a parameter that is one or more finite numbers.

    Raises:
        BadParameter: it is something else.

    >>> numbers("widths", 2), numbers("widths", (1, 0.5)), numbers("widths", np.arange(2))
    ([2.0], [1.0, 0.5], [0.0, 1.0])
    """
    bare = given.values if isinstance(given, xr.DataArray) else given
    bare = bare.tolist() if isinstance(bare, Tensor | np.ndarray) else bare
    several = bare if isinstance(bare, Sequence) and not isinstance(bare, str) else [bare]
    try:
        found = [float(value) for value in several]
    except (TypeError, ValueError):
        found = []
    if not found or not all(map(math.isfinite, found)):
        raise BadParameter(f"{name} is {given!r}", "one or more finite numbers")
    return found


def one_number(value: Any) -> Tensor:
    """Return a loss that is one number.

    Raises:
        CannotMeasure: it is something else.
    """
    if not isinstance(value, Tensor) or value.numel() != 1:
        found = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
        raise CannotMeasure(
            f"the loss has shape {found} rather than one number"
            if isinstance(value, Tensor)
            else f"the loss is of type {found} rather than a tensor of one number",
            'reduce it, as with reduction="mean"',
        )
    return value.reshape(())

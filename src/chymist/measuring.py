"""Instruments on a user's own network, named by text: what `chymist measure` does."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import xarray as xr
from torch import Tensor, nn

from chymist import factories, instruments
from chymist.errors import BadParameter, UsageError, did_you_mean

GIVEN = ("model", "loss", "data", "x", "y")
"""What a factory's (model, loss, (x, y)) can fill of an instrument's parameters."""
PARTS = ("Objective", "Operator", "Sampler", "Instrument")
"""What instruments are made of, or for, and no measurement."""
SHOWN = 1000
"""Numbers of a result that are shown; of more, the shape and the extremes."""


def measurable() -> dict[str, Callable[..., Any]]:
    """Return the instruments that need no more than a model, a loss and data, by name."""
    found: dict[str, Callable[..., Any]] = {}
    for name in instruments.__all__:
        candidate = getattr(instruments, name)
        if inspect.isfunction(candidate) and not _makes_parts(candidate):
            needed = [p.name for p in _parameters(candidate) if p.default is p.empty]
            if needed[:1] == ["model"] and set(needed) <= set(GIVEN):
                found[name.replace("_", "-")] = candidate
    return found


def measure(
    factory: str, names: Sequence[str], options: Mapping[str, str] | None = None
) -> dict[str, dict[str, Any]]:
    """Measure the network that a factory returns; each instrument's result as plain JSON values.

    `factory` is "module:function" or "file.py:function"; the function takes nothing and returns
    (model, loss, (inputs, targets)). This runs the user's code. `options` go to every instrument
    that knows them.

    Raises:
        UsageError: the factory cannot be found or run, or returns something else.
        BadParameter: an instrument or an option is unknown.
        CannotMeasure, MovingTarget: as the instruments say.
    """
    known = measurable()
    for name in names:
        if name not in known:
            raise BadParameter(f"unknown instrument {name}", did_you_mean(name, known))
    if not names:
        raise BadParameter("no instrument is named", f"give some of {', '.join(known)}")
    chosen = {name: known[name] for name in dict.fromkeys(names)}
    given = {n.replace("-", "_"): _value(text) for n, text in (options or {}).items()}
    takes = {n: {p.name for p in _parameters(f)} - set(GIVEN) for n, f in chosen.items()}
    for option in given:
        if not any(option in accepted for accepted in takes.values()):
            every = sorted(set().union(*takes.values()))
            raise BadParameter(f"no instrument takes {option}", did_you_mean(option, every))
    model, loss, (inputs, targets) = _made(factory)
    parts = dict(zip(GIVEN, (model, loss, (inputs, targets), inputs, targets), strict=True))
    results = {}
    for name, instrument in chosen.items():
        own = {n: v for n, v in given.items() if n in takes[name]}
        needed = {p.name for p in _parameters(instrument)} & set(GIVEN)
        results[name] = plain(instrument(**{n: parts[n] for n in needed}, **own))
    return results


def plain(result: Any) -> dict[str, Any]:
    """Return an instrument's result as JSON values; what is too long as its shape and extremes."""
    if isinstance(result, xr.Dataset):
        return {str(n): _plain(v.values) for n, v in result.data_vars.items()}
    if is_dataclass(result):
        shown = [f.name for f in fields(result) if f.repr]
        return {name: _plain(getattr(result, name)) for name in shown}
    return {"value": _plain(result)}


def _plain(value: Any) -> Any:
    if isinstance(value, Tensor):
        value = value.detach().cpu().numpy()
    if isinstance(value, xr.DataArray):
        value = value.values
    if isinstance(value, np.ndarray):
        if value.size > SHOWN:
            low, high = float(np.nanmin(value)), float(np.nanmax(value))
            return {"shape": list(value.shape), "least": low, "largest": high}
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {str(n): _plain(v) for n, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return plain(value) if is_dataclass(value) else value


def _makes_parts(function: Callable[..., Any]) -> bool:
    returned = str(inspect.signature(function).return_annotation)
    return any(part in returned for part in PARTS)


def _parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    several = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    return [p for p in inspect.signature(function).parameters.values() if p.kind not in several]


def _value(text: str) -> Any:
    """Read a number, true or false; anything else is text."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _made(factory: str) -> tuple[nn.Module, Any, tuple[Any, Any]]:
    match made := factories.made(factory):
        case (nn.Module() as model, loss, (inputs, targets)):
            return model, loss, (inputs, targets)
    raise UsageError(
        f"{factory} returned {type(made).__name__}", "return (model, loss, (inputs, targets))"
    )

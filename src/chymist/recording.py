"""A module's forward pass as a list of PyTorch calls, recorded once on tensors without values."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

ROWS = 7
"""Samples in a recording; a number that is rarely another size, so that shapes tell them apart."""

_RECORDED: WeakKeyDictionary[
    nn.Module, dict[tuple[int, int], tuple[Recording, dict[str, Tensor]] | None]
] = WeakKeyDictionary()
"""Recordings by module, features and rows, since one takes tens of milliseconds."""


@dataclass(frozen=True, eq=False)
class Call:
    """One call of a PyTorch function: its arguments and what it returned."""

    function: Any
    args: tuple[Any, ...]
    options: Mapping[str, Any]
    made: Any

    @property
    def name(self) -> str:
        """The function's name; of an attribute's getter, "__get__"."""
        return getattr(self.function, "__name__", "")


@dataclass(frozen=True, eq=False)
class Recording:
    """What a function did with its inputs, in order; all tensors are on the meta device."""

    inputs: tuple[Tensor, ...]
    calls: tuple[Call, ...]
    result: Any


def record_module(
    module: nn.Module, features: int, rows: int = ROWS
) -> tuple[Recording, dict[str, Tensor]] | None:
    """Record a module's forward on (sample, feature); return its parameters and buffers beside it.

    None if it does what tensors without values cannot do, such as control flow that depends on
    data. A module is taken to do always what it did when first recorded here.
    """
    known = _RECORDED.setdefault(module, {})
    if (features, rows) not in known:
        known[features, rows] = _recorded(module, features, rows)
    return known[features, rows]


def _recorded(
    module: nn.Module, features: int, rows: int
) -> tuple[Recording, dict[str, Tensor]] | None:
    module = without_values(module)
    states = dict(module.named_parameters()) | dict(module.named_buffers())
    x = torch.empty(rows, features, dtype=next(iter(states.values())).dtype, device="meta")
    recording = record(module, x)
    return None if recording is None else (recording, states)


def record(function: Callable[..., Any], *inputs: Tensor) -> Recording | None:
    """Record a function of tensors without values; None if it needs values."""
    try:
        # What the function makes from nothing has no values either.
        with torch.device("meta"), _Recorder() as recorder:
            result = function(*inputs)
    except Exception:
        # Whatever a tensor without values cannot do (control flow, unusual code) goes another way.
        return None
    return Recording(inputs, tuple(recorder.calls), result)


def without_values(module: nn.Module) -> nn.Module:
    """Return a copy of a module whose tensors have shapes only; what is shared stays shared."""
    memo: dict[int, Any] = {
        id(p): nn.Parameter(torch.empty_like(p, device="meta"), p.requires_grad)
        for p in module.parameters()
    }
    memo |= {id(b): torch.empty_like(b, device="meta") for b in module.buffers()}
    return copy.deepcopy(module, memo)


class _Recorder(TorchFunctionMode):
    """Records the calls of PyTorch functions in this thread."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Call] = []

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        self.calls.append(Call(func, args, kwargs or {}, out))
        return out

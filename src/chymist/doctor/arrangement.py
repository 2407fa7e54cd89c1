"""Arranging a user's batch as instruments take it: tensors only, samples first, as many everywhere.

What is no tensor or has no samples (a mask of positions, a flag, None) is held fixed, sequences
that come first are turned, and targets that were flattened get their samples back. The model's
copy and the loss undo it, so they see what the user gives them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

_NOTHING = "(nothing)"


def arranged(model: nn.Module, x: Any) -> tuple[nn.Module, Any]:
    """Return a still copy and inputs that are tensors with samples first; the copy is changed.

    A tensor stays one, a mapping a mapping, all else is a tuple. `model` is called as before: with
    the inputs turned back, and what was left out put in its place.

    >>> _, x = arranged(nn.Identity(), {"ids": torch.zeros(2, 3), "mask": None})
    >>> list(x)
    ['ids']
    """
    if isinstance(x, Tensor) and x.ndim:
        return model, x
    named = isinstance(x, Mapping)
    parts = dict(x) if named else dict(enumerate(x if isinstance(x, tuple) else (x,)))
    sizes = Counter(len(v) for v in parts.values() if isinstance(v, Tensor) and v.ndim)
    most = sizes.most_common(1)[0][0] if sizes else 0
    first = next((len(v) for v in parts.values() if isinstance(v, Tensor) and v.ndim), 0)
    samples = first if sizes[first] == sizes[most] else most
    kept = {
        n: v for n, v in parts.items() if isinstance(v, Tensor) and v.ndim and len(v) == samples
    }
    if len(kept) == len(parts):
        return model, kept if named else tuple(kept.values())
    fixed = {n: v for n, v in parts.items() if n not in kept}
    order = list(parts)

    def call(run: Callable[..., Any], args: tuple[Any, ...], words: Mapping[str, Any]) -> Any:
        given = {n: v for n, v in words.items() if n != _NOTHING}
        if named:
            return run(**{n: given[n] if n in given else fixed[n] for n in order})
        own = iter(args)
        return run(*(fixed[n] if n in fixed else next(own) for n in order))

    _called_by(model, call)
    if not kept:
        # Instruments need a tensor; the model is called without it.
        return model, {_NOTHING: torch.zeros(1)} if named else (torch.zeros(1),)
    return model, kept if named else tuple(kept.values())


def turned(model: nn.Module, x: Any, samples: int) -> tuple[nn.Module, Any]:
    """Return inputs whose samples are their second dimension with samples first; see `arranged`.

    Only where there are `samples` targets, and as many along every input's second dimension but not
    along the first: sequences first, as recurrent networks take them.
    """
    parts = _parts(x)
    second = all(t.ndim > 1 and t.shape[1] == samples != t.shape[0] for t in parts)
    if not parts or not second:
        return model, x

    def back(value: Any) -> Any:
        return value.transpose(0, 1) if isinstance(value, Tensor) and value.ndim > 1 else value

    def call(run: Callable[..., Any], args: tuple[Any, ...], words: Mapping[str, Any]) -> Any:
        return run(*map(back, args), **{n: back(v) for n, v in words.items()})

    _called_by(model, call)
    if isinstance(x, Mapping):
        return model, {n: back(t) for n, t in x.items()}
    return model, back(x) if isinstance(x, Tensor) else tuple(back(t) for t in x)


def targets(loss: Callable[..., Any], y: Any, samples: int) -> tuple[Callable[..., Any], Tensor]:
    """Return a loss of (output, tensor) and targets with samples first, whatever the user's are.

    Flattened targets (sample * position,) become (sample, position). Targets that are no tensor, or
    have another number of samples, are held fixed, and zeros stand for them.

    >>> loss, y = targets(lambda out, y: y.shape, torch.zeros(6), 2)
    >>> tuple(y.shape), loss(None, y)
    ((2, 3), torch.Size([6]))
    """
    if isinstance(y, Tensor) and y.ndim and len(y) == samples:
        return loss, y
    if isinstance(y, Tensor) and y.ndim and samples and len(y) and len(y) % samples == 0:
        return lambda out, goal: loss(out, goal.flatten(0, 1)), y.reshape(samples, -1, *y.shape[1:])
    return lambda out, _: loss(out, y), torch.zeros(max(samples, 1))


def count(x: Any) -> int:
    """Return how many samples arranged inputs have."""
    return next((len(t) for t in _parts(x)), 0)


def _parts(x: Any) -> list[Tensor]:
    parts = x.values() if isinstance(x, Mapping) else x if isinstance(x, tuple | list) else [x]
    return [t for t in parts if isinstance(t, Tensor)]


def _called_by(
    model: nn.Module, call: Callable[[Callable[..., Any], tuple[Any, ...], dict[str, Any]], Any]
) -> None:
    """Let a module's forward go through `call`; its type keeps its name."""
    own = type(model)

    def forward(self: nn.Module, *args: Any, **words: Any) -> Any:
        return call(lambda *a, **w: own.forward(self, *a, **w), args, words)

    model.__class__ = type(own.__name__, (own,), {"forward": forward, "__module__": own.__module__})

"""The layers of a model by name, and how to listen to what each hands on.

A model is called as a function of its state (`torch.func.functional_call`) with hooks that are
taken off again, so that it is left as it was. A layer is any module that is called: containers,
and so the branches of a residual network, are layers too.
"""

from __future__ import annotations

import copy
import fnmatch
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from chymist.errors import BadParameter, CannotMeasure, did_you_mean
from chymist.instruments.calling import called

NETWORK = "(network)"
"""The name of the whole model among its layers."""

Enter = Callable[[str, Tensor | None], None]
"""(layer, its first floating input or None): called before a layer computes."""
Leave = Callable[[str, Tensor], Tensor]
"""(layer, what it hands on) -> what to hand on instead."""
Layers = str | Sequence[str] | None
"""Names of layers, or patterns such as "blocks.*.attention"; None: all that are called."""


def chosen(model: nn.Module, layers: Layers = None) -> dict[str, nn.Module]:
    """Return a model's modules whose names match, under their names; the model is `NETWORK`.

    Raises:
        BadParameter: a pattern matches none.

    >>> model = nn.Sequential(nn.Linear(1, 1), nn.Sequential(nn.Tanh()))
    >>> list(chosen(model)), list(chosen(model, "1.*"))
    (['0', '1', '1.0', '(network)'], ['1.0'])
    """
    every = {n: m for n, m in model.named_modules() if n} | {NETWORK: model}
    if layers is None:
        return every
    patterns = [layers] if isinstance(layers, str) else list(layers)
    for pattern in patterns:
        if not fnmatch.filter(every, pattern):
            hint = did_you_mean(pattern, every)
            raise BadParameter(f"no layer is called {pattern!r}", hint)
    return {n: m for n, m in every.items() if any(fnmatch.fnmatchcase(n, p) for p in patterns)}


def leaves(model: nn.Module) -> list[str]:
    """Return the names of the modules that compute: those without modules inside, and attention.

    The projection inside of `nn.MultiheadAttention` is never called as a module.

    >>> leaves(nn.Sequential(nn.Linear(1, 1), nn.MultiheadAttention(2, 1)))
    ['0', '1']
    """
    whole = [n for n, m in model.named_modules() if isinstance(m, nn.MultiheadAttention)]
    found = [
        name or NETWORK
        for name, module in model.named_modules()
        if name in whole
        or (not any(module.children()) and not any(name.startswith(f"{w}.") for w in whole))
    ]
    return found


def call(
    model: nn.Module,
    state: Mapping[str, Tensor],
    x: Any,
    listened: Mapping[str, nn.Module],
    leave: Leave,
    enter: Enter | None = None,
) -> Any:
    """Return the model's output at a state, with each listened layer's passing through `leave`.

    Of a layer that hands on several tensors the first is taken. A layer's second call is called
    "name#2". Attention is computed by its formula.
    """
    with listening(listened, leave, enter):
        return called(model, state, x)


@contextmanager
def listening(
    listened: Mapping[str, nn.Module], leave: Leave, enter: Enter | None = None
) -> Iterator[None]:
    """Call `enter` and `leave` at each call of the listened modules, as long as it lasts."""
    calls: Counter[str] = Counter()
    inside: list[str] = []

    def before(name: str) -> Callable[..., None]:
        def hook(_: nn.Module, args: tuple[Any, ...], words: dict[str, Any]) -> None:
            calls[name] += 1
            inside.append(name if calls[name] == 1 else f"{name}#{calls[name]}")
            if enter is not None:
                enter(inside[-1], _first((*args, *words.values())))

        return hook

    def after(_: nn.Module, args: Any, out: Any) -> Any:
        label = inside.pop()
        return _replaced(out, lambda tensor: leave(label, tensor))

    handles = []
    try:
        for name, module in listened.items():
            handles.append(module.register_forward_pre_hook(before(name), with_kwargs=True))
            handles.append(module.register_forward_hook(after))
        yield
    finally:
        for handle in handles:
            handle.remove()


def all_called(wanted: Layers, found: Mapping[str, Any], why: str = "is not called") -> None:
    """Check that every layer asked for was seen.

    Raises:
        CannotMeasure: one was not, or nothing was.
    """
    patterns = [wanted] if isinstance(wanted, str) else list(wanted or ["*"])
    for pattern in patterns:
        if not fnmatch.filter(found, pattern):
            told = ", ".join(list(found)[:6]) or "none"
            which = "every layer" if wanted is None else f"layer {pattern}"
            raise CannotMeasure(f"{which} {why}", f"these can be measured: {told}")


def _floating(value: Any) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point()


def _first(values: Sequence[Any]) -> Tensor | None:
    return next((v for v in values if _floating(v)), None)


def _replaced(out: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """Change the first floating tensor of a layer's output, which may be a tuple or a mapping."""
    if _floating(out):
        return change(out)
    if isinstance(out, tuple | list):
        place = next((i for i, v in enumerate(out) if _floating(v)), None)
        if place is None:
            return out
        parts = [change(v) if i == place else v for i, v in enumerate(out)]
        return type(out)(*parts) if hasattr(out, "_fields") else type(out)(parts)
    if isinstance(out, Mapping):
        name = next((n for n, v in out.items() if _floating(v)), None)
        if name is not None:
            made: Any = copy.copy(out)
            made[name] = change(out[name])
            return made
    return out

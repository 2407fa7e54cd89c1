"""Functions element by element as nodes."""

from __future__ import annotations

import torch

from chymist.native.nodes import Unknown
from chymist.native.values import Value, Values, broadcast


def unary(values: Values, op: str, x: Value, k: float = 0.0) -> Value:
    """Return a function of every number; of what is repeated, as often."""
    return values.new(op, [values.plain(x)], x.shape, each=values.each(x), k=k)


def with_number(values: Values, name: str, x: Value, k: float) -> Value:
    """Return what a number makes of a value."""
    match name:
        case "add":
            return unary(values, "shift", x, k)
        case "sub":
            return unary(values, "shift", x, -k)
        case "mul":
            return unary(values, "scale", x, k)
        case "div" if k:
            return unary(values, "scale", x, 1 / k)
        case "__rsub__":
            return unary(values, "shift", unary(values, "scale", x, -1.0), k)
    raise Unknown(f"{name} with {k:g}")


def binary(values: Values, name: str, a: Value, b: Value, k: float = 0.0) -> Value:
    """Return a function of two values, of which one may be smaller; PyTorch's broadcasting.

    Raises:
        Unknown: it would set samples against each other.
    """
    shape = broadcast(a.shape, b.shape)
    each = values.each(a) or values.each(b)
    for value in (a, b):
        if values.each(value) and (
            value.seen.ndim != len(shape) or value.shape[0] != shape[0] or not value.seen.ndim
        ):
            raise Unknown(f"{name} of a vector and a matrix")
    turns = name in ("add", "sub", "mul")
    if turns and not _full(values, a, shape, each) and _full(values, b, shape, each):
        made = binary(values, name, b, a)
        return with_number(values, "mul", made, -1.0) if name == "sub" else made
    if not _full(values, a, shape, each):
        a = values.copied(Value(a.node, a.seen.expand(*shape)))
        if values.each(a) != each:
            raise Unknown(f"{name} of these shapes")
    second, inner, period = values.spread(b, shape)
    op = {"div": "divide"}.get(name, name)
    uses = [values.plain(a), second]
    if name == "fill" and values.needed(b):
        raise Unknown("a mask that depends on parameters")
    return values.new(op, uses, shape, each=each, k=k, numbers=(inner, period))


def _full(values: Values, value: Value, shape: torch.Size, each: bool) -> bool:
    return value.shape == shape and values.each(value) == each


def compared(values: Values, name: str, x: Value, k: float) -> Value:
    """Return 1 where a value is a number, or where it is not, else 0; it has no gradient."""
    if values.needed(x):
        raise Unknown("a comparison that depends on parameters")
    same = unary(values, "equals", x, k)
    return same if name == "eq" else unary(values, "equals", same, 0.0)

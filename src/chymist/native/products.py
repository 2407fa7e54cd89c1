"""Products of matrices as nodes: by a matrix that all samples share, or of every sample's own."""

from __future__ import annotations

from collections.abc import Sequence

from chymist.native.nodes import Unknown
from chymist.native.values import Value, Values, broadcast, collapsed


def linear(values: Values, x: Value, weight: Value, bias: Value | None) -> Value:
    """Return x W^T + b."""
    if weight.seen.ndim != 2 or x.seen.ndim < 2:
        raise Unknown("linear of what is not a matrix")
    return _shared(values, x, Value(weight.node, weight.seen.mT), bias)


def matmul(values: Values, a: Value, b: Value, name: str = "matmul") -> Value:
    """Return the product of the last two axes of a and b."""
    if min(a.seen.ndim, b.seen.ndim) < 2:
        raise Unknown(f"{name} of what is not a matrix")
    if b.seen.ndim == 2 and not values.each(b):
        return _shared(values, a, b, None)
    return _own(values, a, b)


def _shared(values: Values, x: Value, right: Value, bias: Value | None) -> Value:
    """Return x times one matrix for all samples, all rows of all samples at once."""
    inner, cols = right.shape
    if values.each(right) or (bias and (values.each(bias) or bias.shape != (cols,))):
        raise Unknown("a product of two values that depend on samples")
    turned = Value(right.node, right.seen.mT)
    op = "linear" if values.whole(turned) else "matmul"
    uses = [values.plain(x), values.plain(turned if op == "linear" else right)]
    uses += [values.plain(bias)] if bias else []
    shape = (*x.shape[:-1], cols)
    if x.shape[-1] != inner:
        raise Unknown("a product of these shapes")
    return values.new(op, uses, shape, each=values.each(x), cols=cols)


def _own(values: Values, a: Value, b: Value) -> Value:
    """Return a product of each sample's own matrices, or of a shared one with each sample's."""
    rows, inner, cols = a.shape[-2], a.shape[-1], b.shape[-1]
    batch = broadcast(a.shape[:-2], b.shape[:-2])
    for side in (a, b):
        if values.each(side) and (side.seen.ndim < 3 or side.shape[:1] != batch[:1]):
            raise Unknown("a product of two values that depend on samples")
        if values.each(side) and side.seen.ndim != len(batch) + 2:
            raise Unknown("a product that mixes samples")
    each = values.each(a) or values.each(b)
    left, left_node, left_whole, heads = _side(values, a, (*batch, rows, inner), each)
    right, right_node, right_whole, _ = _side(values, b, (*batch, inner, cols), each)
    numbers = (heads, rows, cols, inner, *left, *right, left_whole, right_whole)
    return values.new(
        "each_product", [left_node, right_node], (*batch, rows, cols), each=each, cols=cols,
        numbers=numbers,
    )  # fmt: skip


def _side(
    values: Values, value: Value, shape: Sequence[int], each: bool
) -> tuple[tuple[int, ...], int, int, int]:
    """Return how one factor lies: offset and strides; its node; whether it takes all; heads."""
    seen = value.seen.expand(*shape)
    node = values.nodes[value.node]
    axes = list(zip(seen.shape, seen.stride(), strict=True))
    batch, (rows, down), (cols, across) = axes[:-2], axes[-2], axes[-1]
    if each:
        batch = [(batch[0][0] // values.samples, batch[0][1]), *batch[1:]]
    heads = 1
    for length, _ in batch:
        heads *= length
    lengths, strides = collapsed(batch)
    # What an axis of length one has as its stride means nothing.
    across = 1 if cols == 1 else across
    down = (cols if across == 1 else 1) if rows == 1 else down
    lies = (across == 1 and down >= cols) or (down == 1 and across >= rows)
    if len(lengths) > 1 or not lies:
        copy = values.copied(Value(value.node, seen))
        return _side(values, copy, shape, each)
    head = strides[0] if strides else 0
    per_sample = heads * rows * cols
    whole = node.each == each and node.size == per_sample and (heads == 1 or head != 0)
    sample = node.size if node.each else 0
    return (int(seen.storage_offset()), sample, head, down, across), value.node, int(whole), heads

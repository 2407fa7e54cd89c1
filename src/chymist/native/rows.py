"""Functions of rows of numbers as nodes: softmax, norms, sums and losses."""

from __future__ import annotations

import math
from typing import Any

from chymist.native.nodes import Unknown
from chymist.native.values import Value, Values


def softmax(values: Values, x: Value, *, causal: bool = False) -> Value:
    """Return the softmax over the last axis; `causal` lets row r see r + 1 numbers."""
    rows, cols = (1, *x.shape)[-2:]
    seen = (rows,) if causal else (0,)
    each = values.each(x)
    return values.new("softmax", [values.plain(x)], x.shape, each=each, cols=cols, numbers=seen)


def norm(
    values: Values, op: str, x: Value, axes: int, gain: Value | None, shift: Value | None,
    eps: float,
) -> Value:  # fmt: skip
    """Return layer_norm or rms_norm over so many of the last axes."""
    cols = math.prod(x.shape[-axes:])
    if axes >= x.seen.ndim and values.each(x):
        raise Unknown(f"{op} over samples")
    if shift and not gain:
        raise Unknown(f"{op} with a bias alone")
    if any(values.each(v) for v in (gain, shift) if v):
        raise Unknown(f"{op} with weights that depend on samples")
    uses = [values.plain(v) for v in (x, gain, shift) if v]
    return values.new(op, uses, x.shape, each=values.each(x), cols=cols, k=eps)


def reduced(values: Values, name: str, x: Value, dim: Any, keepdim: bool) -> Value:
    """Return a sum or mean, over all numbers or over axes of each sample."""
    count = x.seen.ndim
    chosen = (dim,) if isinstance(dim, int) else dim or range(count)
    axes = sorted({d % count for d in chosen} if count else ())
    shape = [1 if i in axes else n for i, n in enumerate(x.shape)]
    left = shape if keepdim else [n for i, n in enumerate(x.shape) if i not in axes]
    each = values.each(x)
    if len(axes) == count:
        op = "sum_all" if name == "sum" else "mean_all"
        return values.new(op, [values.plain(x)], left, each=False)
    if each and 0 in axes:
        raise Unknown(f"{name} over samples alone")
    if axes != list(range(axes[0], axes[-1] + 1)):
        raise Unknown(f"{name} over axes apart")
    size, inner = math.prod(x.shape[i] for i in axes), math.prod(x.shape[axes[-1] + 1 :])
    k = 1.0 if name == "sum" else 1 / size
    return values.new(
        "sum_axis", [values.plain(x)], left, each=each, k=k, numbers=(size, inner)
    )  # fmt: skip


def cross_entropy(values: Values, logits: Value, target: Value) -> Value:
    """Return the mean over rows of the cross-entropy against probabilities of classes."""
    if logits.seen.ndim != 2:
        raise Unknown("cross_entropy of what is not a matrix")
    if logits.shape != target.shape or values.needed(target):
        raise Unknown("cross_entropy without class probabilities")
    uses = [values.plain(logits), values.plain(target)]
    return values.new(
        "cross_entropy", uses, (), each=False, numbers=(logits.shape[-1],)
    )  # fmt: skip

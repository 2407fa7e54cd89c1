"""Convolution and pooling as nodes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chymist.native.nodes import Unknown
from chymist.native.values import Value, Values

_PLAIN_POOL = {
    "padding": 0, "dilation": 1, "ceil_mode": False, "return_indices": False,
    "divisor_override": None,
}  # fmt: skip


def convolution(
    values: Values, x: Value, weight: Value, bias: Value | None,
    stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1,
) -> Value:  # fmt: skip
    """Return a convolution by square kernels."""
    stride, padding, dilation = _one(stride), _one(padding), _one(dilation)
    made, channels, side, across = weight.shape
    if x.seen.ndim != 4 or dilation != 1 or groups != 1 or side != across:
        raise Unknown("conv2d that is dilated, grouped or not square")
    if any(values.each(w) for w in (weight, bias) if w):
        raise Unknown("conv2d with weights that depend on samples")
    high, wide = (1 + (n + 2 * padding - side) // stride for n in x.shape[2:])
    numbers = (channels, x.shape[2], x.shape[3], high, wide, side, stride, padding)
    uses = [values.plain(v) for v in (x, weight, bias) if v]
    shape = (x.shape[0], made, high, wide)
    return values.new("convolution", uses, shape, each=_each(values, x), numbers=numbers)


def pool(values: Values, name: str, x: Value, given: Mapping[str, Any]) -> Value:
    """Return the largest, or the mean, of windows of pixels."""
    given = dict(given)
    side = _one(given.pop("kernel_size"))
    stride = _one(given.pop("stride", None) or side)
    # Without padding it does not matter whether padding is counted.
    given.pop("count_include_pad", None)
    odd = [n for n, v in given.items() if v not in (_PLAIN_POOL[n], (_PLAIN_POOL[n],) * 2)]
    if x.seen.ndim != 4 or odd:
        raise Unknown(f"{name} with {', '.join(odd) or 'other than four dimensions'}")
    channels, height, width = x.shape[1:]
    high, wide = (1 + (n - side) // stride for n in (height, width))
    numbers = (channels, height, width, high, wide, side, stride, 0)
    op = "max_pool" if name == "max_pool2d" else "average_pool"
    shape = (x.shape[0], channels, high, wide)
    return values.new(op, [values.plain(x)], shape, each=_each(values, x), numbers=numbers)


def _each(values: Values, x: Value) -> bool:
    if not values.each(x) or x.shape[0] != values.samples:
        raise Unknown("pictures that are not one a sample")
    return True


def _one(value: Any) -> int:
    """Return the number that holds for both axes of pixels."""
    sides = set(value) if isinstance(value, tuple | list) else {value}
    if len(sides) != 1 or not isinstance(next(iter(sides)), int):
        raise Unknown("pixels treated otherwise along one axis")
    return int(sides.pop())

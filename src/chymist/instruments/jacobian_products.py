"""Products of Jacobians between samples, from layers' factors or from rows, in bounded memory.

Three ways to treat outputs: their sum "trace" (lane, sample, sample), "each" (lane, output, sample,
sample), and "full" (lane, sample, output, sample, output).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

LIMIT = 2**25
"""Numbers that an intermediate result may hold."""
PART = 2**22
"""Numbers in a part of a layer's rows: memory that is used again, and stays near the core."""


def of_rows(one: Tensor, two: Tensor, outputs: str) -> Tensor:
    """Products of rows (lane, sample, output, parameter) of Jacobians, summed over parameters.

    >>> of_rows(torch.ones(1, 2, 3, 4), torch.ones(1, 2, 3, 4), "trace")
    tensor([[[12., 12.],
             [12., 12.]]])
    """
    if outputs == "each":
        return _product(one.transpose(1, 2), two.transpose(1, 2), one is two)
    lanes, samples, count = one.shape[:3]
    if outputs == "trace":
        return _product(one.flatten(2), two.flatten(2), one is two)
    whole = _product(one.flatten(1, 2), two.flatten(1, 2), one is two)
    return whole.view(lanes, samples, count, two.shape[1], count)


def of_factors(one: tuple[Tensor, Tensor], two: tuple[Tensor, Tensor], outputs: str) -> Tensor:
    """Products of Jacobians by one weight, from (activations, signals) as `Factors` has them.

    Either products of activations times products of signals, pair of positions by pair, or rows of
    the Jacobian, some units of the layer at a time: whichever takes less arithmetic.
    """
    (a, s), (b, t) = one, two
    positions = a.shape[2] * b.shape[2]
    inputs, (count, units) = a.shape[3], (s.shape[2], s.shape[4])
    many = count**2 if outputs == "full" else count
    # A product that goes element by element takes the time of some ten in a matrix product.
    by_pairs = positions * (inputs + many * units + 10 * (1 if outputs == "trace" else many))
    lengths = a.shape[1] * a.shape[2] / b.shape[1] + b.shape[2]
    by_rows = inputs * units * (many + count * lengths / max(a.shape[1], 1))
    if positions == 1 or by_pairs < by_rows:
        return _by_pairs(a, s, b, t, outputs)
    return _by_rows(a, s, b, t, outputs)


def _by_rows(a: Tensor, s: Tensor, b: Tensor, t: Tensor, outputs: str) -> Tensor:
    most = max(a.shape[1], b.shape[1])
    width = max(1, PART // max(1, a.shape[0] * most * s.shape[2] * a.shape[3]))
    total: Tensor | None = None
    for first in range(0, s.shape[4], width):
        one = _rows(a, s[..., first : first + width])
        two = one if a is b else _rows(b, t[..., first : first + width])
        part = of_rows(one, two, outputs)
        total = part if total is None else total + part
    if total is None:
        raise ValueError("a layer without units has no Jacobian")
    return total


def _rows(a: Tensor, s: Tensor) -> Tensor:
    """Sum over positions of (signal x activation): (lane, sample, output, unit * input)."""
    lanes, samples, count, length, units = s.shape
    back = s.transpose(3, 4).reshape(lanes * samples, count * units, length)
    made = torch.bmm(back, a.reshape(lanes * samples, length, -1))
    return made.view(lanes, samples, count, -1)


def _by_pairs(a: Tensor, s: Tensor, b: Tensor, t: Tensor, outputs: str) -> Tensor:
    lanes, samples, positions, _ = a.shape
    count = s.shape[2]
    wide = count**2 if outputs == "full" else 1
    each = lanes * positions * b.shape[1] * b.shape[2] * wide
    height = max(1, LIMIT // max(1, each))
    parts = [
        _PAIRS[outputs](a[:, f : f + height], s[:, f : f + height], b, t)
        for f in range(0, samples, height)
    ]
    return torch.cat(parts, 2 if outputs == "each" else 1)


def _trace(a: Tensor, s: Tensor, b: Tensor, t: Tensor) -> Tensor:
    given = _pairs(a, b)
    back = _pairs(s.transpose(2, 3).flatten(3), t.transpose(2, 3).flatten(3))
    return _summed(given, back)


def _each(a: Tensor, s: Tensor, b: Tensor, t: Tensor) -> Tensor:
    given = _pairs(a, b)
    found = [_summed(given, _pairs(s[:, :, o], t[:, :, o])) for o in range(s.shape[2])]
    return torch.stack(found, 1)


def _full(a: Tensor, s: Tensor, b: Tensor, t: Tensor) -> Tensor:
    given = _pairs(a, b)
    lanes, i, o, p, _ = s.shape
    j, q = t.shape[1], t.shape[3]
    back = _pairs(s.flatten(1, 2), t.flatten(1, 2)).view(lanes, i, o, p, j, o, q)
    made = back * given[:, :, None, :, :, None, :]
    return made.sum((3, 6)) if p * q > 1 else made.view(lanes, i, o, j, o)


_PAIRS: dict[str, Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]] = {
    "trace": _trace, "each": _each, "full": _full,
}  # fmt: skip


def _pairs(one: Tensor, two: Tensor) -> Tensor:
    """Products between all positions of all samples: (lane, sample, position, sample, position)."""
    made = torch.bmm(one.flatten(1, 2), two.flatten(1, 2).mT)
    return made.view(*one.shape[:3], *two.shape[1:3])


def _summed(one: Tensor, two: Tensor) -> Tensor:
    made = one * two
    return made.sum((2, 4)) if made.shape[2] * made.shape[4] > 1 else made[:, :, 0, :, 0]


def _product(one: Tensor, two: Tensor, same: bool) -> Tensor:
    """One @ two^T; of a large matrix with itself only what the other half does not give."""
    size = one.shape[-2]
    if not same or size < 64 or size * one.shape[-1] < 2**16:
        return one @ two.mT
    made = one.new_empty(*one.shape[:-1], size)
    step = max(32, -(-size // 4))
    for first in range(0, size, step):
        last = min(first + step, size)
        block = one[..., first:last, :] @ one[..., first:, :].mT
        made[..., first:last, first:] = block
        made[..., first:, first:last] = block.mT
    return made

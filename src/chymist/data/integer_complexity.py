r"""The complexity of every integer up to some millions: how few ones write it with + and x.

$f(1) = 1$ and $f(n) = \min(f(a) + f(b))$ over $a + b = n$ and $a \cdot b = n$. The table goes
through segments that a core's cache holds; what makes it fast and keeps it exact is cutting both
kinds of pair (references: Iraids et al. 2012, arXiv:1203.6462; Fuller's program at OEIS A005245):

- of products, only those whose smaller part is in `factors`: numbers that no product writes as
  well as f does. A best product can be regrouped until one part is such a number and the smallest.
- of sums, n - 1 and 1, then only parts in `summands`, numbers that no sum writes as well as f
  does, up to the first a with a (n - a) > 3^((t - 1) / 3): what t - 1 ones write together has at
  most that product, and a (n - a) grows with a.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy import ndarray

from chymist import memory
from chymist.compiling import NoKernel, compiled
from chymist.errors import BadParameter, TooLarge
from chymist.theory.integer_complexity import cut_points, product_limit

Summands = Literal["all", "one"]
Array = ndarray[Any, Any]
START = 1024
"""Numbers below are done by the plain dynamic programme."""
SEGMENT = 2**18
"""Numbers of a segment: they stay in a core's cache."""
MOST = 10**11
"""Numbers below which f - ceil(3 log3 n) is hoped to fit four bits; it is checked for each."""
_HIGHEST = 250
_LIMITS = np.array([product_limit(t) for t in range(110)], dtype=np.int64)


@dataclass(frozen=True)
class ComplexityTable:
    """f(n) for n = 1, ..., last, in half a byte each; `by` says what made it.

    `factors` are the numbers up to the root of last that no product writes as well as f does;
    `summands` those, up to 1023 and but for 1, that no sum does. `tried` [k, 2] are how many
    summands beyond 1 had been tried by n: (n, how many), -1 where NumPy did not count.
    """

    last: int
    packed: Array
    factors: Array
    summands: Array
    tried: Array
    by: str

    def __getitem__(self, n: int) -> int:
        """Return f(n).

        Raises:
            IndexError: n is not in the table.
        """
        return int(self.values(n, n + 1)[0])

    def values(self, start: int, stop: int) -> Array:
        """Return f(start), ..., f(stop - 1) as bytes.

        Raises:
            IndexError: one of them is not in the table.
        """
        if not 1 <= start <= stop <= self.last + 1:
            raise IndexError(f"{start} to {stop - 1} is not within 1 to {self.last}")
        return _unpacked(self.packed, start, stop, cut_points(self.last))

    def blocks(self, start: int = 1, size: int = 2**22) -> Iterator[tuple[int, Array]]:
        """Yield (n, f(n), f(n + 1), ...) from `start` to the end, so many values at a time."""
        for n in range(start, self.last + 1, size):
            yield n, self.values(n, min(n + size, self.last + 1))


def dense_complexity(last: int, summands: Summands = "all") -> tuple[Array, Array, Array]:
    """Return f, its best product and its best sum for n = 0, ..., last by trying every pair.

    Takes last^2 / 4 additions: 0.1 s for 10,000. Where n has no product or sum the value is 250,
    as is f(0). With `summands="one"` the only sum is (n - 1) + 1.

    >>> dense_complexity(12)[0][1:].tolist()
    [1, 2, 3, 4, 5, 5, 6, 6, 6, 7, 8, 7]
    """
    f, product, total = (np.full(last + 1, _HIGHEST, dtype=np.uint8) for _ in range(3))
    f[1:2] = 1
    for n in range(1, last + 1):
        if n > 1:
            few = f[n - 1 : (n - 1) // 2 - (n % 2 == 0) : -1] if n > 3 else f[n - 1 : n - 2 : -1]
            total[n] = (f[1 : len(few) + 1] + few).min() if summands == "all" else f[n - 1] + 1
            f[n] = min(total[n], product[n])
        if n > 1 and 2 * n <= last:
            upper = min(n, last // n)
            np.minimum(product[2 * n : upper * n + 1 : n], f[n] + f[2 : upper + 1],
                       out=product[2 * n : upper * n + 1 : n])  # fmt: skip
    return f, product, total


def complexity_table(
    last: int,
    *,
    summands: Summands = "all",
    native: bool = True,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> ComplexityTable:
    """Return f(1), ..., f(last). With `summands="one"` the only sum allowed is (n - 1) + 1.

    Takes last / 2 bytes. By compiled code where there is a C compiler, else, or if not `native`, by
    NumPy, some ten times slower: `by` says which, and why. `progress` is told the last number done.

    Raises:
        BadParameter: last is below 1 or above 10^11.
        TooLarge: the table does not fit the free memory.
    """
    if not 1 <= last <= MOST:
        raise BadParameter(f"a table of complexities cannot end at {last}",
                           f"allowed: 1 to {MOST}")  # fmt: skip
    need, free = last / 2 + 40 * SEGMENT, memory.free()
    if need > free:
        largest = max(1, int(2 * (free - 40 * SEGMENT)))
        raise TooLarge(
            f"a table of complexities up to {last} needs {memory.size(need)}",
            f"{memory.size(free)} are free: up to {largest}",
        )
    making, by = _making(last, summands, native)
    tried = []
    for lo in making.starts():
        making.segment(lo, making.end(lo))
        tried.append((making.end(lo) - 1, making.tried if making.counts else -1))
        progress(making.end(lo) - 1, last)
    counted = np.array(tried, dtype=np.int64).reshape(-1, 2)
    return ComplexityTable(last, making.packed, making.factors(), making.summands, counted, by)


def _making(last: int, summands: Summands, native: bool) -> tuple[_Segments, str]:
    if not native:
        return _Segments(last, summands), "NumPy"
    try:
        return _Compiled(last, summands), "compiled kernel"
    except NoKernel as why:
        return _Segments(last, summands), f"NumPy, slower: {why}"


class _Segments:
    """A table in the making, segment by segment with NumPy."""

    counts = False

    def __init__(self, last: int, summands: Summands) -> None:
        self.last, self.tried = last, 0
        self.cut = cut_points(max(last, START) + SEGMENT)
        self.packed = np.zeros(last // 2 + 1, dtype=np.uint8)
        self.root = int(last**0.5) + 1
        first, product, total = dense_complexity(START - 1, summands)
        numbers = np.arange(START)
        self.summands = numbers[(numbers > 1) & (first < total)].astype(np.int64)
        if summands == "one":
            self.summands = self.summands[:0]
        self.summand_ones = first[self.summands]
        self.product_wins = np.ones(max(self.root + 1, START), dtype=np.uint8)
        self.product_wins[2:START] = product[2:] == first[2:]
        self.buffer = np.full(START + SEGMENT, _HIGHEST, dtype=np.uint8)
        self.buffer[:START] = first
        self.known = first
        begin = min(START, last + 1)
        _pack(self.packed, first[1:begin], 1, self.cut)

    def starts(self) -> Iterator[int]:
        """Yield where segments begin: no segment may reach twice its beginning."""
        lo = START
        while lo <= self.last:
            yield lo
            lo = self.end(lo)

    def end(self, lo: int) -> int:
        """Return where the segment that begins at `lo` ends."""
        return min(2 * lo, lo + SEGMENT, self.last + 1)

    def factors(self) -> Array:
        """Return the numbers, up to the root of the last, that no product writes as well."""
        found = np.flatnonzero(self.product_wins[: self.root + 1] == 0)
        return found[found > 1].astype(np.int64)

    def ones(self, numbers: Array) -> Array:
        """Return f of numbers that are done."""
        bases = np.searchsorted(np.array(self.cut), numbers, side="right")
        half = self.packed[numbers >> 1] >> ((numbers & 1) << 2) & 15
        return np.asarray(half + bases, dtype=np.uint8)

    def segment(self, lo: int, hi: int) -> None:
        """Do the numbers lo, ..., hi - 1."""
        product = np.full(hi - lo, _HIGHEST, dtype=np.uint8)
        for d in self._factors(lo, hi):
            m = max(d, -(-lo // d))
            stop = (hi - 1) // d + 1
            if m < stop:
                rows = product[d * m - lo :: d]
                several = _unpacked(self.packed, m, stop, self.cut) + self.ones(np.array([d]))
                np.minimum(rows, several, out=rows)
        whole = self.buffer[: START + hi - lo]
        f = whole[START:]
        # f(n) = min over m <= n of product(m) + n - m, while only ones are added.
        step = np.arange(hi - lo, dtype=np.int64)
        known = product.astype(np.int64)
        while True:
            known[0] = min(known[0], int(whole[START - 1]) + 1)
            f[:] = np.minimum.accumulate(known - step) + step
            better = self._sums(whole, lo)
            if not better.any():
                break
            known = np.minimum(known, f - better.astype(np.int64))
        self._finish(product, f, lo, hi)

    def _sums(self, whole: Array, lo: int) -> Array:
        """Return by how much a sum with a summand beyond 1 is better, for each number."""
        f = whole[START:]
        n = lo + np.arange(len(f), dtype=np.int64)
        best = f.copy()
        for a, ones in zip(self.summands.tolist(), self.summand_ones.tolist(), strict=True):
            if (a * (n - a) > _LIMITS[f - 1]).all():
                break
            np.minimum(best, whole[START - a : len(whole) - a] + np.uint8(ones), out=best)
        return f - best

    def _factors(self, lo: int, hi: int) -> list[int]:
        upper = int(hi**0.5) + 2
        found = np.flatnonzero(self.product_wins[: min(upper, len(self.product_wins))] == 0)
        return [d for d in found.tolist() if d > 1 and d * d < hi]

    def _finish(self, product: Array, f: Array, lo: int, hi: int) -> None:
        _pack(self.packed, f, lo, self.cut)
        stop = min(hi, len(self.product_wins))
        if lo < stop:
            self.product_wins[lo:stop] = product[: stop - lo] == f[: stop - lo]
        self.buffer[:START] = self.buffer[hi - lo : hi - lo + START].copy()


class _Compiled(_Segments):
    """A table in the making, segment by segment with compiled code."""

    counts = True

    def __init__(self, last: int, summands: Summands) -> None:
        self.kernel = _kernel()
        super().__init__(last, summands)
        self.trials = ctypes.c_int64(0)
        self.cuts = np.array(self.cut, dtype=np.int64)

    def segment(self, lo: int, hi: int) -> None:
        """Do the numbers lo, ..., hi - 1."""
        factors = np.array(self._factors(lo, hi), dtype=np.int64)
        factor_ones = self.ones(factors)
        failed = self.kernel.segment(
            _at(self.packed), _at(self.cuts), lo, hi, _at(self.buffer), START,
            _at(factors), _at(factor_ones), len(factors),
            _at(self.summands), _at(self.summand_ones), len(self.summands), _at(_LIMITS),
            _at(self.product_wins), len(self.product_wins) - 1, ctypes.byref(self.trials),
        )  # fmt: skip
        if failed:
            raise AssertionError(f"the table's bounds do not hold at {failed}")
        self.tried = self.trials.value
        self.buffer[:START] = self.buffer[hi - lo : hi - lo + START].copy()


@cache
def _kernel() -> ctypes.CDLL:
    library = compiled(Path(__file__).with_suffix(".c"))
    pointer, number = ctypes.c_void_p, ctypes.c_int64
    library.segment.restype = number
    library.segment.argtypes = [
        pointer, pointer, number, number, pointer, number, pointer, pointer, number,
        pointer, pointer, number, pointer, pointer, number, pointer,
    ]  # fmt: skip
    return library


def _at(array: Array) -> int:
    return int(array.ctypes.data)


def _unpacked(packed: Array, start: int, stop: int, cut: tuple[int, ...]) -> Array:
    part = packed[start // 2 : (stop + 1) // 2]
    both = np.empty((len(part), 2), dtype=np.uint8)
    np.bitwise_and(part, 15, out=both[:, 0])
    np.right_shift(part, 4, out=both[:, 1])
    values = both.ravel()[start % 2 :][: stop - start]
    _add_bases(values, start, cut, 1)
    return values


def _pack(packed: Array, values: Array, start: int, cut: tuple[int, ...]) -> None:
    """Store f(start), ...; an odd start joins the byte of the number before."""
    rest = values.copy()
    _add_bases(rest, start, cut, -1)
    if (rest > 15).any():
        raise AssertionError(f"the table's bounds do not hold from {start} on")
    if start % 2:
        packed[start // 2] |= rest[0] << 4
        rest, start = rest[1:], start + 1
    pairs = len(rest) // 2
    packed[start // 2 : start // 2 + pairs] = rest[0 : 2 * pairs : 2] | rest[1 : 2 * pairs : 2] << 4
    if len(rest) % 2:
        packed[start // 2 + pairs] = rest[-1]


def _add_bases(values: Array, start: int, cut: tuple[int, ...], sign: int) -> None:
    """Add (or take) ceil(3 log3 n), which is constant between cut points."""
    edges = [start, *(c for c in cut if start < c < start + len(values)), start + len(values)]
    for low, high in pairwise(edges):
        base = sum(c <= low for c in cut)
        part = values[low - start : high - start]
        part += np.uint8(base % 256) if sign > 0 else np.uint8(-base % 256)

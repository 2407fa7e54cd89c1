"""Frequent substrings of a text, level by level, with the uncertainty of what comes next.

A substring can be frequent only if it is so without its last symbol, so each level extends the
positions that are left of the one before. A text is an int32 array of symbols from 0; a negative
symbol is a boundary that nothing crosses.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from chymist.compiling import NoKernel, compiled

SOURCE = Path(__file__).with_name("words.c")
CHUNK = 2**20
Text = Int[ndarray, " symbol"]


@dataclass(frozen=True, eq=False)
class Grams:
    """Frequent substrings as the nodes of a trie; nodes 0..alphabet - 1 are the symbols.

    A node is its `parent` (the substring less its last symbol; -1 of a symbol) and `symbol`; it
    occurs `count` times, overlaps included, and first at `first`; it has `length` symbols. With
    uncertainty, `right` is the entropy [bit] of the symbol after it, a boundary counted as one more
    symbol, and `right_rise` by how much it exceeds that after its parent (of a symbol: that of a
    symbol anywhere); `left` and `left_rise` are the same of the text read backwards.
    """

    alphabet: int
    parent: Int[ndarray, " node"]
    symbol: Int[ndarray, " node"]
    count: Int[ndarray, " node"]
    first: Int[ndarray, " node"]
    length: Int[ndarray, " node"]
    right: Float[ndarray, " node"] | None = None
    left: Float[ndarray, " node"] | None = None
    right_rise: Float[ndarray, " node"] | None = None
    left_rise: Float[ndarray, " node"] | None = None

    def __len__(self) -> int:
        return len(self.parent)

    def keep(self, wanted: ndarray[Any, Any]) -> tuple[Grams, ndarray[Any, Any]]:
        """Return a trie of the wanted nodes and what leads to them, and the nodes that it has."""
        needed = wanted.copy()
        needed[: self.alphabet] = True
        for length in range(int(self.length.max()), 1, -1):
            level = needed & (self.length == length)
            needed[self.parent[level]] = True
        kept = np.flatnonzero(needed)
        name = np.full(len(self), -1, dtype=np.int32)
        name[kept] = np.arange(len(kept))
        parent = np.where(self.length[kept] > 1, name[self.parent[kept]], -1).astype(np.int32)
        return Grams(
            self.alphabet, parent, self.symbol[kept], self.count[kept], self.first[kept],
            self.length[kept],
        ), kept  # fmt: skip

    def spelled(self, value: Float[ndarray, " alphabet"]) -> Float[ndarray, " node"]:
        """Return the sum of the symbols' values over each node's symbols."""
        total = np.zeros(len(self))
        total[: self.alphabet] = value
        for length in range(2, int(self.length.max()) + 1):
            level = np.flatnonzero(self.length == length)
            total[level] = total[self.parent[level]] + value[self.symbol[level]]
        return total


@cache
def kernel() -> ctypes.CDLL | None:
    """Return the compiled kernel; None where there is none, and NumPy does its work."""
    try:
        library = compiled(SOURCE)
    except NoKernel:
        return None
    library.grams_count.restype = ctypes.c_void_p
    library.grams_used.restype = ctypes.c_int64
    return library


def frequent(
    text: Text, alphabet: int, *, longest: int, least: int, uncertainty: bool = False
) -> Grams:
    """Return all substrings of up to `longest` symbols that occur `least` times or more.

    Symbols are kept however rare. Nodes are ordered by length, then by first occurrence. One pass
    over the text a length; memory 8 bytes a symbol (twice with uncertainty) and 24 a distinct
    extension of a frequent substring.

    Raises:
        ValueError: the text is no int32 array with a symbol, or has 2^32 symbols.

    >>> grams = frequent(np.array([0, 1, 0, 1, 2], dtype=np.int32), 3, longest=3, least=2)
    >>> grams.parent.tolist(), grams.symbol.tolist(), grams.count.tolist()
    ([-1, -1, -1, 0], [0, 1, 2, 1], [2, 2, 1, 2])
    """
    if text.dtype != np.int32 or not (text >= 0).any() or len(text) >= 2**32:
        raise ValueError("a text is an int32 array of fewer than 2^32 symbols, one at least >= 0")
    text = np.ascontiguousarray(text)
    ways = [_Way(text, alphabet, backwards) for backwards in (False, True)[: 1 + uncertainty]]
    mirror = [np.arange(alphabet)]
    for length in range(2, longest + 1 + uncertainty):
        for way in ways:
            way.extend(length, least if length <= longest else 2**62)
        if not len(ways[0].levels[-1].parent):
            break
        if uncertainty:
            ends = len(text) - ways[0].levels[-1].first - length
            mirror.append(ways[1].rank[ends])
    forward = ways[0].levels
    grams = Grams(
        alphabet,
        *(np.concatenate([getattr(v, n) for v in forward]) for n in _Level.__annotations__),
    )
    if not uncertainty:
        return grams
    (right, right_rise), (left, left_rise) = (way.uncertainty() for way in ways)
    same = np.concatenate(mirror)
    return replace(
        grams, right=right, left=left[same], right_rise=right_rise, left_rise=left_rise[same]
    )


@dataclass(frozen=True, eq=False)
class _Level:
    parent: ndarray[Any, Any]
    symbol: ndarray[Any, Any]
    count: ndarray[Any, Any]
    first: ndarray[Any, Any]
    length: ndarray[Any, Any]


class _Way:
    """The substrings of a text read forwards or backwards, and where each begins."""

    def __init__(self, text: Text, alphabet: int, backwards: bool) -> None:
        self.text, self.alphabet, self.backwards = text, alphabet, backwards
        self.rank = np.ascontiguousarray(text[::-1]) if backwards else text.copy()
        self.nodes = alphabet
        count, first = _symbols(self.rank, alphabet)
        symbols, ones = np.arange(alphabet, dtype=np.int32), np.ones(alphabet, dtype=np.int16)
        self.levels = [_Level(symbols * 0 - 1, symbols, count, first, ones)]
        self.entropy: list[ndarray[Any, Any]] = []

    def extend(self, length: int, least: int) -> None:
        """Make the next level."""
        parent, symbol, count, first = self._extensions(length)
        level = self.levels[-1]
        begin = self.nodes - len(level.parent)
        weights = count * np.log2(count)
        shape = len(level.parent)
        total = np.bincount(parent - begin, count, shape)
        sum_log = np.bincount(parent - begin, weights, shape)
        total = np.maximum(total, 1)
        self.entropy.append(np.maximum(np.log2(total) - sum_log / total, 0))
        keep = np.flatnonzero((count >= least) & (symbol < self.alphabet))
        name = np.full(len(parent), -1, dtype=np.int32)
        name[keep] = self.nodes + np.arange(len(keep))
        if len(keep):
            self._rename(name)
        self.nodes += len(keep)
        lengths = np.full(len(keep), length, dtype=np.int16)
        self.levels.append(_Level(parent[keep], symbol[keep], count[keep], first[keep], lengths))

    def uncertainty(self) -> tuple[ndarray[Any, Any], ndarray[Any, Any]]:
        """Return the entropy after each node, and by how much it exceeds that after its parent."""
        entropy = np.concatenate(self.entropy)[: self.nodes]
        parent = np.concatenate([level.parent for level in self.levels])
        anywhere = _entropy(self.levels[0].count)
        return entropy, entropy - np.where(parent < 0, anywhere, entropy[parent])

    def _extensions(self, length: int) -> tuple[ndarray[Any, Any], ...]:
        library = kernel()
        if library is None:
            return self._by_sorting(length)
        table = library.grams_count(
            _at(self.rank), _at(self.text), ctypes.c_int64(len(self.text)), int(self.backwards),
            length, self.alphabet,
        )  # fmt: skip
        if not table:
            raise MemoryError("no memory for the substrings")
        try:
            used = library.grams_used(ctypes.c_void_p(table))
            parent, symbol = (np.empty(used, dtype=np.int32) for _ in range(2))
            count, first = (np.empty(used, dtype=np.int64) for _ in range(2))
            library.grams_read(ctypes.c_void_p(table), *map(_at, (parent, symbol, count, first)))
        finally:
            library.grams_free(ctypes.c_void_p(table))
        return parent, symbol, count, first

    def _by_sorting(self, length: int) -> tuple[ndarray[Any, Any], ...]:
        n, text = len(self.text), self.text[::-1] if self.backwards else self.text
        places = np.flatnonzero(self.rank >= 0)
        after = np.full(n + length - 1, -1, dtype=np.int64)
        after[:n] = text
        following = after[places + length - 1]
        following = np.where(following < 0, self.alphabet, following)
        key = self.rank[places].astype(np.int64) << 32 | following
        keys, at, inverse, count = np.unique(
            key, return_index=True, return_inverse=True, return_counts=True
        )
        order = np.argsort(at)
        name = np.empty(len(order), dtype=np.int32)
        name[order] = np.arange(len(order))
        self.rank[places] = name[inverse]
        keys = keys[order]
        found = (keys >> 32).astype(np.int32), (keys & 0xFFFFFFFF).astype(np.int32)
        return *found, count[order], places[at[order]]

    def _rename(self, name: ndarray[Any, Any]) -> None:
        library = kernel()
        if library is None:
            self.rank = np.where(self.rank >= 0, name[self.rank], -1).astype(np.int32)
        else:
            library.grams_rename(_at(self.rank), ctypes.c_int64(len(self.rank)), _at(name))


def _symbols(text: Text, alphabet: int) -> tuple[ndarray[Any, Any], ndarray[Any, Any]]:
    """Return how often each symbol occurs, and where first (-1: nowhere), a chunk at a time.

    What NumPy makes to count is several times as large as what it counts.
    """
    count = np.zeros(alphabet, dtype=np.int64)
    first = np.full(alphabet, -1, dtype=np.int64)
    for begin in range(0, len(text), CHUNK):
        seen, at, times = np.unique(
            text[begin : begin + CHUNK], return_index=True, return_counts=True
        )
        inside = seen >= 0
        seen = seen[inside]
        count[seen] += times[inside]
        first[seen] = np.where(first[seen] < 0, begin + at[inside], first[seen])
    return count, first


def _entropy(count: ndarray[Any, Any]) -> float:
    p = count[count > 0] / count.sum()
    return float(-(p * np.log2(p)).sum())


def _at(array: ndarray[Any, Any]) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)

"""The cheapest cut of a text into words whose costs are given (Viterbi's algorithm on a trie)."""

from __future__ import annotations

import ctypes
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from chymist.solvers.ngrams import Grams, Text, _at, kernel

LIMIT = 2**16
"""Most symbols that are cut together: after so many without a boundary one is put."""


@dataclass(frozen=True, eq=False)
class Cut:
    """Where tokens start, how often each node is one, and what each piece costs, if asked for."""

    starts: Bool[ndarray, " symbol"]
    count: Int[ndarray, " node"]
    costs: Float[ndarray, " piece"] | None = None


class Cutter:
    """Cuts texts into the words of one trie, whatever they cost."""

    def __init__(self, words: Grams) -> None:
        self.words = words
        self.longest = int(words.length.max())
        room = 1 << max(4, int(2 * len(words)).bit_length())
        self.slots = np.zeros((room, 2), dtype=np.uint64)
        library = kernel()
        if library is not None:
            library.trie_fill(
                _at(np.ascontiguousarray(words.parent)), _at(np.ascontiguousarray(words.symbol)),
                ctypes.c_int64(words.alphabet), ctypes.c_int64(len(words)), _at(self.slots),
                ctypes.c_uint64(room - 1),
            )  # fmt: skip

    def cut(self, text: Text, cost: Float[ndarray, " node"]) -> Cut:
        """Cut a text so that the sum of the tokens' costs is least.

        A cost is infinite where a node is no word; that of a symbol must be finite. Costs may be
        negative. Of equal sums the one whose last token is longest is taken. Cost: symbols times
        the length of the longest word, on as many threads as `torch.get_num_threads()` says.

        Raises:
            ValueError: the cost of a symbol is not finite.
        """
        if not np.isfinite(cost[: self.words.alphabet]).all():
            raise ValueError("the cost of every symbol must be finite: any text has to have a cut")
        cost = np.ascontiguousarray(cost, dtype=float)
        parts = _parts(text, torch.get_num_threads() if len(text) > LIMIT else 1)
        with ThreadPoolExecutor(len(parts)) as pool:
            cuts = list(pool.map(lambda part: self._cut(part, cost), parts))
        starts = cuts[0].starts if len(cuts) == 1 else np.concatenate([c.starts for c in cuts])
        return Cut(starts, np.sum([c.count for c in cuts], axis=0))

    def splits(
        self,
        chosen: Int[ndarray, " word"],
        text: Text,
        cost: Float[ndarray, " node"],
        copies: Int[ndarray, " word"],
    ) -> Cut:
        """Cut each chosen word by itself into two tokens or more: their costs, and their tokens.

        A token of a word counts as often as the word has copies.
        """
        length = self.words.length[chosen].astype(np.int64)
        ends = np.cumsum(length + 1)
        place = np.arange(ends[-1] if len(ends) else 0)
        word = np.repeat(np.arange(len(chosen)), length + 1)
        offset = place - (ends - length - 1)[word]
        inside = offset < length[word]
        own = np.full(len(place), -1, dtype=np.int32)
        own[inside] = text[(self.words.first[chosen][word] + offset)[inside]]
        return self._cut(own, np.ascontiguousarray(cost, dtype=float), copies)

    def _cut(self, text: Text, cost: ndarray[Any, Any], copies: Any = None) -> Cut:
        text = np.ascontiguousarray(text)
        starts = np.zeros(len(text), dtype=bool)
        count = np.zeros(len(self.words), dtype=np.int64)
        costs = None if copies is None else np.zeros(len(copies))
        copies = None if copies is None else np.ascontiguousarray(copies, dtype=np.int64)
        library = kernel()
        if library is None:
            self._in_python(text, cost, starts, count, costs, copies)
        elif not library.cut(
            _at(text), ctypes.c_int64(len(text)), _at(self.slots),
            ctypes.c_uint64(len(self.slots) - 1), _at(cost), self.longest, int(costs is None),
            ctypes.c_int64(LIMIT), _at(starts), _at(count), None if costs is None else _at(costs),
            None if copies is None else _at(copies),
        ):  # fmt: skip
            raise MemoryError("no memory for a cut")
        return Cut(starts, count, costs)

    def _in_python(
        self, text: Any, cost: Any, starts: Any, count: Any, costs: Any, copies: Any
    ) -> None:
        """Do the kernel's work where there is none: about a hundred times slower."""
        words = self.words
        children = {
            (p, s): v
            for v, (p, s) in enumerate(
                zip(words.parent.tolist(), words.symbol.tolist(), strict=True)
            )
        }
        price = cost.tolist()
        at, piece = 0, 0
        while at < len(text):
            if text[at] < 0:
                at += 1
                continue
            run = text[at : at + LIMIT]
            ends = np.flatnonzero(run < 0)
            run = (run[: ends[0]] if len(ends) else run).tolist()
            best = [0.0] + [np.inf] * len(run)
            last: list[tuple[int, int]] = [(0, 0)] * (len(run) + 1)
            for i in range(len(run)):
                node = run[i]
                for size in range(1, min(self.longest, len(run) - i) + 1):
                    if size > 1:
                        node = children.get((node, run[i + size - 1]), -1)
                        if node < 0:
                            break
                    total = best[i] + price[node]
                    allowed = costs is None or size == 1 or size < len(run)
                    if total < best[i + size] and allowed:
                        best[i + size], last[i + size] = total, (node, size)
            j = len(run)
            while j:
                node, size = last[j]
                count[node] += 1 if copies is None else copies[piece]
                j -= size
                starts[at + j] = True
            if costs is not None:
                costs[piece] = best[-1]
            piece += 1
            at += len(run)


def _parts(text: Text, threads: int) -> list[Text]:
    """Divide a text, where one piece ends and the next begins, into about equal parts."""
    places = [0]
    for i in range(1, threads):
        places.append(_between_pieces(text, max(len(text) * i // threads, places[-1])))
    return [text[a:b] for a, b in pairwise([*places, len(text)]) if b > a] or [text]


def _between_pieces(text: Text, place: int) -> int:
    """Return the first place from `place` on that is between two pieces, or the text's end.

    Pieces end at boundaries, and `LIMIT` symbols after they began.
    """
    begin = 0
    for last in range(place, 0, -LIMIT):
        first = max(0, last - LIMIT)
        ends = np.flatnonzero(text[first:last] < 0)
        if len(ends):
            begin = first + int(ends[-1]) + 1
            break
    limit = min(begin + -(-(place - begin) // LIMIT) * LIMIT, len(text))
    ends = np.flatnonzero(text[place:limit] < 0)
    return place + int(ends[0]) if len(ends) else limit

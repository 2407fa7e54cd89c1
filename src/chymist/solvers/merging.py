"""Words by merging neighbours, round by round: by the bits saved, or by how often they meet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from chymist.solvers.ngrams import Text
from chymist.theory import code_length

Rank = Literal["gain", "count", "random"]


@dataclass(frozen=True, eq=False)
class Pairs:
    """Neighbours in a text: tokens, how often each occurs, and how often they meet.

    Copies do not overlap: of "aaa" the pair (a, a) has one.
    """

    left: Int[ndarray, " pair"]
    right: Int[ndarray, " pair"]
    count: Int[ndarray, " pair"]
    left_count: Int[ndarray, " pair"]
    right_count: Int[ndarray, " pair"]
    total: int


@dataclass(frozen=True, eq=False)
class Round:
    """What a round did: the merged pairs, tokens left, and kinds of token with a positive count."""

    merged: Pairs
    count: Int[ndarray, " token"]
    bits: float
    kinds: int


@dataclass(frozen=True, eq=False)
class Merged:
    """A text after merging: the token at each symbol where one starts, -1 elsewhere; the rounds.

    `parts` are the two tokens that each token beyond the symbols was made of; `length` is in
    symbols.
    """

    starts: Bool[ndarray, " symbol"]
    count: Int[ndarray, " token"]
    parts: Int[ndarray, " token two"]
    length: Int[ndarray, " token"]
    rounds: tuple[Round, ...]


def merge_pairs(
    text: Text,
    alphabet: int,
    *,
    rank: Rank = "gain",
    together: int = 1,
    rounds: int = 10_000,
    kinds: float = np.inf,
    overlapping: bool = False,
    generator: np.random.Generator | None = None,
) -> Merged:
    """Merge up to `together` pairs a round, those of highest rank that share no token.

    Ranks: "gain", the saving `code_length.merge_gain`; "count" (byte pair encoding); "random", a
    pair that is met twice or more. Ends after so many rounds, with so many `kinds` of token in use,
    or when no pair is met twice or, ranked by gain, saves anything. Every round sorts the pairs of
    the text. `overlapping` counts "aaa" as two pairs (a, a): the usual mistake, kept to compare.

    Raises:
        ValueError: a random rank without a generator.

    >>> done = merge_pairs(np.array([0, 1, 2, 0, 1], dtype=np.int32), 3, rounds=1)
    >>> done.parts[3].tolist(), done.count.tolist()
    ([0, 1], [0, 0, 1, 2])
    """
    if rank == "random" and generator is None:
        raise ValueError("a random rank needs a generator")
    tokens, places = text.astype(np.int64), np.arange(len(text))
    parts = [np.stack([np.arange(alphabet), np.full(alphabet, -1)], axis=1)]
    made = alphabet
    done: list[Round] = []
    score = _scores(generator)[rank]
    while len(done) < rounds:
        count = np.bincount(tokens[tokens >= 0], minlength=made)
        room = kinds - (count > 0).sum()
        if room < 1:
            break
        pairs = _pairs(tokens, count, overlapping)
        chosen = _choose(pairs, score(pairs), int(min(together, room)))
        if not len(chosen.left):
            break
        tokens, places = _merge(tokens, places, chosen, made)
        parts.append(np.stack([chosen.left, chosen.right], axis=1))
        made += len(chosen.left)
        count = np.bincount(tokens[tokens >= 0], minlength=made)
        done.append(Round(chosen, count, code_length.code_bits(count), int((count > 0).sum())))
    all_parts = np.concatenate(parts)
    length = np.ones(made, dtype=np.int64)
    for token in range(alphabet, made):
        length[token] = length[all_parts[token]].sum()
    starts = np.zeros(len(text), dtype=bool)
    starts[places[tokens >= 0]] = True
    count = np.bincount(tokens[tokens >= 0], minlength=made)
    return Merged(starts, count, all_parts, length, tuple(done))


def _scores(
    generator: np.random.Generator | None,
) -> dict[Rank, Callable[[Pairs], Float[ndarray, " pair"]]]:
    """What pairs are ranked by; those of zero or less are not merged."""
    return {
        "gain": lambda p: code_length.merge_gain(p.total, p.left_count, p.right_count, p.count),
        "count": lambda p: p.count.astype(float),
        "random": lambda p: generator.random(len(p.count)),  # type: ignore[union-attr]
    }


def _pairs(tokens: ndarray[Any, Any], count: ndarray[Any, Any], overlapping: bool) -> Pairs:
    first, second = tokens[:-1], tokens[1:]
    meet = (first >= 0) & (second >= 0)
    if not overlapping:
        meet &= ~_overlapped(tokens)
    made = len(count)
    keys = first[meet] * made + second[meet]
    if made**2 <= 4 * len(tokens):
        often = np.bincount(keys)
        key = np.flatnonzero(often > 1)
        often = often[key]
    else:
        key, often = np.unique(keys, return_counts=True)
        key, often = key[often > 1], often[often > 1]
    left, right = np.divmod(key, made)
    return Pairs(left, right, often, count[left], count[right], int(count.sum()))


def _overlapped(tokens: ndarray[Any, Any]) -> Bool[ndarray, " pair"]:
    """Whether the pair at a place is (a, a) and shares its first a with the copy before it."""
    same = tokens[:-1] == tokens[1:]
    place = np.arange(len(same))
    begin = np.maximum.accumulate(np.where(same, -1, place))
    # Within a run of equal tokens every second pair is a copy of its own.
    overlapped: ndarray[Any, Any] = same & ((place - begin) % 2 == 0)
    return overlapped


def _choose(pairs: Pairs, score: Float[ndarray, " pair"], together: int) -> Pairs:
    taken: set[int] = set()
    chosen: list[int] = []
    # No more than the best few can be chosen, but for those that share a token.
    few = min(8 * together, len(score) - 1)
    shortlist = np.argpartition(-score, few)[: few + 1].tolist() if len(score) else []
    best: list[int] = sorted(shortlist, key=lambda i: (-score[i], i))
    for i in best:
        two = {int(pairs.left[i]), int(pairs.right[i])}
        if score[i] > 0 and not two & taken and len(chosen) < together:
            chosen.append(int(i))
            taken |= two
    pick = np.array(chosen, dtype=np.int64)
    return Pairs(
        pairs.left[pick], pairs.right[pick], pairs.count[pick], pairs.left_count[pick],
        pairs.right_count[pick], pairs.total,
    )  # fmt: skip


def _merge(tokens: Any, places: Any, chosen: Pairs, made: int) -> tuple[Any, Any]:
    begin, end = np.full(made, -1), np.full(made, -2)
    new = np.arange(len(chosen.left))
    begin[chosen.left], end[chosen.right] = new, new
    first, second = tokens[:-1], tokens[1:]
    hit = (first >= 0) & (second >= 0) & (begin[first] == end[second]) & ~_overlapped(tokens)
    at = np.flatnonzero(hit)
    tokens = tokens.copy()
    tokens[at] = made + begin[tokens[at]]
    left = np.ones(len(tokens), dtype=bool)
    left[at + 1] = False
    return tokens[left], places[left]

"""The lexicon of least description length: words that save more bits than spelling them costs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from chymist.solvers.ngrams import Grams, Text
from chymist.solvers.segmenting import Cutter
from chymist.theory import code_length

SWEEPS = 24
LOOSE = 3.0
"""Bits that a copy of a loose word saves at most; 2 to 4 find as short descriptions to 0.2 %."""
SETTLED = 1e-5
"""Relative change of the description length that ends the sweeps."""


@dataclass(frozen=True, eq=False)
class Lexicon:
    """The words in use, as substrings of the text: where one begins, how long, how often a token.

    `bits` of tokens and spelling together, `spelling` those of a word (0 of a symbol), `curve` the
    bits after each sweep. `starts` is where the text's tokens begin.
    """

    first: Int[ndarray, " word"]
    length: Int[ndarray, " word"]
    count: Int[ndarray, " word"]
    saved: Float[ndarray, " word"]
    spelling: Float[ndarray, " word"]
    bits: float
    curve: tuple[float, ...]
    starts: Bool[ndarray, " symbol"]


def autonomy(grams: Grams) -> Float[ndarray, " node"]:
    """Return how much a substring behaves as a word: uncertainty rises at both its ends.

    The sum of its right and left rises of entropy, each less the mean of all substrings of its
    length (normalised variation of branching entropy; Magistry, Sagot, ACL 2012). The best cut
    maximises the sum of length times autonomy: costs are minus that.

    Raises:
        ValueError: the substrings were counted without uncertainty.
    """
    if grams.right_rise is None or grams.left_rise is None:
        raise ValueError("count the substrings with uncertainty=True")
    total = grams.right_rise + grams.left_rise
    number = np.maximum(np.bincount(grams.length), 1)
    mean = np.bincount(grams.length, total) / number
    found: Float[ndarray, " node"] = total - mean[grams.length]
    return found


def spelling_bits(grams: Grams) -> Float[ndarray, " node"]:
    """Return the bits that spell a word: its symbols at their frequencies, and its length.

    Single symbols cost nothing: that they exist is known with or without a lexicon.
    """
    count = np.maximum(grams.count[: grams.alphabet], 1)
    letters = np.log2(count.sum() / count)
    bits = grams.spelled(letters) + code_length.length_bits(grams.length)
    return np.where(grams.length > 1, bits, 0.0)


def shortest_lexicon(
    text: Text, grams: Grams, *, sweeps: int = SWEEPS, progress: Any = None
) -> Any:
    """Return the lexicon, of the substrings `grams` of a text, that describes it in fewest bits.

    Sweeps of hard expectation-maximisation: the text is cut at least cost, a token of n_w of N
    costing log2(N / n_w); the tokens are counted; a word is dropped where its copies, each written
    as its cheapest split, would cost less than they do with its spelling (`_saved`). Of all sweeps
    the shortest description is returned: a local minimum, found from all substrings at once. A
    sweep costs a cut of the text.
    """
    spelling = spelling_bits(grams)
    names = np.arange(len(grams))
    words, cutter = grams, Cutter(grams)
    alive = np.ones(len(grams), dtype=bool)
    tokens = grams.count.astype(float)
    best: Lexicon | None = None
    curve: list[float] = []
    for sweep in range(sweeps):
        if progress is not None:
            progress(sweep, sweeps)
        found = cutter.cut(text, _cost(words, tokens, alive))
        tokens = found.count.astype(float)
        bits = code_length.description_bits(tokens, spelling)
        curve.append(bits)
        used = np.flatnonzero((tokens > 0) & (words.length > 1))
        saved = _saved(cutter, text, tokens, alive, used) - spelling[used]
        if best is None or bits < best.bits:
            best = _lexicon(words, found, saved, used, spelling, bits)
        if sweep and abs(curve[-2] - bits) <= SETTLED * bits and (saved >= 0).all():
            break
        alive = words.length == 1
        alive[used[saved >= 0]] = True
        if alive.sum() < len(words) / 2:
            words, kept = words.keep(alive)
            names, alive, tokens = names[kept], alive[kept], tokens[kept]
            spelling, cutter = spelling[kept], Cutter(words)
    assert best is not None  # noqa: S101 (there is a sweep)
    return Lexicon(**{**best.__dict__, "curve": tuple(curve)})


def _saved(cutter: Cutter, text: Text, tokens: Any, alive: Any, used: Any) -> Any:
    """Return the bits that the tokens of each word save against its cheapest split.

    Loose words, whose copies save less than `LOOSE` bits, are split in their parts' counts: a
    phrase that holds the copies of its words would make them, and so its own split, seem dear.
    """
    cost = _cost(cutter.words, tokens, alive)
    first = cutter.splits(used, text, cost, tokens[used])
    loose = first.costs - cost[used] < LOOSE
    split = cutter.splits(used[loose], text, cost, tokens[used[loose]]).count
    total = tokens.sum() + split.sum() - tokens[used[loose]].sum()
    eased = np.where(
        np.isfinite(cost), np.log2(total) - np.log2(np.maximum(tokens + split, 1)), cost
    )
    again = cutter.splits(used, text, eased, tokens[used]).costs
    return tokens[used] * (again - np.log2(total / tokens[used]))


def _cost(words: Grams, tokens: Float[ndarray, " node"], alive: Bool[ndarray, " node"]) -> Any:
    """Bits of a token; a symbol that was none costs what one that was once does."""
    total = np.maximum(tokens[alive].sum(), 2)
    price = np.log2(total) - np.log2(np.maximum(tokens, 1))
    return np.where(alive & ((tokens > 0) | (words.length == 1)), price, np.inf)


def _lexicon(words: Any, found: Any, saved: Any, used: Any, spelling: Any, bits: float) -> Lexicon:
    all_used = np.flatnonzero(found.count > 0)
    gain = np.zeros(len(words))
    gain[used] = saved
    return Lexicon(
        words.first[all_used], words.length[all_used].astype(np.int64), found.count[all_used],
        gain[all_used], spelling[all_used], bits, (), found.starts,
    )  # fmt: skip

"""How long a text is as a sequence of words: the ideal code of its tokens, and of a lexicon.

A token that is n of N costs log2(N / n) bits, so that counts n_w cost
sum n_w log2(N / n_w). In bits.
Sources: Redlich (Neural Computation 5, 1993); de Marcken (1996); Su (2018); Elias (1975).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from chymist.theory import domain


def code_bits(count: Any) -> float:
    """Bits of all tokens under the best code without memory; zero counts cost nothing.

    Raises:
        ValueError: a count is negative or not finite.

    >>> code_bits([2, 1, 1, 0])
    6.0
    """
    domain.at_least(0, count=count)
    n = np.asarray(count, dtype=float)
    return float(_n_log_n(n.sum()) - _n_log_n(n).sum())


def merge_change(total: Any, left: Any, right: Any, pair: Any, same: Any = False) -> Any:
    """Exact change of `code_bits` when `pair` copies of neighbours a, b become one token each.

    `total` tokens before, `left` of a, `right` of b; where a and b are the `same`, left = right.
    With f(n) = n log2 n: f(N - n) - f(N) + f(n_a) - f(n_a - n) + f(n_b) - f(n_b - n) - f(n), and
    f(n_a) - f(n_a - 2 n) in place of the two differences where a = b. Arrays broadcast.

    Raises:
        ValueError: the pair is more frequent than its parts.

    >>> merge_change(4, 2, 2, 2)
    -4.0
    >>> merge_change(4, 4, 4, 2, True)
    0.0
    """
    total, left, right, pair = (np.asarray(v, dtype=float) for v in (total, left, right, pair))
    same = np.asarray(same, dtype=bool)
    domain.at_least(0, left_over=np.where(same, left - 2 * pair, np.minimum(left, right) - pair))
    f = _n_log_n
    once = (
        f(left) - f(left - np.where(same, 0, pair)) + f(right) - f(right - np.where(same, 0, pair))
    )
    parts = np.where(same, f(left) - f(np.where(same, left - 2 * pair, 0)), once)
    change = f(total - pair) - f(total) + parts - f(pair)
    return change if change.ndim else float(change)


def merge_gain(total: Any, left: Any, right: Any, pair: Any) -> Any:
    """First-order saving of a merge, n log2(n N / (n_a n_b)): count times pointwise information.

    Raises:
        ValueError: a count is not positive.

    >>> merge_gain(4, 2, 2, 2)
    2.0
    """
    domain.positive(total=total, left=left, right=right, pair=pair)
    n = np.asarray(pair, dtype=float)
    gain = n * np.log2(n * np.asarray(total, dtype=float) / left / right)
    return gain if gain.ndim else float(gain)


def length_bits(length: Any) -> Float[ndarray, " word"]:
    """Bits that say how long a word is: Elias' gamma code, 2 floor(log2 l) + 1.

    Raises:
        ValueError: a length is not a whole number from 1.

    >>> length_bits([1, 2, 3, 4]).tolist()
    [1.0, 3.0, 3.0, 5.0]
    """
    domain.whole(1, length=length)
    found: ndarray[Any, Any] = 2 * np.floor(np.log2(np.asarray(length, dtype=float))) + 1
    return found


def description_bits(count: Any, spelling: Any) -> float:
    """Bits of the tokens and of the spelling of each word that occurs.

    `spelling` is 0 for what a decoder knows anyway (single letters).

    >>> description_bits([2, 1, 1, 0], [0, 0, 5, 5])
    11.0
    """
    used = np.asarray(count) > 0
    return code_bits(count) + float(np.asarray(spelling, dtype=float)[used].sum())


def _n_log_n(n: Any) -> Any:
    return n * np.log2(np.where(n > 0, n, 1))

"""Associative recall: which value went with this key?"""

from __future__ import annotations

import numpy as np
from numpy import ndarray


def associative_recall(
    generator: np.random.Generator,
    count: int,
    *,
    pairs: int = 4,
    vocabulary: int = 16,
    shuffled: bool = False,
) -> tuple[ndarray, ndarray]:
    """Draw sequences k_1 v_1 ... k_n v_n q and the value that stands behind key q.

    Keys are distinct, of the first half of the vocabulary, values of the second half, independent
    of each other; q is one of the keys. With `shuffled` the answer is the value of a pair drawn
    independently of q, so that nothing better can be said than a guess among the values shown.

    Returns:
        tokens (count, 2 pairs + 1) and answers (count), integers.

    Raises:
        ValueError: the vocabulary is odd, or has fewer keys than there are pairs.

    >>> tokens, answers = associative_recall(np.random.default_rng(0), 3, pairs=1)
    >>> bool((tokens[:, 0] == tokens[:, 2]).all() and (tokens[:, 1] == answers).all())
    True
    """
    half = vocabulary // 2
    if vocabulary % 2 or not 1 <= pairs <= half:
        raise ValueError(
            f"the vocabulary must be even and hold {pairs} keys in its half, got {vocabulary}"
        )
    keys = generator.permuted(np.tile(np.arange(half), (count, 1)), axis=1)[:, :pairs]
    values = half + generator.integers(0, half, (count, pairs))
    asked = generator.integers(0, pairs, count)
    answer = generator.integers(0, pairs, count) if shuffled else asked
    rows = np.arange(count)
    shown = np.stack([keys, values], axis=2).reshape(count, 2 * pairs)
    return np.hstack([shown, keys[rows, asked][:, None]]), values[rows, answer]


def one_hot_tokens(tokens: ndarray, vocabulary: int) -> ndarray:
    """Write tokens (..., token) as rows of zeros with a one, (..., token * vocabulary), float32.

    >>> one_hot_tokens(np.array([1, 0]), 2).tolist()
    [0.0, 1.0, 1.0, 0.0]
    """
    found: ndarray = np.eye(vocabulary, dtype=np.float32)[tokens].reshape(*tokens.shape[:-1], -1)
    return found

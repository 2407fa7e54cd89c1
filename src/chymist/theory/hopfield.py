"""Retrieval by one step of attention: how near it comes to a stored pattern.

Patterns x_1..x_N as rows, update xi' = sum_j p_j x_j with p = softmax(b x_j . xi). Source: Ramsauer
et al. (ICLR 2021), arXiv:2008.02217. In float64.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from chymist.theory import domain


def separation(patterns: Float[ndarray, "n feature"]) -> Float[ndarray, " n"]:
    """D_i = x_i . x_i - max_(j != i) x_i . x_j of each pattern; unit of a squared length.

    Raises:
        ValueError: fewer than 2 patterns, or an entry is not finite.

    >>> separation(np.array([[1.0, 0.0], [0.0, 2.0]])).tolist()
    [1.0, 4.0]
    """
    x = np.asarray(patterns, dtype=float)
    domain.finite(patterns=x)
    domain.whole(2, number_of_patterns=len(x))
    gram = x @ x.T
    own = np.diag(gram).copy()
    np.fill_diagonal(gram, -np.inf)
    found: ndarray[Any, Any] = own - gram.max(1)
    return found


def retrieval_bound(
    patterns: Float[ndarray, "n feature"], inverse_temperature: float
) -> Float[ndarray, " n"]:
    """Largest |xi' - x_i| after one update from xi = x_i: 2 (N - 1) exp(-b D_i) max_j |x_j|.

    Raises:
        ValueError: b is not positive, fewer than 2 patterns, or an entry is not finite.

    >>> retrieval_bound(np.eye(2), np.log(2)).round(12).tolist()
    [1.0, 1.0]
    """
    domain.positive(inverse_temperature=inverse_temperature)
    gap = separation(patterns)
    largest = np.linalg.norm(patterns, axis=1).max()
    found: ndarray[Any, Any] = 2 * (len(gap) - 1) * np.exp(-inverse_temperature * gap) * largest
    return found

"""What depth buys on the line: the tent map iterated, and x^2 from it.

g(x) = min(2 x, 2 - 2 x) on [0, 1]; its k-th iterate has 2^k pieces, from 2 neurons a layer.
Sources: Telgarsky (COLT 2016), arXiv:1602.04485; Yarotsky (2017), arXiv:1610.01145. In float64,
exact up to k = 40.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from chymist.theory import domain

DEEPEST = 40
"""Beyond this, float64 no longer resolves the teeth."""


def sawtooth(x: Float[ndarray, "*shape"], k: int) -> Float[ndarray, "*shape"]:
    """The tent map iterated k times, at x in [0, 1].

    Raises:
        ValueError: k is not a count up to 40, or an x lies outside [0, 1].

    >>> sawtooth(np.array([0.125, 0.25, 0.375]), 2).tolist()
    [0.5, 1.0, 0.5]
    """
    domain.whole(0, k=k)
    y = np.asarray(x, dtype=float)
    if k > DEEPEST:
        raise ValueError(f"k must be at most {DEEPEST}, got {k}")
    domain.between(0, np.nextafter(1.0, 2.0), x=y)
    for _ in range(k):
        y = np.minimum(2 * y, 2 - 2 * y)
    return y


def least_spline_error(k: int, pieces: int) -> float:
    """Least squared error over the variance with which p affine pieces can fit the k-th iterate.

    A lower bound, 1 - (p - 1)/2^(k - 1), for continuous fits with p - 1 kinks: a tooth without a
    kink inside is fitted no better than by its mean, and p - 1 kinks reach as many of the 2^(k-1)
    teeth. It says nothing beyond them; the error itself is 0 from p = 2^k on.

    Raises:
        ValueError: k or pieces is not a count.

    >>> least_spline_error(3, 2), least_spline_error(3, 8)
    (0.75, 0.0)
    """
    domain.whole(1, k=k, pieces=pieces)
    return max(0.0, 1 - (pieces - 1) / 2.0 ** (k - 1))


def square(x: Float[ndarray, "*shape"], levels: int) -> Float[ndarray, "*shape"]:
    """Interpolant of x^2 at the multiples of 2^-L, from depth: x - sum_(s=1..L) g^s(x)/4^s.

    Raises:
        ValueError: levels is not a count up to 40, or an x lies outside [0, 1].

    >>> square(np.array([0.5, 0.25]), 1).tolist()
    [0.25, 0.125]
    """
    found: ndarray[Any, Any] = np.array(x, dtype=float)
    for s in range(1, levels + 1):
        found = found - sawtooth(x, s) / 4.0**s
    return found


def square_error(levels: int) -> float:
    """Largest error of `square` on [0, 1], exactly 2^(-2 L - 2), midway between the nodes.

    Raises:
        ValueError: levels is not a count.

    >>> square_error(1)
    0.0625
    """
    domain.whole(0, levels=levels)
    return float(2.0 ** (-2 * levels - 2))

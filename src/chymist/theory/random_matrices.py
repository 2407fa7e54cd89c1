"""The Marchenko-Pastur law: eigenvalues of the sample covariance of pure noise.

X has n rows of p independent entries of mean 0 and variance v; with p/n -> ratio, the eigenvalues
of X^T X / n have density sqrt((b - x)(x - a))/(2 pi v ratio x) on [a, b] = v (1 -+ sqrt(ratio))^2,
and the share 1 - 1/ratio of them is 0 where ratio > 1. Source: Marchenko and Pastur (1967). In
float64.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from chymist.theory import domain


def edges(ratio: float, variance: float = 1.0) -> tuple[float, float]:
    """Smallest and largest eigenvalue of the bulk, v (1 -+ sqrt(ratio))^2; unit of v.

    Raises:
        ValueError: the ratio or the variance is not positive.

    >>> edges(0.25)
    (0.25, 2.25)
    """
    domain.positive(ratio=ratio, variance=variance)
    root = math.sqrt(ratio)
    return variance * (1 - root) ** 2, variance * (1 + root) ** 2


def mass_at_zero(ratio: float) -> float:
    """Share of eigenvalues that are 0, max(0, 1 - 1/ratio): the rank is at most n.

    Raises:
        ValueError: the ratio is not positive.

    >>> mass_at_zero(0.5), mass_at_zero(4.0)
    (0.0, 0.75)
    """
    domain.positive(ratio=ratio)
    return max(0.0, 1 - 1 / ratio)


def density(
    eigenvalue: Float[ndarray, "*shape"] | float, ratio: float, variance: float = 1.0
) -> Float[ndarray, "*shape"]:
    """Density of the eigenvalues above 0; integrates to 1 - `mass_at_zero`. Unit 1/v.

    Raises:
        ValueError: the ratio or the variance is not positive.

    >>> density(np.array([1.0, 5.0]), 1.0).round(6).tolist()
    [0.275664, 0.0]
    """
    low, high = edges(ratio, variance)
    x = np.asarray(eigenvalue, dtype=float)
    inside = (x > low) & (x < high)
    safe = np.where(inside, x, 1.0)
    root = np.sqrt(np.maximum((high - safe) * (safe - low), 0))
    found: ndarray[Any, Any] = np.where(inside, root / (2 * np.pi * variance * ratio * safe), 0.0)
    return found


def stieltjes(z: float, ratio: float, variance: float = 1.0) -> float:
    """Mean of 1/(eigenvalue - z), all eigenvalues counted, for z < 0. Unit 1/v.

    The positive root m of v ratio z m^2 + (z - v (1 - ratio)) m + 1 = 0: with z = -ridge it is the
    trace of the inverse of a regularised covariance over p.

    Raises:
        ValueError: the ratio or the variance is not positive, or z is not negative.

    >>> round(stieltjes(-1.0, 1.0), 9) == round((5**0.5 - 1) / 2, 9)
    True
    """
    domain.positive(ratio=ratio, variance=variance, minus_z=-z)
    b = z - variance * (1 - ratio)
    root = math.sqrt(b**2 - 4 * variance * ratio * z)
    # Of the two ways to write the root the one that adds numbers of one sign.
    if b > 0:
        return (-b - root) / (2 * variance * ratio * z)
    return 2 / (root - b)

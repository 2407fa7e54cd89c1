"""Risk of linear regression with as many features as samples, or more: the peak and its cure.

n samples of p independent features of variance 1, p/n -> ratio; labels x . beta + noise, with
|beta|^2 = signal in expectation, of random direction, and noise of variance `noise`. Risk is
E |estimate - beta|^2, which is also the excess test error. Source: Hastie, Montanari, Rosset,
Tibshirani (2019), arXiv:1903.08560. In float64; units of the labels, squared.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from chymist.theory import domain
from chymist.theory.random_matrices import stieltjes


class Risk(NamedTuple):
    """Squared bias and variance of the estimate; their sum is the risk."""

    bias: Float[ndarray, "*shape"]
    variance: Float[ndarray, "*shape"]


def least_norm(ratio: Float[ndarray, "*shape"] | float, signal: float, noise: float) -> Risk:
    """Of least squares, and of the interpolant of least norm where p > n.

    Variance noise ratio/(1 - ratio) below ratio 1; above it noise/(ratio - 1), and bias
    signal (1 - 1/ratio). Infinite at 1, where any noise is fitted at any price.

    Raises:
        ValueError: the ratio is not positive, or the signal or the noise is negative.

    >>> least_norm(np.array([0.5, 2.0]), 1.0, 0.25)
    Risk(bias=array([0. , 0.5]), variance=array([0.25, 0.25]))
    """
    domain.positive(ratio=ratio)
    domain.at_least(0, signal=signal, noise=noise)
    r = np.asarray(ratio, dtype=float)
    bias: ndarray[Any, Any] = signal * np.maximum(0.0, 1 - 1 / r)
    with np.errstate(divide="ignore"):
        spread = np.minimum(r, 1) / abs(1 - r)
    variance: ndarray[Any, Any] = noise * spread if noise else np.zeros_like(r)
    return Risk(bias, variance)


def best_ridge(ratio: float, signal: float, noise: float) -> tuple[float, float]:
    """The ridge that makes the risk least, and that risk: without a peak, monotone in the ratio.

    The penalty is ridge |w|^2 beside the mean square error; ridge = noise ratio/signal, and the
    risk is noise ratio m(-ridge), m the Stieltjes transform of Marchenko and Pastur.

    Raises:
        ValueError: the ratio, the signal or the noise is not positive.

    >>> [round(v, 6) for v in best_ridge(1.0, 1.0, 1.0)]
    [1.0, 0.618034]
    """
    domain.positive(ratio=ratio, signal=signal, noise=noise)
    ridge = noise * ratio / signal
    return ridge, noise * ratio * stieltjes(-ridge, ratio)

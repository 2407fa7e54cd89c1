"""The linear frequency principle in one dimension: training as interpolation weighted by frequency.

A wide two-layer ReLU network f(x) = sum_j a_j relu(w_j x + b_j) that starts at 0 ends at the
interpolant h of least integral |h^(w)|^2 / W(w) dw, where W(w) = E r^3/|w|^4 + E a^2 r/|w|^2, r the
size of an input weight, w the ANGULAR frequency, moments at the start. Sources: Zhang, Xu, Luo, Ma
(2019), arXiv:1905.10264; Luo, Ma, Xu, Zhang (SIMODS 2022), arXiv:2010.08153. In float64.

Functions here have a period that must be several times the range of the data; the mean, which the
weight leaves free, counts as a frequency of a tenth of the first.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from chymist.theory import domain


class Moments(NamedTuple):
    """E r^3 and E a^2 r of the initial distribution; only their ratio shapes the interpolant."""

    r3: float
    a2r: float


def uniform_moments(weight: float, amplitude: float) -> Moments:
    """Moments for w uniform on [-weight, weight], a on [-amplitude, amplitude], independent.

    E r^3 = weight^3/4 and E a^2 r = amplitude^2/3 weight/2.

    Raises:
        ValueError: weight or amplitude is not positive.

    >>> uniform_moments(2.0, 3.0)
    Moments(r3=2.0, a2r=3.0)
    """
    domain.positive(weight=weight, amplitude=amplitude)
    return Moments(weight**3 / 4, amplitude**2 / 3 * weight / 2)


def weight(
    frequency: Float[ndarray, " band"], moments: Moments, dimension: int = 1
) -> Float[ndarray, " band"]:
    """W(w) = E r^3/|w|^(d+3) + E a^2 r/|w|^(d+1): how fast frequency w is learnt, up to a factor.

    In d dimensions the frequency is the length of the angular frequency vector.

    Raises:
        ValueError: a frequency is not positive, a moment is negative or both are 0, or the
            dimension is not a count.

    >>> weight(np.array([1.0, 2.0]), Moments(16.0, 4.0)).tolist()
    [20.0, 2.0]
    """
    domain.positive(frequency=frequency, sum_of_moments=sum(moments))
    domain.at_least(0, **moments._asdict())
    domain.whole(1, dimension=dimension)
    w = np.asarray(frequency, dtype=float)
    found: ndarray[Any, Any] = moments.r3 / w ** (dimension + 3) + moments.a2r / w ** (
        dimension + 1
    )
    return found


def crossover(moments: Moments) -> float:
    """Angular frequency sqrt(E r^3 / E a^2 r) at which the two parts of W are equal.

    Below it the solution is smooth like a cubic spline, above it piecewise linear.

    Raises:
        ValueError: a moment is not positive.

    >>> crossover(Moments(16.0, 4.0))
    2.0
    """
    domain.positive(**moments._asdict())
    return float((moments.r3 / moments.a2r) ** 0.5)


def kernel(
    x: Float[ndarray, " n"],
    other: Float[ndarray, " m"],
    moments: Moments,
    period: float,
    terms: int = 4000,
) -> Float[ndarray, "n m"]:
    """k(x, x') = W_0 + 2 sum_(q=1..terms) W(2 pi q / period) cos(2 pi q (x - x') / period).

    W_0 stands for the mean. The neglected terms sum to at most
    2 (period / 2 pi)^2 E a^2 r / terms (and less by far from E r^3). Cost: n m terms products.

    Raises:
        ValueError: the period is not positive, or terms is not a count.

    >>> kernel(np.zeros(1), np.zeros(1), Moments(0.0, 1.0), 2 * np.pi, 1).round(9).tolist()
    [[102.0]]
    """
    domain.positive(period=period)
    domain.whole(1, terms=terms)
    base = 2 * np.pi / period
    frequency = base * np.arange(1, terms + 1)
    # Waves of sums of angles: two matrix products in place of n m sums over the terms.
    here, there = np.outer(x, frequency), np.outer(other, frequency)
    weights = 2 * weight(frequency, moments)
    cosines = (np.cos(here) * weights) @ np.cos(there).T + (np.sin(here) * weights) @ np.sin(
        there
    ).T
    found: ndarray[Any, Any] = weight(np.array([base / 10]), moments) + cosines
    return found


def flow(
    x: Float[ndarray, " n"],
    y: Float[ndarray, " n"],
    at: Float[ndarray, " m"],
    time: Float[ndarray, " step"],
    moments: Moments,
    period: float,
    terms: int = 4000,
) -> Float[ndarray, "step m"]:
    """Solution at `at` of d h^(w)/dt = -W(w) F[sum_i (h - y) delta(x - x_i)](w), h = 0 at first.

    h_t = k(at, x) k(x, x)^-1 (1 - exp(-k t)) y; infinite time gives the interpolant. Time is in
    units in which W has no further factor, F that of a plain sum. Cost: the kernels, and one
    eigendecomposition of size n.

    Raises:
        ValueError: two x agree, the data span more than half the period, shapes do not fit, or a
            time is negative.

    >>> x, y = np.array([0.0, 1.0]), np.array([0.0, 1.0])
    >>> flow(x, y, x, np.array([0.0, np.inf]), Moments(0.0, 1.0), 40.0).round(6).tolist()
    [[0.0, 0.0], [0.0, 1.0]]
    """
    x, y, t = (np.asarray(v, dtype=float) for v in (x, y, time))
    domain.finite(x=x, y=y, at=at)
    if x.shape != y.shape or x.ndim != 1:
        raise ValueError(f"x and y must be lists of one length, got {x.shape} and {y.shape}")
    if len(np.unique(x)) < len(x):
        raise ValueError("two points have the same x: there is no interpolant")
    if np.ptp(x) > period / 2:
        raise ValueError(f"the data must span at most half the period {period}, got {np.ptp(x)}")
    if not np.all(t >= 0):
        raise ValueError(f"a time must be at least 0, got {t.min()}")
    values, vectors = np.linalg.eigh(kernel(x, x, moments, period, terms))
    with np.errstate(over="ignore"):
        share = -np.expm1(-np.outer(t, values)) / values
    found: ndarray[Any, Any] = (share * (vectors.T @ y)) @ (
        kernel(np.asarray(at, dtype=float), x, moments, period, terms) @ vectors
    ).T
    return found


def interpolant(
    x: Float[ndarray, " n"],
    y: Float[ndarray, " n"],
    at: Float[ndarray, " m"],
    moments: Moments,
    period: float,
    terms: int = 4000,
) -> Float[ndarray, " m"]:
    """Where `flow` ends: the curve of least weighted norm through the points, at `at`.

    Only E r^3: the natural cubic spline as the period grows; only E a^2 r: the straight segments.

    Raises:
        ValueError: as `flow`.

    >>> x, y = np.array([0.0, 1.0]), np.array([0.0, 1.0])
    >>> interpolant(x, y, np.array([0.5]), Moments(0.0, 1.0), 40.0).round(3).tolist()
    [0.5]
    """
    ended: ndarray[Any, Any] = flow(x, y, at, np.array([np.inf]), moments, period, terms)[0]
    return ended

"""The random-energy law of softmax: how few of T random logits share the weight.

Logits x_1..x_T ~ N(0, s^2), independent, p = softmax(x). The participation Y = E sum_j p_j^2 is
the inverse of a number of keys; 1 - Y is the trace of the softmax's Jacobian, so that gradients
die as Y goes to 1. For many keys the weight condenses at s_c = sqrt(2 ln T). Source: Derrida,
Physical Review B 24 (1981). In float64, unit 1.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy import ndarray
from scipy.signal import fftconvolve
from scipy.special import ndtr

from chymist.theory import domain

LARGEST = 10**8
"""Most keys for which the exact values are computed: beyond, rounding tells."""


def critical_scale(keys: int) -> float:
    """Standard deviation of logits, sqrt(2 ln T), above which a few keys take the weight.

    Raises:
        ValueError: fewer than 2 keys.

    >>> round(critical_scale(128), 4)
    3.1151
    """
    domain.whole(2, keys=keys)
    return math.sqrt(2 * math.log(keys))


def participation_limit(scale: float, keys: int) -> float:
    """Participation for many keys at a fixed ratio s/s_c: max(0, 1 - s_c/s).

    Below s_c it is of order e^(s^2)/T or less. The true value of finitely many keys is
    `participation`, which is above this one.

    Raises:
        ValueError: the scale is negative, or there are fewer than 2 keys.

    >>> round(participation_limit(32.0, 128), 3), participation_limit(1.0, 128)
    (0.903, 0.0)
    """
    domain.at_least(0, scale=scale)
    critical = critical_scale(keys)
    return 1 - critical / scale if scale > critical else 0.0


def expected_largest(keys: int) -> float:
    """Mean of the largest of T standard normals, m_T = integral of (1 - Phi^T(z) - Phi^T(-z)).

    1 - Y <= m_T/s for every scale s, as s^2 (1 - Y) is the mean logit under the softmax, which the
    largest exceeds; far above s_c nearly all weight is the largest's, and 1 - Y -> m_T/s: the law
    of `participation_limit` for finitely many keys. It is below s_c by about
    ln(4 pi ln T)/(2 s_c).

    Raises:
        ValueError: keys is not a count up to 10^8.

    >>> round(expected_largest(2), 6), round(expected_largest(128), 3)  # 1/sqrt(pi)
    (0.56419, 2.595)
    """
    _check(0, keys)
    z = np.linspace(0, 12, 24_001)
    inside = 1 - ndtr(z) ** keys - ndtr(-z) ** keys
    return float(np.trapezoid(inside, z))


def participation(scale: float, keys: int) -> float:
    """E sum_j p_j^2 for exactly T keys.

    T times the integral over u of u E[e^(2x) e^(-u e^x)] (E e^(-u e^x))^(T-1), by trapezoidal sums
    in ln u; absolute error below 1e-9 for up to 10^6 keys, 1e-7 beyond. Cost: some convolutions of
    about 10^4 numbers (milliseconds), more in proportion to scales above 100.

    Raises:
        ValueError: the scale is negative, or keys is not a count up to 10^8.

    >>> round(participation(0.0, 4), 12), round(participation(50.0, 1), 9)
    (0.25, 1.0)
    """
    _check(scale, keys)
    if scale == 0:
        return 1 / keys
    _, step, laplace = _laplace(scale, keys)
    twice = _laplace(scale, keys, weight=2)[2]
    return float(keys * (twice * laplace ** (keys - 1)).sum() * step)


def log_partition(scale: float, keys: int) -> float:
    """E ln sum_j e^(x_j): the quenched free energy, by E ln Z = integral of (e^-u - E e^(-u Z))/u.

    At most ln T + s^2/2 (annealed), which it approaches far below s_c, and about s s_c far above.

    Raises:
        ValueError: the scale is negative, or keys is not a count up to 10^8.

    >>> round(log_partition(0.0, 8), 6), abs(round(log_partition(3.0, 1), 6))
    (2.079442, 0.0)
    """
    _check(scale, keys)
    if scale == 0:
        return math.log(keys)
    grid, step, laplace = _laplace(scale, keys)
    return float((np.exp(-np.exp(grid)) - laplace**keys).sum() * step)


def entropy(scale: float, keys: int) -> float:
    """Mean entropy of the softmax in nats, E ln Z - s^2 (1 - Y), by Gaussian integration by parts.

    Raises:
        ValueError: the scale is negative, or keys is not a count up to 10^8.

    >>> round(entropy(0.0, 8), 6)
    2.079442
    """
    return log_partition(scale, keys) - scale**2 * (1 - participation(scale, keys))


def _laplace(
    scale: float, keys: int, weight: int = 0
) -> tuple[ndarray[Any, Any], float, ndarray[Any, Any]]:
    """Grid v = ln u, its step, and E[(u e^x)^weight e^(-u e^x)] there, a Gaussian convolution."""
    step = 0.05
    reach = 9 * scale
    half = math.ceil(reach / step)
    low, high = -45 - math.log(keys) - reach, 12 + reach
    points = math.ceil((high - low) / step) + 1

    def function(y: ndarray[Any, Any]) -> ndarray[Any, Any]:
        found: ndarray[Any, Any] = np.exp(weight * y - np.exp(np.minimum(y, 700)))
        return found

    grid = low + step * np.arange(points)
    if scale < 8 * step:  # the grid would not resolve the Gaussian, which a few nodes do
        z, share = np.polynomial.hermite_e.hermegauss(32)
        return grid, step, function(grid[:, None] + scale * z) @ (share / share.sum())
    y = low - half * step + step * np.arange(points + 2 * half)
    offset = step * np.arange(-half, half + 1)
    gauss = np.exp(-((offset / scale) ** 2) / 2)
    smooth = fftconvolve(function(y), gauss / gauss.sum(), mode="valid")
    return grid, step, np.clip(smooth, 0, None)


def _check(scale: float, keys: int) -> None:
    domain.at_least(0, scale=scale)
    domain.whole(1, keys=keys)
    if keys > LARGEST:
        raise ValueError(f"keys must be at most {LARGEST}, got {keys}")

"""Relaxation mode by mode: by what a sweep multiplies each sine of the error.

Poisson's equation on a line or a square with N intervals a side and zeros on the border; the mode k
is sin(k pi j / N), j = 1, ..., N - 1. Source: Trottenberg, Oosterlee, Schueller (2001), Multigrid,
chapter 2. All in float64.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.fft import dstn


def jacobi_factor(*k: Any, intervals: int, omega: Any = 1.0) -> Any:
    """Factor of mode (k, l, ...) in a damped Jacobi sweep, 1 - w + w mean_i cos(k_i pi / N).

    On a line 1 - w (1 - cos(k pi / N)): near 1 for the smooth modes; at w = 1 near -1 for the
    roughest, too. One number a dimension, arrays (named or not) that broadcast. Unit 1.

    >>> float(jacobi_factor(64, intervals=128, omega=2 / 3).round(4))
    0.3333
    """
    mean = sum(np.cos(np.pi * part / intervals) for part in k) / len(k)
    return 1 - omega + omega * mean


def gauss_seidel_factor(k: Any, *, intervals: int) -> Any:
    """Factor of cos(t)^j sin(j t), t = k pi / N, in a lexicographic sweep on a line: cos(t)^2.

    Those are its eigenvectors; sines are not.

    >>> float(gauss_seidel_factor(16, intervals=64).round(4))
    0.5
    """
    return np.cos(np.pi * k / intervals) ** 2


def sor_optimal(intervals: int) -> float:
    """The best factor of over-relaxation, 2 / (1 + sin(pi / N)), on a line or a square.

    >>> round(sor_optimal(6), 4)
    1.3333
    """
    return 2 / (1 + math.sin(math.pi / intervals))


def sweeps_needed(
    modes: Float[ndarray, "*mode"], factor: Float[ndarray, "*mode"], eps: float, limit: int = 10**9
) -> int:
    """Sweeps after which the error sum_k e(k) factor(k)^t phi_k is below eps in the largest norm.

    `modes` are the sine coefficients of the error at first. The first such t, where the norm falls
    with t: found by doubling and halving, a sine transform each. Where one mode is left it is about
    log(|e(k)| / eps) / -log|factor(k)|.

    Raises:
        ValueError: the error is not below eps after `limit` sweeps.

    >>> sweeps_needed(np.array([8.0, 0, 0]), np.array([0.5, 0.0, 0.5]), 1.01)
    3
    """

    def small(t: int) -> bool:
        # A line's or square's values are half, or a quarter, of the transform of the modes.
        left = dstn(modes * factor**t, type=1) / 2.0**modes.ndim
        return bool(abs(left).max() < eps)

    if small(0):
        return 0
    high = 1
    while not small(high):
        high *= 2
        if high > limit:
            raise ValueError(f"the error is not below {eps:g} after {limit} sweeps")
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if small(middle) else (middle, high)
    return high

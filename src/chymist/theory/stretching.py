"""Kernels of multi-scale networks: a sum of one kernel, stretched by every scale.

f(x) = sum_i g_i(s_i x) with independent g_i has the kernel K(x, x') = sum_i K_0(s_i x, s_i x'), so
what one network learns at frequency mu / s, this one learns at mu. Source: Liu, Cai, Xu (2020),
arXiv:2007.11207, in words; Wang, Wang, Perdikaris (2021), arXiv:2012.10047, for kernels. In
float64.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from chymist.theory import domain

Kernel = Callable[[ndarray], ndarray]
"""Points (n, axis) to the kernel between them (n, n)."""


def stretched_kernel(
    kernel: Kernel, points: Float[ndarray, "n axis"], scales: Sequence[float]
) -> Float[ndarray, "n n"]:
    """Return sum_i K_0(s_i x, s_i x') on some points. Cost: one K_0 a scale.

    Raises:
        ValueError: a scale is not positive and finite.

    >>> stretched_kernel(lambda x: x @ x.T, np.array([[1.0], [2.0]]), [1, 2]).tolist()
    [[5.0, 10.0], [10.0, 20.0]]
    """
    for scale in scales:
        domain.positive(scale=scale)
    points = np.asarray(points, dtype=float)
    total: ndarray = np.sum([kernel(scale * points) for scale in scales], axis=0)
    return total


def wave_rates(
    kernel: Float[ndarray, "n n"], waves: Float[ndarray, "wave n"]
) -> Float[ndarray, " wave"]:
    """Rayleigh quotients v . K v / (n v . v): the rate at which a wave's error begins to fall.

    Gradient descent with step eta on half the mean squared error multiplies the error of an
    eigenvector of K/n by 1 - eta r a step. Lowest and highest eigenvalue of K/n bound r.

    Raises:
        ValueError: the kernel is not square, or waves have another number of points, or vanish.

    >>> wave_rates(np.diag([2.0, 4.0]), np.array([[1.0, 0.0], [1.0, 1.0]])).tolist()
    [1.0, 1.5]
    """
    kernel, waves = np.asarray(kernel, dtype=float), np.asarray(waves, dtype=float)
    n = len(kernel)
    if kernel.shape != (n, n) or waves.ndim != 2 or waves.shape[1] != n:
        raise ValueError(f"a kernel {kernel.shape} has no waves {waves.shape}")
    size = (waves * waves).sum(axis=1)
    if not (size > 0).all():
        raise ValueError("a wave is zero everywhere")
    rates: ndarray = np.einsum("wi,ij,wj->w", waves, kernel, waves, optimize=True) / (n * size)
    return rates


def reach(
    rates: Float[ndarray, " wave"], frequencies: Float[ndarray, " wave"], level: float = 1e-3
) -> float:
    """Return the frequency at which the rate has fallen to `level` of the first one.

    The first crossing, interpolated between the logarithms of both; NaN if there is none. With a
    step size that suits the fastest wave, a rate of a thousandth takes thousands of steps.

    Raises:
        ValueError: frequencies are not positive and increasing, or there are not as many rates.

    >>> round(reach(np.array([1.0, 0.1, 0.001]), np.array([1.0, 10.0, 1000.0]), 0.01), 6)
    100.0
    """
    rates, frequencies = np.asarray(rates, dtype=float), np.asarray(frequencies, dtype=float)
    if rates.shape != frequencies.shape or rates.ndim != 1 or len(rates) < 2:
        raise ValueError(f"needed as many rates as frequencies, got {rates.shape}, "
                         f"{frequencies.shape}")  # fmt: skip
    if not (frequencies[0] > 0 and (np.diff(frequencies) > 0).all()):
        raise ValueError("frequencies must be positive and increasing")
    domain.positive(level=level)
    below = np.flatnonzero(rates < level * rates[0])
    if not len(below) or below[0] == 0:
        return float("nan")
    last = below[0]
    # What has fallen to rounding, or below zero by it, counts as the smallest number.
    high, low = np.log(np.maximum(rates[[last - 1, last]] / rates[0], np.finfo(float).tiny))
    part = (np.log(level) - high) / (low - high)
    start, end = np.log(frequencies[[last - 1, last]])
    return float(np.exp(start + part * (end - start)))

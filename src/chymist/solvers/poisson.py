"""Poisson's equation on a grid, directly and by multigrid: what relaxation is held against.

The system A u = b is that of `relaxation`: the stencil (-1, 2, -1) or (4; -1), zeros on the border,
b = h^2 f, N - 1 inner points a side.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.fft import dstn, idstn

from chymist.solvers.relaxation import Grid, gauss_seidel


def laplacian(u: Grid) -> Grid:
    """Return A u, h^2 times minus the Laplacian: 2 d u less the sum of the neighbours.

    >>> laplacian(np.array([1.0, 2.0, 3.0])).tolist()
    [0.0, 0.0, 4.0]
    """
    out = 2.0 * u.ndim * u
    for axis in range(u.ndim):
        wide = np.pad(u, [(1, 1) if a == axis else (0, 0) for a in range(u.ndim)])
        last = u.shape[axis]
        out -= wide.take(range(last), axis) + wide.take(range(2, last + 2), axis)
    return out


def poisson_dst(b: Grid) -> Grid:
    """Return the solution of A u = b, to rounding, in any number of dimensions.

    Sines are the eigenvectors of A, with the eigenvalues sum_i (2 - 2 cos(k_i pi / N)): two sine
    transforms and a division. Cost: n log n for n points.

    >>> poisson_dst(np.array([0.0, 0.0, 4.0])).round(12).tolist()
    [1.0, 2.0, 3.0]
    """
    axes = np.meshgrid(*(np.arange(1, n + 1) / (n + 1) for n in b.shape), indexing="ij")
    value = sum(2 - 2 * np.cos(np.pi * part) for part in axes)
    solution: Grid = idstn(dstn(b, type=1) / value, type=1)
    return solution


def multigrid_v(
    u: Grid,
    b: Grid,
    *,
    before: int = 1,
    after: int = 1,
    coarse: Callable[[Grid], Grid] | None = None,
    native: bool = True,
) -> Grid:
    """Return u after one V-cycle with red-black Gauss-Seidel, `before` and `after` the correction.

    The residual goes to the grid of half as many intervals by full weighting, its solution comes
    back by linear interpolation. Who solves there is `coarse`, a function of the coarse right-hand
    side such as a network; without it the cycle calls itself down to one point a side. About 27
    additions and multiplications a point on a square, all grids together; the error falls by a
    factor of about ten, whatever N.

    Raises:
        ValueError: a side has not 2^p - 1 points, where that matters: with no `coarse`.
    """
    sizes = {n + 1 for n in u.shape}
    if any(n % 2 or (coarse is None and n & (n - 1)) for n in sizes):
        raise ValueError(f"shape {u.shape}: a V-cycle needs 2^p - 1 points a side")
    if max(sizes) == 2:
        return b / (2.0 * b.ndim)
    u = gauss_seidel(u, b, before, "red-black", native=native)
    # The coarse stencil has h twice as large, hence 4 h^2.
    rest = 4.0 * _restricted(b - laplacian(u))
    if coarse is not None:
        step = coarse(rest)
    else:
        step = multigrid_v(np.zeros_like(rest), rest, before=before, after=after, native=native)
    return gauss_seidel(u + _interpolated(step), b, after, "red-black", native=native)


def _restricted(fine: Grid) -> Grid:
    """Full weighting, (1, 2, 1) / 4 along every axis."""
    for axis in range(fine.ndim):
        f = np.moveaxis(fine, axis, 0)
        fine = np.moveaxis((f[:-2:2] + 2 * f[1:-1:2] + f[2::2]) / 4, 0, axis)
    return fine


def _interpolated(coarse: Grid) -> Grid:
    """Linear interpolation along every axis, zeros on the border."""
    for axis in range(coarse.ndim):
        c = np.moveaxis(coarse, axis, 0)
        fine = np.zeros((2 * len(c) + 1, *c.shape[1:]))
        fine[1::2] = c
        fine[2:-1:2] = (c[1:] + c[:-1]) / 2
        fine[0], fine[-1] = c[0] / 2, c[-1] / 2
        coarse = np.moveaxis(fine, 0, axis)
    return coarse

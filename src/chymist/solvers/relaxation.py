"""Relaxation for Poisson's equation on a line or a square: Jacobi, Gauss-Seidel, SOR.

The system is A u = b on the (N - 1)^d inner points of a grid with N intervals a side and zeros on
its border, A the stencil (-1, 2, -1) on a line and the five-point stencil (4; -1) on a square, so
that b = h^2 f for -Laplace u = f with h = 1/N. Arrays are float64, of one or two dimensions.
Source: Trottenberg, Oosterlee, Schueller (2001), Multigrid, chapter 2.
"""

from __future__ import annotations

import ctypes
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from chymist.compiling import NoKernel, compiled

Order = Literal["lexicographic", "red-black"]
Grid = Float[ndarray, "*point"]
BLOCK = 64
"""Sweeps between two looks at the error in `jacobi_until`."""


def jacobi(u: Grid, b: Grid, sweeps: int = 1, omega: float = 1.0, *, native: bool = True) -> Grid:
    """Return u after so many sweeps u <- (1 - w) u + w D^-1 (b + neighbours), all points at once.

    5 additions and multiplications a point and sweep on a square. By compiled code where there is
    a C compiler, else, or if not `native`, by NumPy.

    Raises:
        ValueError: u and b differ in shape, or have neither one dimension nor two.

    >>> jacobi(np.zeros(3), np.array([0.0, 2.0, 0.0]), sweeps=2).tolist()
    [0.5, 1.0, 0.5]
    """
    now, given = _padded(u, b)
    then = now.copy()
    kernel = _kernel() if native else None
    if kernel is not None:
        kernel.jacobi(_at(now), _at(then), _at(given), *_sizes(u), omega, sweeps)
        return _inner(then if sweeps % 2 else now, u.ndim)
    take, inside = omega / (2 * u.ndim), _inner(given, u.ndim)
    for _ in range(sweeps):
        around = _around(now, u.ndim)
        _inner(then, u.ndim)[...] = (1 - omega) * _inner(now, u.ndim) + take * (inside + around)
        now, then = then, now
    return _inner(now, u.ndim)


def gauss_seidel(
    u: Grid, b: Grid, sweeps: int = 1, order: Order = "lexicographic", *, native: bool = True
) -> Grid:
    """Return u after sweeps in which each point uses its neighbours' newest values: `sor`, w = 1.

    >>> gauss_seidel(np.zeros(3), np.array([0.0, 2.0, 0.0])).tolist()
    [0.0, 1.0, 0.5]
    """
    return sor(u, b, sweeps, 1.0, order, native=native)


def sor(
    u: Grid,
    b: Grid,
    sweeps: int = 1,
    omega: float = 1.0,
    order: Order = "lexicographic",
    *,
    native: bool = True,
) -> Grid:
    """Return u after sweeps of successive over-relaxation, u <- (1 - w) u + w D^-1 (b + newest).

    Point after point, row after row; or first the points whose indices, from 1, have an even sum,
    then the others, within which the order is of no matter. Converges for 0 < w < 2. The work of
    `jacobi`; without a compiler lexicographic sweeps go row by row through a recursive filter.

    Raises:
        ValueError: u and b differ in shape, have neither one dimension nor two, or no such order.
    """
    if order not in ("lexicographic", "red-black"):
        raise ValueError(f"no order {order!r}; known: lexicographic, red-black")
    now, given = _padded(u, b)
    kernel = _kernel() if native else None
    if kernel is not None:
        kernel.sor(_at(now), _at(given), *_sizes(u), omega, sweeps, 1 + (order == "red-black"))
        return _inner(now, u.ndim)
    step = _by_rows if order == "lexicographic" else _by_colours
    for _ in range(sweeps):
        step(now, given, u.ndim, omega)
    return _inner(now, u.ndim)


def jacobi_until(
    u: Grid, b: Grid, exact: Grid, eps: float, omega: float = 1.0, limit: int = 10**7
) -> tuple[int, Grid]:
    """Return after how many sweeps, at most `limit`, the largest error is below eps, and u then.

    `exact` is the solution of A u = b, as `poisson_dst` gives it. The error is looked at after
    every 64 sweeps, and after each of the last 64.
    """
    done = 0
    while abs(u - exact).max() >= eps and done < limit:
        ahead = jacobi(u, b, min(BLOCK, limit - done), omega)
        if abs(ahead - exact).max() < eps:
            while abs(u - exact).max() >= eps:
                u, done = jacobi(u, b, 1, omega), done + 1
            return done, u
        u, done = ahead, done + min(BLOCK, limit - done)
    return done, u


@cache
def _kernel() -> Any:
    """Return the compiled sweeps, or None where there is no compiler."""
    try:
        library = compiled(Path(__file__).with_name("relaxation.c"))
    except NoKernel:
        return None
    pointer, whole, real = ctypes.c_void_p, ctypes.c_int64, ctypes.c_double
    library.jacobi.argtypes = [pointer, pointer, pointer, whole, whole, whole, real, whole]
    library.sor.argtypes = [pointer, pointer, whole, whole, whole, real, whole, whole]
    library.jacobi.restype = library.sor.restype = None
    return library


def _padded(u: Grid, b: Grid) -> tuple[Grid, Grid]:
    """Return u and b with a border of zeros; a line as one row."""
    if u.shape != b.shape or u.ndim not in (1, 2):
        raise ValueError(f"u is {u.shape} and b {b.shape}; both must be one line or one square")
    now, given = (np.pad(np.atleast_2d(np.asarray(a, dtype=float)), 1) for a in (u, b))
    return now, given


def _inner(padded: Grid, dims: int) -> Grid:
    inside: Grid = padded[1:-1, 1:-1]
    return inside if dims == 2 else inside[0]


def _around(padded: Grid, dims: int) -> Grid:
    """Sum of every inner point's neighbours."""
    along = padded[1:-1, :-2] + padded[1:-1, 2:]
    around: Grid = along[0] if dims == 1 else along + (padded[:-2, 1:-1] + padded[2:, 1:-1])
    return around


def _by_rows(now: Grid, given: Grid, dims: int, omega: float) -> None:
    from scipy.signal import lfilter

    take = omega / (2 * dims)
    for r in range(1, len(now) - 1):
        known = given[r, 1:-1] + now[r, 2:]
        if dims == 2:
            known = known + now[r - 1, 1:-1] + now[r + 1, 1:-1]
        # x_c = known_c + take x_(c-1), the newest value of the left neighbour.
        now[r, 1:-1] = lfilter([1.0], [1.0, -take], (1 - omega) * now[r, 1:-1] + take * known)


def _by_colours(now: Grid, given: Grid, dims: int, omega: float) -> None:
    inside, wanted = now[1:-1, 1:-1], given[1:-1, 1:-1]
    rows, columns = np.indices(inside.shape)
    for colour in (0, 1):
        around = np.atleast_2d(_around(now, dims))
        fresh = (1 - omega) * inside + omega / (2 * dims) * (wanted + around)
        inside[...] = np.where((rows + columns) % 2 == colour, fresh, inside)


def _sizes(u: Grid) -> tuple[int, int, int]:
    rows, cols = u.shape if u.ndim == 2 else (1, len(u))
    return rows, cols, u.ndim


def _at(array: Grid) -> int:
    return array.ctypes.data

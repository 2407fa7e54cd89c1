"""Exact optimal transport between small measures, with the dual that proves it."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from chymist.compiling import NoKernel, compiled

SOURCE = Path(__file__).with_name("transport.c")
BALANCE = 1e-9
"""Most by which the two measures' masses may differ, relative to the mass."""


@dataclass(frozen=True)
class Transport:
    """The least cost of a transport, and potentials that prove it.

    `u[i] + v[j] <= cost[i, j]` up to rounding, and `gap` is how far the cost is above what they
    give, sum mu u + sum nu v: no plan costs less than `cost - gap`.
    """

    cost: float
    u: Float[ndarray, " row"]
    v: Float[ndarray, " column"]
    gap: float


def transport_w1(
    mu: Float[ndarray, " row"], nu: Float[ndarray, " column"], cost: Float[ndarray, "row column"]
) -> Transport:
    """Return the least cost of moving the masses mu to the masses nu: min sum_ij f_ij cost_ij.

    With distances as costs and masses of sum one it is the Wasserstein distance W1. Exact: shortest
    augmenting paths, O((rows + columns) rows columns) in the worst case. Where there is no C
    compiler SciPy's linear programs do it, some hundred times slower.

    Raises:
        ValueError: shapes do not fit, a mass or cost is negative or not finite, or the masses
            differ.

    >>> transport_w1(np.array([1.0, 0.0]), np.array([0.5, 0.5]), np.array([[0, 3], [3, 0.0]])).cost
    1.5
    """
    mu, nu, cost = (np.ascontiguousarray(a, dtype=float) for a in (mu, nu, cost))
    if cost.shape != (len(mu), len(nu)) or not cost.size:
        raise ValueError(f"costs {cost.shape} for {len(mu)} and {len(nu)} masses")
    for name, values in (("mass", mu), ("mass", nu), ("cost", cost)):
        if not (np.isfinite(values) & (values >= 0)).all():
            raise ValueError(f"each {name} must be finite and not negative")
    total = mu.sum()
    if not total > 0 or abs(total - nu.sum()) > BALANCE * total:
        raise ValueError(f"masses must be equal and positive, got {total:g} and {nu.sum():g}")
    share, other = mu / total, nu / nu.sum()
    try:
        found = _by_kernel(share, other, cost)
    except NoKernel:
        found = by_program(share, other, cost)
    return Transport(float(found.cost * total), found.u, found.v, float(found.gap * total))


def by_program(
    mu: Float[ndarray, " row"], nu: Float[ndarray, " column"], cost: Float[ndarray, "row column"]
) -> Transport:
    """Solve the same as a linear program by SciPy (HiGHS): the way without a compiler.

    Raises:
        ValueError: the program has no solution.
    """
    from scipy.optimize import linprog
    from scipy.sparse import csr_array, kron, vstack

    rows, columns = cost.shape
    scale = float(cost.max()) or 1.0
    sends = kron(csr_array(np.eye(rows)), np.ones((1, columns)))
    takes = kron(np.ones((1, rows)), csr_array(np.eye(columns)))
    done = linprog(
        (cost / scale).ravel(),
        A_eq=vstack([sends, takes]).tocsr(),
        b_eq=np.concatenate([mu, nu * (mu.sum() / nu.sum())]),
        method="highs-ds",
        options={"dual_feasibility_tolerance": 1e-10, "primal_feasibility_tolerance": 1e-10},
    )
    if done.status != 0:
        raise ValueError(f"the transport has no solution: {done.message}")
    v = done.eqlin.marginals[rows:]
    u = (cost / scale - v).min(1)
    gap = abs(done.fun - mu @ u - nu @ v)
    return Transport(float(done.fun * scale), u * scale, v * scale, float(gap * scale))


@cache
def kernel() -> ctypes.CDLL:
    """Return the compiled solver.

    Raises:
        NoKernel: there is no C compiler here, or it is switched off.
    """
    return compiled(SOURCE)


def pointer(array: ndarray[Any, Any] | None) -> ctypes.c_void_p:
    """Return the address of an array's first number, or of nothing."""
    return ctypes.c_void_p(None if array is None else array.ctypes.data)


def _by_kernel(mu: ndarray[Any, Any], nu: ndarray[Any, Any], cost: ndarray[Any, Any]) -> Transport:
    u, v, out = np.empty(len(mu)), np.empty(len(nu)), np.empty(2)
    failed = kernel().transport(
        ctypes.c_int64(len(mu)), ctypes.c_int64(len(nu)), pointer(mu), pointer(nu), pointer(cost),
        pointer(u), pointer(v), pointer(out[:1]), pointer(out[1:]),
    )  # fmt: skip
    if failed:
        raise MemoryError(f"no room for a transport of {cost.shape}")
    return Transport(float(out[0]), u, v, float(out[1]))

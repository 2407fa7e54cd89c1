"""Relaxation for any square matrix with a diagonal: Jacobi and successive over-relaxation."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.linalg import solve_triangular

Vector = Float[ndarray, " n"]
Matrix = Float[ndarray, "n n"]


def jacobi_matrix(a: Matrix, u: Vector, b: Vector, sweeps: int = 1, omega: float = 1.0) -> Vector:
    """Return u after so many sweeps u <- u + w D^-1 (b - A u), D the diagonal of A.

    Converges where all eigenvalues of 1 - w D^-1 A are below 1 in size. Cost: n^2 a sweep.

    >>> jacobi_matrix(np.array([[2.0, -1.0], [-1.0, 2.0]]), np.zeros(2), np.ones(2)).tolist()
    [0.5, 0.5]
    """
    step = omega / np.diag(a)
    for _ in range(sweeps):
        u = u + step * (b - a @ u)
    return u


def sor_matrix(a: Matrix, u: Vector, b: Vector, sweeps: int = 1, omega: float = 1.0) -> Vector:
    """Return u after sweeps of successive over-relaxation, point after point (w = 1: Gauss-Seidel).

    u <- u + w (D + w L)^-1 (b - A u), L the part of A below its diagonal. Cost: n^2 a sweep.

    >>> sor_matrix(np.array([[2.0, -1.0], [-1.0, 2.0]]), np.zeros(2), np.ones(2)).tolist()
    [0.5, 0.75]
    """
    lower = omega * np.tril(a, -1) + np.diag(np.diag(a))
    for _ in range(sweeps):
        u = u + omega * solve_triangular(lower, b - a @ u, lower=True)
    return u

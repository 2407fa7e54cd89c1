"""By what a sweep multiplies each mode of the error, as `jacobi-contrast` measures it.

`p` is a cell of the study's parameters.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr

from chymist import instruments, solvers
from chymist.bench import Bench
from chymist.errors import BadInput
from chymist.theory import relaxation

SWEEPS = 10
"""Sweeps over which a factor is taken."""
SEEN = 1e-9
"""Part of the largest coefficient below which what is left of a mode is rounding, about 1e-16."""


def on_line(p: Any, bench: Bench) -> xr.Dataset:
    """Factors on a line, or for the user's matrix, of the error from zero.

    On the line the solution is the sum of all sines with random signs; for a matrix the right-hand
    side is the user's, or a solution with random signs in all eigenvectors of D^-1 A.

    Returns:
        factor (omega, seed, mode), the mean of a sweep's over ten, NaN where what is left is
        rounding; curvature (mode), the eigenvalue mu of D^-1 A, 1 - cos(k pi / N) on the line.

    Raises:
        BadInput: the sweeps diverge for the user's matrix at one omega.
    """
    if bench.input is not None:
        return _of_matrix(p, bench, bench.input)
    n = p.intervals
    mode = np.arange(1, n)
    factor = _factors(p, bench, (n - 1,))
    says = {"long_name": "eigenvalue of D^-1 A", "units": "1"}
    curvature = ("mode", 1 - np.cos(np.pi * mode / n), says)
    return xr.Dataset({"factor": factor, "curvature": curvature}).assign_coords(mode=mode)


def line_theory(p: Any, run: xr.Dataset) -> xr.Dataset:
    """Return |1 - w mu| of each mode."""
    return xr.Dataset({"factor": abs(1 - run.omega * run.curvature) + 0 * run.seed})


def on_square(p: Any, bench: Bench) -> xr.Dataset:
    """Factors on a square with a quarter of the intervals; factor (omega, seed, mode, mode_y)."""
    n = max(8, p.intervals // 4)
    factor = _factors(p, bench, (n - 1, n - 1))
    mode = np.arange(1, n)
    return xr.Dataset({"factor": factor}).assign_coords(mode=mode, mode_y=mode)


def square_theory(p: Any, run: xr.Dataset) -> xr.Dataset:
    """Return |1 - w + w (cos(k pi / N) + cos(l pi / N)) / 2|."""
    n = run.sizes["mode"] + 1
    of = relaxation.jacobi_factor(run.mode, run.mode_y, intervals=n, omega=run.omega)
    return xr.Dataset({"factor": abs(of) + 0 * run.seed})


def _factors(p: Any, bench: Bench, shape: tuple[int, ...]) -> xr.DataArray:
    found = []
    for seed in bench.seeds:
        signs = bench.key(seed, "signs").numpy().choice([-1.0, 1.0], shape)
        u = _sum_of_sines(signs)
        b = solvers.laplacian(u)
        found.append([_left(signs, u, _swept(p, b, omega)) for omega in p.omega.values.tolist()])
    dims = ("seed", "omega", "mode", "mode_y")[: 2 + len(shape)]
    return _named(found, dims, p, bench)


def _swept(p: Any, b: np.ndarray, omega: float) -> np.ndarray:
    start = np.zeros_like(b)
    if p.sweeper == "gauss-seidel":
        return solvers.sor(start, b, SWEEPS, omega)
    return solvers.jacobi(start, b, SWEEPS, omega)


def _sum_of_sines(coefficients: np.ndarray) -> np.ndarray:
    # A sine transform and its inverse differ by a factor.
    scale = float(np.prod([n + 1 for n in coefficients.shape]))
    return instruments.dst_modes(coefficients, coefficients.ndim) * scale / 2.0**coefficients.ndim


def _left(first: np.ndarray, u: np.ndarray, swept: np.ndarray) -> np.ndarray:
    left = abs(instruments.dst_modes(swept - u, u.ndim))
    return _mean_factor(abs(first), left)


def _mean_factor(first: np.ndarray, left: np.ndarray) -> np.ndarray:
    seen = left > SEEN * first.max()
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(seen, (left / first) ** (1 / SWEEPS), np.nan)


def _named(found: Any, dims: tuple[str, ...], p: Any, bench: Bench) -> xr.DataArray:
    coords = {"seed": list(bench.seeds), "omega": p.omega.values}
    says = {"long_name": "factor of a sweep", "units": "1"}
    return xr.DataArray(found, coords, dims, attrs=says).transpose("omega", "seed", ...)


def _of_matrix(p: Any, bench: Bench, data: xr.Dataset) -> xr.Dataset:
    matrix = data.matrix.values
    root = np.sqrt(np.diag(matrix))
    # D^-1 A has the eigenvectors D^-1/2 v of the symmetric D^-1/2 A D^-1/2.
    curvature, v = np.linalg.eigh(matrix / np.outer(root, root))
    vectors = v / root[:, None]
    for omega in p.omega.values.tolist():
        radius = abs(1 - omega * curvature).max()
        if radius >= 1:
            raise BadInput(
                f"{data.attrs['name']}: Jacobi sweeps with omega {omega:.4g} diverge: spectral "
                f"radius {radius:.6g}",
                f"give a diagonally dominant matrix, or --omega below {2 / curvature.max():.4g}"
                if curvature.min() > 0
                else "give a positive definite, diagonally dominant matrix",
            )
    found = []
    for seed in bench.seeds:
        first = bench.key(seed, "signs").numpy().choice([-1.0, 1.0], len(matrix))
        if "right" in data:
            first = v.T @ (root * np.linalg.solve(matrix, data.right.values))
        u = vectors @ first
        swept = [
            v.T @ (root * (_matrix_sweeps(p, matrix, matrix @ u, omega) - u))
            for omega in p.omega.values.tolist()
        ]
        found.append([_mean_factor(abs(first), abs(e)) for e in swept])
    factor = _named(found, ("seed", "omega", "mode"), p, bench)
    says = {"long_name": "eigenvalue of D^-1 A", "units": "1"}
    made = xr.Dataset({"factor": factor, "curvature": ("mode", curvature, says)})
    return made.assign_coords(mode=np.arange(1, len(matrix) + 1))


def _matrix_sweeps(p: Any, matrix: np.ndarray, b: np.ndarray, omega: float) -> np.ndarray:
    sweep: Callable[..., np.ndarray] = solvers.jacobi_matrix
    if p.sweeper == "gauss-seidel":
        sweep = solvers.sor_matrix
    return sweep(matrix, np.zeros_like(b), b, SWEEPS, omega)

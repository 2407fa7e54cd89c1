"""In which order sweeps and networks take the modes of one equation, for `jacobi-contrast`.

`p` is a cell of the study's parameters.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from chymist import instruments, models, solvers
from chymist.bench import Bench, samples
from chymist.ensemble import every, log_spaced, mean_squared_error
from chymist.theory import relaxation

DONE = 0.1
"""Relative error below which a mode is done."""
SWEEPS = ("Jacobi", "Gauss-Seidel")
LOSSES: dict[str, Callable[..., Any]] = {
    "fit": mean_squared_error, "Ritz": models.ritz_discrete, "residual": models.residual_discrete,
}  # fmt: skip
"""With e the error they are e . A^s e / 2n up to a constant, s = 0, 1, 2."""


def one_by_one(p: Any, bench: Bench) -> xr.Dataset:
    """Solve A u = b on a line, u a sum of some sines with random signs, by sweeps and networks.

    The sines are the lowest `modes`, or with the band "upper" the highest. Networks, which fit u,
    or minimise the energy or the residual, are trained on the lower band only.

    Returns:
        error (solver, seed, mode, step), relative, at log-spaced sweeps or updates; jacobi (seed,
        mode, step), the part of it that theory foretells; time (solver, seed, mode), the first with
        error below 0.1, NaN if none.
    """
    n = p.points
    upper = p.band == "upper"
    modes = np.arange(n - p.modes, n) if upper else np.arange(1, p.modes + 1)
    sines = np.sin(np.pi * np.outer(modes, np.arange(1, n)) / n)
    signs = np.array(
        [bench.key(s, "signs").numpy().choice([-1.0, 1.0], p.modes) for s in bench.seeds]
    )
    u = xr.DataArray(signs @ sines, {"seed": list(bench.seeds)}, ("seed", "sample"))
    swept = [[_errors(p, name, one, modes) for one in u.values] for name in SWEEPS]
    dims = ("solver", "seed", "step", "mode")
    coords = {"solver": list(SWEEPS), "seed": u.seed, "step": range(p.updates + 1), "mode": modes}
    parts = [xr.DataArray(swept, coords, dims)]
    if not upper:
        x = samples(np.linspace(-1, 1, n + 1)[1:-1])
        right = u.copy(data=np.array([solvers.laplacian(one) for one in u.values]))
        start = partial(models.gaussian_start, first_gain=p.gain)
        networks = bench.networks(box_network(1, p.layers), start)
        for name, loss in LOSSES.items():
            target = u if name == "fit" else right
            run = bench.train(
                networks, solvers.Adam(p.lr), x, target.expand_dims(feature=1, axis=-1),
                steps=p.updates, loss=loss, label=name,
                record={instruments.sine_error(u, modes.tolist()): every()},
            ).data  # fmt: skip
            parts.append(run.error.expand_dims(solver=[name]))
    # Where sweeps are alone nothing is known of networks.
    error = xr.concat(parts, "solver", join="exact").reindex(solver=[*SWEEPS, *LOSSES])
    error = error.transpose("solver", "seed", "mode", "step")
    time = instruments.time_to(error, DONE)
    time.attrs["long_name"] = "first sweep or update with error below 0.1"
    error.attrs = {"long_name": "relative error of the sine mode", "units": "1"}
    shown = [t for t in log_spaced(60)(p.updates) if t in error.step]
    error = error.sel(step=shown)
    jacobi = error.sel(solver="Jacobi", drop=True).assign_attrs(error.attrs)
    return xr.Dataset({"error": error, "jacobi": jacobi, "time": time})


def sweep_theory(p: Any, run: xr.Dataset) -> xr.Dataset:
    """Return what is left by damped Jacobi of each mode; of the other solvers nothing is said."""
    factor = relaxation.jacobi_factor(run.mode, intervals=p.points, omega=p.damping)
    left = (abs(factor) ** run.step).expand_dims(seed=run.seed)
    return xr.Dataset({"jacobi": left.transpose(*run.jacobi.dims)})


def box_network(dims: int, layers: str) -> Callable[[], models.BoxAnsatz]:
    """Return what builds a tanh network of these hidden layers that is zero on the border."""
    sizes = [int(n) for n in layers.split("-")]
    return lambda: models.BoxAnsatz(models.MLP(dims, *sizes, 1, activation="tanh"))


def _errors(p: Any, name: str, u: np.ndarray, modes: np.ndarray) -> np.ndarray:
    """Relative errors (step, mode) after every sweep."""
    b, now = solvers.laplacian(u), np.zeros_like(u)
    states = [now]
    for _ in range(p.updates):
        if name == "Jacobi":
            now = solvers.jacobi(now, b, 1, p.damping)
        else:
            now = solvers.gauss_seidel(now, b)
        states.append(now)
    picked = modes - 1
    left = instruments.dst_modes(np.array(states) - u)[:, picked]
    return abs(left / instruments.dst_modes(u)[picked])

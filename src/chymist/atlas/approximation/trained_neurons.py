"""Neurons trained on the exact population loss, as `barron-approximation` compares dimensions.

The target is the mean of relu(v . x) over v on a circle: a function of two of d coordinates.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from chymist.atlas.approximation.random_neurons import sphere
from chymist.bench import Bench
from chymist.solvers.population import fit_subsphere, least_squares
from chymist.theory import barron, subspheres


def circle(p: Any, bench: Bench) -> xr.Dataset:
    """Train m neurons, half of either sign, from uniform directions; keep the best of some starts.

    Or, with `outer_only`, find the best outer weights of the same neurons.

    Returns:
        error, path_norm (m, seed): the error, and sum |a||w|.
    """
    d, sizes = p.dimension, p.trained.values.tolist()
    shape = (len(bench.seeds), len(sizes))
    error, path = np.full(shape, np.inf), np.zeros(shape)
    for i, seed in enumerate(bench.seeds):
        for j, m in enumerate(sizes):
            generator = bench.key(seed, f"start, m = {m}, d = {d}").numpy()
            for _ in range(p.starts):
                w = sphere(m, d, generator)
                found = _outer(w) if p.outer_only else _all(w)
                if found[0] < error[i, j]:
                    error[i, j], path[i, j] = found
            bench.progress("training", i * len(sizes) + j + 1, len(bench.seeds) * len(sizes))
    says = {"units": "1"}
    return xr.Dataset({
        "error": (("seed", "m"), error, says | {"long_name": "error / |f|^2"}),
        "path_norm": (("seed", "m"), path, says | {"long_name": "sum |a||w|"}),
    }, {"seed": list(bench.seeds), "m": sizes})  # fmt: skip


def polygon(p: Any, run: xr.Dataset) -> xr.Dataset:
    """Return the error of m neurons spaced evenly on the circle."""
    errors = [subspheres.polygon_error(m) for m in run.m.values.tolist()]
    return xr.Dataset({"error": ("m", errors)}, {"m": run.m})


def _all(w: np.ndarray) -> tuple[float, float]:
    m = len(w)
    signs = np.where(np.arange(m) % 2 == 0, 1.0, -1.0)
    done = fit_subsphere(2 * w / m, signs, 2)
    return done.error, done.path_norm


def _outer(w: np.ndarray) -> tuple[float, float]:
    d = w.shape[1]
    share = np.minimum((w[:, :2] ** 2).sum(1), 1)
    inner = subspheres.inner_product(share, 2, d)[:, None]
    gram, total = barron.inner_product(w, w), subspheres.square(2, d)
    found = least_squares(gram, inner, total, [len(w)])
    a = np.linalg.solve(gram, inner)
    return float(found.error[0, 0]), float(abs(a).sum())

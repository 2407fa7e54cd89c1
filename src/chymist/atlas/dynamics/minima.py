"""Minima of gradient descent and how sharp and how uneven they are, as `sgd-escape` leaves them.

`p` is a cell of its parameters. Data: parity of small digits, or your table.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import xarray as xr

from chymist import data, instruments, models
from chymist.bench import Bench, samples
from chymist.ensemble import Ensemble
from chymist.solvers import GradientDescent
from chymist.theory import sgd_stability as theory

FITTED = 0.01
"""Mean square of what a minimum leaves, over that of the targets, up to which it fits."""


def problem(p: Any, bench: Bench) -> tuple[xr.DataArray, xr.DataArray]:
    """Return inputs and targets: the user's, or digits and whether they are even."""
    if bench.input is not None:
        return samples(bench.input.x.values), samples(bench.input.y.values)
    x, y = data.digits_parity(p.samples)
    return samples(x), samples(y)


def note_what_is_left(
    bench: Bench, minima: Ensemble, x: xr.DataArray, y: xr.DataArray,
    which: str = "the minimum", remedy: str = "give more gd_steps or a wider network",
) -> None:  # fmt: skip
    """Note where minima do not fit the samples: the linear theory speaks of those that do."""
    left = float(((minima.predict(x) - y) ** 2).mean() / (y**2).mean())
    if not left < FITTED:
        bench.note(f"{which} leaves {left:.2g} of the targets' mean square: the theory asks for a "
                   f"fit; {remedy}")  # fmt: skip


def network(p: Any, features: int) -> models.MLP:
    return models.MLP(features, p.width, p.width, 1, activation="tanh")


def minima(p: Any, bench: Bench, lr0: Any) -> Ensemble:
    """Where gradient descent ends, its last steps half as large: what oscillates comes to rest."""
    x, y = problem(p, bench)
    networks = bench.networks(lambda: network(p, x.sizes["feature"]))
    for lr, steps in ((lr0, p.gd_steps), (lr0 / 2, p.gd_steps // 8)):
        networks = bench.train(
            networks, GradientDescent(lr), x, y, steps=steps, record={}, label="gradient descent"
        ).end
    return networks


def orders(
    bench: Bench, x: xr.DataArray, y: xr.DataArray, orders: int
) -> tuple[xr.DataArray, xr.DataArray]:
    """Repeat the data in other orders: lanes of one seed draw the same places, not samples."""
    rng = bench.key(0, "orders").numpy()
    places = np.stack([rng.permutation(x.sizes["sample"]) for _ in range(orders)])
    names = {"order": range(orders)}
    return samples(x.values[places], **names), samples(y.values[places], **names)


def curvature(
    networks: Ensemble, x: xr.DataArray
) -> tuple[xr.DataArray, xr.DataArray, xr.DataArray]:
    """Sharpness, non-uniformity and tangent kernel of every network; NaN where one diverged."""
    kernel = networks.measure(instruments.empirical_ntk, x, ("sample", "twin")).astype(float)
    fine: xr.DataArray = xr.apply_ufunc(np.isfinite, kernel).all(("sample", "twin"))
    found = instruments.kernel_nonuniformity(torch.as_tensor(kernel.where(fine, 0.0).values))
    a, s = (fine.copy(data=v.numpy()).where(fine) for v in (found.sharpness, found.value))
    return a, s, kernel


def in_units(
    a: xr.DataArray, s: xr.DataArray, lr: Any, batch: xr.DataArray, n: int
) -> dict[str, xr.DataArray]:
    """Sharpness over 2/lr and non-uniformity over the bound of each batch size."""
    noise = [theory.sampling_noise(int(b), n) for b in batch.values]
    bound = [theory.nonuniformity_bound(1.0, c) for c in noise]
    high = xr.DataArray(bound, {batch.dims[0]: batch.values})
    return {"in_sharpness": a * lr / 2, "in_nonuniformity": s * lr / high}


def margin(run: xr.Dataset) -> xr.DataArray:
    """The larger of sharpness and non-uniformity, in units of their bounds."""
    return np.maximum(run.in_sharpness, run.in_nonuniformity)


def named(made: xr.Dataset, **names: str) -> None:
    known = {"sharpness": "sharpness", "nonuniformity": "non-uniformity",
             "in_sharpness": "sharpness / (2 / step size)",
             "in_nonuniformity": "non-uniformity / its bound"}  # fmt: skip
    names = {**{n: text for n, text in known.items() if n in made}, **names}
    for variable, name in names.items():
        made[variable].attrs = {"long_name": name, "units": "1"}

"""A function known by samples, as `barron-approximation` fits it: by fixed neurons and by trained.

`p` is a cell of its parameters. Both kinds start alike, and the outer weights of both are the best
there are for the rows that are fitted: what differs is whether the inner weights were trained.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch
import xarray as xr
from numpy import ndarray
from torch import nn

from chymist import models, solvers, stats
from chymist.atlas.approximation import barron_figures as draw
from chymist.bench import Bench
from chymist.claims import Claim, below
from chymist.data import sphere
from chymist.study import Control, Experiment, Figure

ROWS, INPUTS = 4000, 8
"""What stands in where no file is given: points on a sphere, and the length of two coordinates."""
KINDS = ("fixed", "trained")
BATCH, LR = 64, 1e-2
"""Rows a step, and the step size of Adam."""
ROUNDING = 1e-8
"""Singular values, relative to the largest, that count as none."""


def sampled(p: Any, bench: Bench) -> xr.Dataset:
    """Fit one half of the rows, drawn anew for each seed, by m fixed and by m trained neurons.

    With `outer_only` no inner weight is trained: both are fixed, from starts of their own.

    Returns:
        error (inner, m, seed), on the other half, mean square over that of the targets; exponent
        (inner, seed), the power of m of it, missing where that of trained neurons does not fall;
        path_norm (inner, m, seed), sum |a| |(w, b)| where the targets and each input have the
        variance 1.
    """
    x, y = _rows(bench)
    d, sizes = x.sizes["feature"], p.sampled.values.tolist()
    fitted = {"sample": slice(None, None, 2)}
    found = []
    for m in sizes:
        for kind in KINDS:
            fixed = kind == "fixed" or p.outer_only
            build = partial(models.MLP, d, m, 1, activation="relu")
            networks = bench.networks(build, partial(_start, again=kind == "trained"))
            if not fixed:
                networks = bench.train(
                    networks, solvers.Adam(LR), x.isel(fitted), y.isel(fitted), batch=BATCH,
                    steps=p.sampled_steps, record={}, label=f"{m} neurons",
                ).end  # fmt: skip
            own = networks.parameters
            w = torch.cat([own["layers.0.weight"], own["layers.0.bias"][..., None]], -1)
            given = zip(w.double().numpy(), x.values, y.values, strict=True)
            found.append([_combined(*one) for one in given])
    shape, dims, one = (len(sizes), len(KINDS), -1), ("m", "inner", "seed"), {"units": "1"}
    error, path = (np.reshape(part, shape) for part in np.moveaxis(np.array(found), -1, 0))
    run = xr.Dataset({
        "error": (dims, error, one | {"long_name": "error on held-out rows"}),
        "path_norm": (dims, path, one | {"long_name": "sum |a| |(w, b)|"}),
    }, {"m": sizes, "inner": list(KINDS), "seed": list(bench.seeds)})  # fmt: skip
    exponent = stats.log_slope(run.error, "m")
    if not p.outer_only:
        # An error that noise or the number of rows holds up from the first m on shows no power.
        falls = run.error.isel(m=-1, drop=True) < run.error.isel(m=0, drop=True)
        exponent = exponent.where(falls | (run.inner == "fixed"))
        if held := int(exponent.isnull().sum()):
            bench.note(f"the error of {sizes[0]} trained neurons is as small as that of "
                       f"{sizes[-1]} in {held} seeds: give fewer, as by --sampled 2,4,8")
    return run.assign(exponent=exponent.assign_attrs(long_name="power of m", units="1"))


def _rows(bench: Bench) -> tuple[xr.DataArray, xr.DataArray]:
    """Points (seed, sample, feature) and values, of the file in a random order for each seed."""
    given = bench.input
    if given is None:
        x = bench.draw("points", lambda rng: _named(sphere(ROWS, INPUTS, rng, INPUTS**0.5)))
        length = (x.isel(feature=slice(2)) ** 2).sum("feature", keepdims=True) ** 0.5
        return x, (length - length.mean("sample")) / length.std("sample")
    order = bench.draw("order", lambda rng: _named(rng.permutation(given.sizes["sample"])[:, None]))
    place = order.isel(feature=0)
    x, y = given.x.isel(sample=place), given.y.rename(output="feature").isel(sample=place)
    return x.transpose("seed", "sample", "feature"), y.transpose("seed", "sample", "feature")


def _named(values: ndarray[Any, Any]) -> xr.DataArray:
    return xr.DataArray(values, dims=("sample", "feature"))


def _start(module: nn.Module, generator: torch.Generator, *, again: bool) -> None:
    """Start neurons in random directions; `again` are others than those that were drawn first."""
    first = next(m for m in module.modules() if isinstance(m, nn.Linear))
    for _ in range(1 + again):
        models.gaussian_start(module, generator, first_gain=first.in_features**-0.5)


def _combined(
    w: ndarray[Any, Any], x: ndarray[Any, Any], y: ndarray[Any, Any]
) -> tuple[float, float]:
    """Error on every second row of the best combination for the others, and its path norm."""
    neurons = np.maximum(x @ w[:, :-1].T + w[:, -1], 0)
    columns = np.column_stack([neurons, np.ones(len(x))])
    a = np.linalg.lstsq(columns[::2], y[::2, 0], rcond=ROUNDING)[0]
    left = columns[1::2] @ a - y[1::2, 0]
    path = abs(a[:-1]) @ np.linalg.norm(w, axis=1)
    return float((left**2).mean() / y[1::2].var()), float(path)


def steeper(run: xr.Dataset) -> xr.DataArray:
    """Power of m of the error of trained neurons less that of fixed ones."""
    found: Any = run.exponent.sel(inner="trained") - run.exponent.sel(inner="fixed")
    return xr.DataArray(found)


SAMPLED = Experiment(
    "samples", "A function of which samples are known, your table or a length of two of eight "
    "coordinates, fitted by fixed neurons and by trained ones; half of the rows judge.",
    sampled, claims=(
        Claim("barron-like", "The error of trained neurons falls by a power of m that is steeper "
              "by one half or more.", steeper, below(-0.5)),
    ),
    figures=(Figure("samples", "Error on held-out rows over the number of neurons.", draw.samples),
             Figure("samples-path", "Path norms of the combinations.", draw.sample_paths)),
    control=Control("Where outer weights alone are trained there is no difference.",
                    {"outer_only": True}, ("barron-like",)),
    reads="x", ignores=("dimension",),
)  # fmt: skip

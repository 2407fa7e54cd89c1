"""Networks of large weights with dropout, with its mean penalty, and with small batches.

An experiment of `condensation`; `p` is a cell of its parameters. After Zhang and Xu (2024),
arXiv:2207.05952, in small: 30 points of 10 inputs, y = tanh(sum_k x_k).
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from chymist import instruments, models
from chymist.atlas.dynamics import condensation_figures as draw
from chymist.bench import Bench, samples
from chymist.claims import Claim, below, between
from chymist.ensemble import every
from chymist.solvers import Adam
from chymist.study import Control, Experiment, Figure

POINTS, INPUTS, HELD_OUT = 30, 10, 1000
MASKS = 256
"""Masks drawn for each point: each update takes the next of every point, from the first again."""
EXPONENT = 0.1
LR = 3e-3
ARMS = ("plain", "dropout", "penalty", "batches")


def regularised(p: Any, bench: Bench) -> xr.Dataset:
    """Train one network a seed in four ways, as many updates each.

    "plain": full batch. "dropout": full batch, too, each point with a mask of its own that keeps
    each hidden neuron with probability `keep`. "penalty": full batch, dropout's mean penalty added
    to the loss. "batches": minibatches of two points. So dropout has no noise but that of masks:
    over many updates small batches condense by themselves.

    Returns:
        directions (arm, seed, step), test_error (arm, seed): mean squared, on 1000 other points.
    """
    x, y = _taught(bench, "points", POINTS)
    other, wanted = _taught(bench, "held-out points", HELD_OUT)
    pairs, masked = _with_masks(p, bench, x, y)
    build = partial(models.Contributions, INPUTS, p.width, activation="tanh", alpha=1.0)
    start = partial(models.normal_start, std=p.width**-EXPONENT)
    networks = bench.networks(build, start)
    in_turn = {"batch": POINTS, "shuffle": False}
    ways: dict[str, tuple[Any, Any, Any, dict[str, Any]]] = {
        "plain": (x, y, models.penalised_error, {}),
        "dropout": (pairs, masked, partial(models.dropout_error, keep=p.keep), in_turn),
        "penalty": (x, y, partial(models.penalised_error, keep=p.keep), {}),
        "batches": (x, y, models.penalised_error, {"batch": 2}),
    }
    counted = instruments.training_condensation("inner", "outer")
    runs = []
    for arm in ARMS:
        points, target, loss, batches = ways[arm]
        run = bench.train(
            networks, Adam(LR), points, target, steps=p.dropout_steps, loss=loss,
            record={counted: every(max(1, p.dropout_steps // 40))}, label=arm, **batches,
        )  # fmt: skip
        apart = run.end.predict(other).sum("feature") - wanted.isel(feature=0)
        error = (apart**2).mean("sample")
        error.attrs = {"long_name": "mean squared error on other points", "units": "1"}
        runs.append(run.data.assign(test_error=error))
    return xr.concat(runs, xr.DataArray(list(ARMS), dims="arm", name="arm"))


def _taught(bench: Bench, purpose: str, count: int) -> tuple[xr.DataArray, xr.DataArray]:
    """Standard normal points, and what the teacher makes of them."""
    x = bench.draw(purpose, lambda key: samples(key.normal(size=(count, INPUTS))))
    y: xr.DataArray = np.tanh(x.sum("feature"))  # type: ignore[assignment]
    return x, y.expand_dims("feature", -1)


def _with_masks(
    p: Any, bench: Bench, x: xr.DataArray, y: xr.DataArray
) -> tuple[xr.DataArray, xr.DataArray]:
    """All points with a mask each, and again with the next; masks follow targets as columns."""
    mask = bench.draw(
        "masks", lambda key: samples((key.random((MASKS * POINTS, p.width)) < p.keep).astype("f4"))
    )
    target = xr.concat([xr.concat([y] * MASKS, "sample"), mask], "feature")
    order = ("seed", "sample", "feature")
    return xr.concat([x] * MASKS, "sample").transpose(*order), target.transpose(*order)


def kept_by_dropout(run: xr.Dataset) -> xr.DataArray:
    """Directions at the end with dropout over those without."""
    end = run.directions.isel(step=-1, drop=True)
    return (end / end.sel(arm="plain", drop=True)).sel(arm="dropout", drop=True)


def kept_by_penalty(run: xr.Dataset) -> xr.DataArray:
    """Directions at the end with dropout's mean penalty over those without."""
    end = run.directions.isel(step=-1, drop=True)
    return (end / end.sel(arm="plain", drop=True)).sel(arm="penalty", drop=True)


def kept_by_batches(run: xr.Dataset) -> xr.DataArray:
    """Directions at the end with batches of two over those with the full batch."""
    end = run.directions.isel(step=-1, drop=True)
    return (end / end.sel(arm="plain", drop=True)).sel(arm="batches", drop=True)


def error_ratio(run: xr.Dataset) -> xr.DataArray:
    """Logarithm of the test error with dropout, or its penalty, over that without."""
    error = np.log(run.test_error)
    return (error - error.sel(arm="plain", drop=True)).sel(arm=["dropout", "penalty"])


DROPOUT = Experiment(
    "regularised", "Tanh networks of large weights learn 30 points of a teacher of one neuron.",
    regularised, claims=(
        Claim("dropout-condenses", "Dropout leaves fewer than 0.9 of the directions.",
              kept_by_dropout, between(0, 0.9)),
        Claim("penalty-condenses", "So does its mean penalty, without noise.",
              kept_by_penalty, between(0, 0.9)),
        Claim("batches-do-not", "The noise of small batches leaves all.",
              kept_by_batches, between(0.95, 1.05)),
        Claim("generalises", "Both halve the test error.", error_ratio, below(np.log(0.5))),
    ),
    figures=(Figure("dropout", "Directions along training; test errors.", draw.dropout),),
    control=Control("Dropout that keeps every neuron condenses nothing.",
                    {"keep": 1.0}, ("dropout-condenses", "penalty-condenses")),
)  # fmt: skip

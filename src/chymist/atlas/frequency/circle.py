"""Two-layer networks on a circle, one for each frequency, and what their tangent kernel foretells.

What studies of the lazy regime share. Inputs are 64 points (cos theta, sin theta), evenly spaced.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch
import xarray as xr

from chymist import instruments, models
from chymist.bench import Bench, samples
from chymist.ensemble import Ensemble, every, log_spaced
from chymist.solvers import GradientDescent
from chymist.theory import gradient_descent

ANGLE = 2 * np.pi * np.arange(64) / 64
RING = samples(np.stack([np.cos(ANGLE), np.sin(ANGLE)], axis=1))
LEARNT = 0.1
"""Relative error below which a frequency counts as learnt."""


def learn_frequencies(
    bench: Bench,
    k: xr.DataArray,
    s: xr.DataArray,
    *,
    neurons: int,
    amplitude: float = 0.01,
    bias: bool = True,
    even: bool = True,
    limit: int = 4096,
) -> xr.Dataset:
    """Fit amplitude * cos(k theta) with a two-layer ReLU network for each k, s and seed.

    Gradient descent on the loss with Sobolev exponent s, at three quarters of the largest step that
    is stable by the kernel at the start, until every network of an s has its own frequency's error
    below 0.1, or for `limit` steps. Networks have `neurons` neurons, on even angles or Gaussian,
    and each again with the opposite sign, so that f = 0 at the start.

    Returns:
        error (s, k, seed, step) at log-spaced steps, NaN where an s was done; time_to_learn
        (s, k, seed), found from every step; drift (s, k, seed), how far the weights went, relative
        to their size (small: the lazy regime); step_size (s, seed); eigenvalue (k, seed), that of
        the kernel at the start divided by the number of samples.
    """
    start = models.stratified_circle_start if even else models.gaussian_circle_start
    networks = bench.networks(partial(models.TwoLayer, 2, 2 * neurons, bias=bias), start)
    kernel = networks.measure(instruments.empirical_ntk, RING, ("sample", "other"))
    lr = gradient_descent.step_size(kernel, s, fraction=0.75)
    y = samples(amplitude * np.cos(np.outer(k, ANGLE)), k=k.values)
    runs = [
        _until_learnt(bench, networks, lr.sel(s=one, drop=True), y, one, limit)
        for one in s.values.tolist()
    ]
    run = xr.concat(runs, s, join="outer")
    shown = [t for t in log_spaced(70)(limit) if t in run.step]
    return xr.Dataset(
        {
            "error": run.error.sel(step=shown),
            "time_to_learn": instruments.time_to(run.error, LEARNT),
            "drift": run.drift,
            "step_size": lr,
            "eigenvalue": _eigenvalue(networks, kernel).sel(k=k),
        }
    )


def kernel_theory(p: Any, run: xr.Dataset) -> xr.Dataset:
    """What is left of a frequency, and when it is learnt, if the kernel stays what it was."""
    rate = gradient_descent.sobolev(run.eigenvalue, run.s)
    return xr.Dataset(
        {
            "error": gradient_descent.error(run.step_size, rate, run.step),
            "time_to_learn": gradient_descent.time_to_learn(run.step_size, rate, LEARNT),
        }
    )


def _eigenvalue(networks: Ensemble, kernel: xr.DataArray) -> xr.DataArray:
    diagonal = instruments.fourier_diagonal(torch.as_tensor(kernel.values))
    values = networks.named(diagonal, ("k",)).assign_coords(k=range(diagonal.shape[-1]))
    values.attrs = {"long_name": "eigenvalue of the tangent kernel / samples", "units": "1"}
    return values


def _until_learnt(
    bench: Bench, start: Ensemble, lr: xr.DataArray, y: xr.DataArray, s: float, limit: int
) -> xr.Dataset:
    """Train in rounds, each as long as all before it; gradient descent has no state to carry."""
    rounds: list[xr.DataArray] = []
    networks, done = start, 0
    while not rounds or (done < limit and not bool((rounds[-1].min("step") < LEARNT).all())):
        training = bench.train(
            networks, GradientDescent(lr), RING, y, steps=min(max(done, 64), limit - done),
            loss=partial(models.sobolev, s=s), record={instruments.own_error(y): every()},
            label=f"s = {s:g}, from step {done}",
        )  # fmt: skip
        rounds.append(training.data.error.assign_coords(step=training.data.step + done))
        networks, done = training.end, int(rounds[-1].step[-1])
    error = xr.concat(rounds, "step").drop_duplicates("step")
    return xr.Dataset({"error": error, "drift": _drift(start, networks)})


def _drift(start: Ensemble, end: Ensemble) -> xr.DataArray:
    before = start.spread(end.lanes).parameters
    drift = end.named(instruments.relative_drift(before, end.parameters))
    drift.attrs = {"long_name": "relative distance of the weights from their start", "units": "1"}
    return drift

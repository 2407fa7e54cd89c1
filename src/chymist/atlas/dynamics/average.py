"""Gradient descent beside gradient flow and central flow: an experiment of `edge-of-stability`.

A two-layer tanh network with one output, small enough for dense Hessians, learns labels of -1 and 1
drawn at random for digits reduced to their first principal components. In float64; `p` is a cell of
the study's parameters.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import xarray as xr
from threadpoolctl import threadpool_limits

from chymist import data, instruments, models
from chymist.atlas.dynamics import edge_figures as draw
from chymist.bench import Bench, samples
from chymist.claims import Claim, above, below, between
from chymist.ensemble import every
from chymist.solvers import GradientDescent
from chymist.study import Control, Experiment, Figure
from chymist.theory import stability
from chymist.theory.central_flow import central_flow
from chymist.theory.gradient_flow import gradient_flow
from chymist.theory.two_layer_loss import TwoLayerLoss

SAMPLES, FEATURES, WINDOW = 100, 10, 50
THEORIES = ("central flow", "its point alone", "gradient flow")


def inputs() -> np.ndarray[Any, Any]:
    """First principal components of the first digits (sample, feature), mean square 1."""
    left, size, _ = np.linalg.svd(data.digits8(SAMPLES)[0], full_matrices=False)
    return data.standardised(left[:, :FEATURES] * size[:FEATURES])


def descend(p: Any, bench: Bench) -> xr.Dataset:
    """Loss, sharpness, and distance from gradient flow, dims (seed, step); labels and start.

    `loss` is the mean over 50 updates about a step, NaN where they are not there; `distance` is
    that of the weights after k updates from gradient flow at time k lr. `crossed_at` is the first
    measured step with sharpness above 2 / lr, NaN without one.
    """
    y = bench.draw("labels", lambda key: samples(key.choice([-1.0, 1.0], SAMPLES)))
    networks = bench.networks(lambda: models.MLP(FEATURES, p.neurons, 1), models.fan_in_start,
                              dtype=torch.float64)  # fmt: skip
    weights = instruments.training_weights(p.neurons * (FEATURES + 2) + 1)
    record = {
        instruments.loss: every(),
        weights: every(),
        instruments.training_sharpness(tolerance=1e-4): every(10),
    }
    run = bench.train(networks, GradientDescent(p.small_lr), samples(inputs()), y,
                      steps=p.small_steps, record=record, label="small networks").data  # fmt: skip
    apart = [_apart(p, run.weights.sel(seed=s), y.sel(seed=s)) for s in run.seed]
    return xr.Dataset(
        {
            "loss": run.loss.rolling(step=WINDOW, center=True).mean().assign_attrs(run.loss.attrs),
            "sharpness": run.sharpness,
            "distance": _named(run.loss.copy(data=np.stack(apart)), "distance from gradient flow"),
            "crossed_at": _named(
                instruments.time_to(-run.sharpness, -stability.gradient_descent(p.small_lr)),
                "first measured step with sharpness above 2 / lr",
            ),
            "start": _named(run.weights.sel(step=0, drop=True), "parameters at the start"),
            "labels": _named(
                y.isel(feature=0, drop=True).assign_coords(sample=range(SAMPLES)), "labels"
            ),
        }
    )


def _named(array: xr.DataArray, long_name: str) -> xr.DataArray:
    return array.assign_attrs({"long_name": long_name, "units": "1"})


def _apart(p: Any, path: xr.DataArray, y: xr.DataArray) -> np.ndarray[Any, Any]:
    """Distance from gradient flow at every update of one seed; NaN once training has diverged."""
    loss = TwoLayerLoss(inputs(), y.values[:, 0], p.neurons)
    with threadpool_limits(1, user_api="blas"):
        flow = gradient_flow(loss.gradient, path.values[0], p.small_lr * path.step.values)
    far: np.ndarray[Any, Any] = np.linalg.norm(path.values - flow, axis=1)
    return far


def flows(p: Any, run: xr.Dataset) -> xr.Dataset:
    """What three theories say of the averaged loss, and central flow of the sharpness."""
    rows, peaks = [], []
    # Matrices this small lose time by a second thread.
    with threadpool_limits(1, user_api="blas"):
        for seed in run.seed:
            loss = TwoLayerLoss(inputs(), run.labels.sel(seed=seed).values, p.neurons)
            first = run.start.sel(seed=seed).values
            path = central_flow(loss.gradient, loss.hessian, first, p.small_lr, p.small_steps,
                                substeps=2)  # fmt: skip
            free = gradient_flow(loss.gradient, first, p.small_lr * run.step.values)
            along = np.array([loss(w) for w in path.w])
            rows.append([along + path.variance / p.small_lr, along, [loss(w) for w in free]])
            peaks.append(path.sharpness)
    axes = {"theory": list(THEORIES), "step": run.step.values}
    foretold = xr.DataArray(rows, {"seed": run.seed.values, **axes}, ("seed", *axes))
    return xr.Dataset({"loss": foretold, "sharpness": run.sharpness.copy(data=np.stack(peaks))})


def error(run):
    """Median over steps of |average loss - predicted| / average loss."""
    known = run.loss.notnull()
    return (abs(run.predicted_loss / run.loss - 1)).where(known).median("step")


def central_error(run):
    """Median over steps of |average loss - that of central flow| / average loss."""
    return error(run).sel(theory=THEORIES[0], drop=True)


def advantage(run):
    """log2 of the errors of central flow's point alone and of gradient flow over central flow's."""
    return np.log2(error(run).sel(theory=list(THEORIES[1:])) / central_error(run))


def largest_rise(run):
    """Largest change in a step of the loss along central flow, without its oscillation."""
    return run.predicted_loss.sel(theory=THEORIES[1], drop=True).diff("step").max("step")


def departure(run):
    """log10 D(3t)/D(t) less log10 D(t)/D(t/3): 0 for a power law. D: distance from gradient flow.

    t is when the threshold is crossed, or a third of the training.
    """
    last = float(run.step[-1])
    crossed = run.crossed_at.fillna(last / 3)
    early, at, after = (
        np.log10(run.distance.sel(step=(crossed * times).clip(1, last), method="nearest"))
        for times in (1 / 3, 1, 3)
    )
    bend = after.drop_vars("step") - 2 * at.drop_vars("step") + early.drop_vars("step")
    return bend.where(3 * crossed <= last)


AVERAGE = Experiment(
    "averages", "Small networks on random labels, beside the gradient flow and the central flow "
    "that start where they do.", descend, prediction=flows, claims=(
        Claim("central", "Central flow predicts the averaged loss within a fifth.",
              central_error, between(0, 0.2)),
        Claim("oscillation", "Without the oscillation's part, or by gradient flow, the error is "
              "twice that or more.", advantage, above(1)),
        Claim("descends", "Along central flow the loss never rises.", largest_rise, below(1e-8)),
        Claim("departs", "Beyond the threshold gradient descent leaves gradient flow twice "
              "as fast as a power of time would, or faster.", departure, above(np.log10(2))),
    ),
    figures=(
        Figure("central-flow", "The loss averaged over 50 updates, and what three theories say.",
               draw.theories),
        Figure("departure", "Distance from gradient flow over time, in units of when the threshold "
               "was crossed; a third of the training in the control.", draw.departure),
    ),
    control=Control("At a tenth of the step size there is no edge, and all three agree.",
                    {"small_lr": 0.05}, ("oscillation", "departs")),
)  # fmt: skip

"""Where the neurons of small two-layer networks turn before the loss falls.

The initial stage of `condensation`; `p` is a cell of its parameters. While f is small beside y the
residual is -y, so that neurons do not feel one another; each is followed by its own clock.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch
import xarray as xr

from chymist import instruments, models
from chymist.bench import Bench, samples
from chymist.ensemble import log_spaced
from chymist.instruments import Neurons
from chymist.solvers import NeuronClock
from chymist.theory import condensation as theory

STEP = 0.05
"""Radians of a step, about."""
WORDS = {
    "lines": ("lines that neurons point along", "1"),
    "directions": ("directions of neurons", "1"),
    "stationarity": ("least |cos| of a neuron to the pull on it", "1"),
    "angle": ("angle of a neuron's first two input weights", "rad"),
    "multiplicity": ("order of the first derivative that is not 0 at 0", "1"),
    "x": ("inputs", "1"),
    "y": ("targets", "1"),
    "ratio": ("a / |(w, b)| before training", "1"),
    "begin": ("direction of a neuron before training", "1"),
}


def initial_flow(inputs: int, p: Any, bench: Bench) -> xr.Dataset:
    """Turn the neurons of networks of `inputs` inputs, for each activation.

    Returns:
        lines, directions (activation, seed, step): how many the neurons point in, opposite ones
        counted as one, or apart; stationarity (activation, seed, step): the least over neurons of
        |cos| between w and grad P(w), which is 1 at a critical point of the potential P on the
        sphere; angle (activation, seed, step, neuron): of the first two of (w, b) / |(w, b)|.
        multiplicity (activation); x (seed, sample, input), y (seed, sample), ratio (seed, neuron)
        and begin (seed, neuron, feature), a / |w| and w / |w| before training, for the theory.
    """
    x, y = _targets(inputs, bench)
    runs = []
    for name in p.activation.values.tolist():
        order = models.multiplicity(models.activation(name))
        build = partial(models.TwoLayer, inputs, p.neurons, activation=name, alpha=1.0)
        start = partial(models.normal_start, std=p.std)
        networks = bench.networks(build, start, dtype=torch.float64)
        run = bench.train(
            networks, NeuronClock(STEP), x, y, steps=p.clock, loss=models.frozen_residual,
            record={instruments.training_directions("inner"): log_spaced(p.shown)}, label=name,
        ).data  # fmt: skip
        ratio = _output_ratio(networks, run)
        found = _orientation(run.direction, x, y.isel(feature=0), order)
        runs.append(found.assign(multiplicity=order))
    given = {
        "x": x.rename(feature="input").assign_coords(input=range(inputs)),
        "y": y.isel(feature=0, drop=True),
        "ratio": ratio,
        "begin": run.direction.sel(step=0, drop=True),
    }
    return described(xr.concat(runs, p.activation).assign(given))


def initial_theory(p: Any, run: xr.Dataset) -> xr.Dataset:
    """What the leading power of the activation does, from the same start."""
    clock = run.step.values * STEP
    ratio, begin = run.ratio.transpose("seed", "neuron"), run.begin.transpose("seed", ...)
    start = theory.Neurons(ratio.values, begin.transpose(..., "feature").values)
    x, y = (
        run.x.transpose("seed", "sample", "input").values, run.y.transpose("seed", "sample").values
    )
    found = []
    for order in run.multiplicity.values.tolist():
        flow = theory.orientation_flow(start, x, y, int(order), clock)
        direction = xr.DataArray(
            flow.w / np.linalg.norm(flow.w, axis=-1, keepdims=True),
            dims=("seed", "neuron", "step", "feature"),
            coords={d: run[d] for d in ("seed", "neuron", "step")},
        )
        found.append(
            _orientation(direction, run.x.rename(input="feature"), run.y, int(order))
        )
    return xr.concat(found, run.activation)


def _targets(inputs: int, bench: Bench) -> tuple[xr.DataArray, xr.DataArray]:
    """40 points of a line, or 80 drawn for each seed in a cube, and a sum of sines on them.

    Source: Zhou et al. (2022), arXiv:2105.11686, for 80 points of [-4, 2]^5 and
    y = sum_k 3.5 sin(5 x_k + 1).
    """
    if inputs == 1:
        line = np.linspace(-1, 1, 40)
        x = samples(np.tile(line[:, None], (len(bench.seeds), 1, 1)), seed=bench.seeds)
        y: xr.DataArray = np.sin(3 * x) + np.sin(6 * x) / 2  # type: ignore[assignment]
    else:
        x = bench.draw("points", lambda key: samples(key.uniform(-4, 2, (80, inputs))))
        waves: xr.DataArray = 3.5 * np.sin(5 * x + 1)  # type: ignore[assignment]
        y = waves.sum("feature").expand_dims("feature", -1)
    x = x.transpose("seed", "sample", "feature").assign_coords(sample=range(x.sizes["sample"]))
    return x, y.transpose("seed", "sample", "feature").assign_coords(sample=x.sample)


def _output_ratio(networks: Any, run: xr.Dataset) -> xr.DataArray:
    """Return a / |(w, b)| of every neuron before training."""
    weights = networks.parameters
    inner = torch.cat([weights["inner.weight"], weights["inner.bias"][..., None]], dim=2)
    ratio = weights["outer.weight"][:, 0] / inner.norm(dim=2)
    return networks.named(ratio, ("neuron",)).assign_coords(neuron=run.neuron)


def _orientation(
    direction: xr.DataArray, x: xr.DataArray, y: xr.DataArray, order: int
) -> xr.Dataset:
    """Count directions and see how near they are to critical points of the potential."""
    u = direction.transpose("seed", "step", "neuron", "feature")
    found = Neurons(torch.tensor(u.values), torch.ones(u.shape[:-1], dtype=torch.float64))
    counts = {
        "lines": instruments.clusters(found, signed=False).count,
        "directions": instruments.clusters(found).count,
    }
    points = x.transpose("seed", "sample", "feature").values[:, None]
    target = y.transpose("seed", "sample").values[:, None]
    slope = theory.potential_gradient(u.values, points, target, order)
    along = (slope * u.values).sum(-1) / np.linalg.norm(slope, axis=-1)
    curves = {n: (("seed", "step"), c.double().numpy()) for n, c in counts.items()}
    angle = np.arctan2(u.values[..., 1], u.values[..., 0])
    made = xr.Dataset(
        {
            **curves,
            "stationarity": (("seed", "step"), abs(along).min(-1)),
            "angle": (("seed", "step", "neuron"), angle),
        },
        coords={d: u[d] for d in ("seed", "step", "neuron")},
    )
    return described(made)


def described(data: xr.Dataset) -> xr.Dataset:
    """Say what each variable is."""
    for name in data.data_vars:
        long_name, units = WORDS[str(name)]
        data[name].attrs = {"long_name": long_name, "units": units}
    return data

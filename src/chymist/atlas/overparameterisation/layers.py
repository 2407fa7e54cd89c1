"""Deep networks, layer by layer, and closed forms of the kernels: experiments of `ntk-regime`."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch
import xarray as xr

from chymist import instruments, models, stats
from chymist.atlas.overparameterisation import ntk_figures as draw
from chymist.atlas.overparameterisation.widths import (
    GAIN,
    limit,
    networks,
    scale,
    small_sphere,
    step_size,
)
from chymist.bench import Bench, samples
from chymist.claims import Claim, between
from chymist.instruments import relative_drift
from chymist.solvers import GradientDescent
from chymist.study import Control, Experiment, Figure

BLOCKS, NEURONS = 10, 2000
"""Networks of how many neurons make one of 20,000."""


def descend(p: Any, bench: Bench) -> xr.Dataset:
    """Train networks of `depth` hidden layers of each width, as in `widths`.

    Returns:
        movement (deep, seed, layer), of each layer's weights, relative to their size: layer 0 the
        first, the last the output weights.
    """
    x, y = small_sphere(p.draw)
    lr = step_size(x, "erf", p.rate, p.depth)
    runs = []
    for width in p.deep.values.tolist():
        start = networks(bench, x.shape[1], width, "erf", p.depth)
        target = start.predict(samples(x)) + samples(y / scale(p.scaling, width))
        rule, label = GradientDescent(lr * len(x)), f"{width} neurons a layer"
        end = bench.train(
            start, rule, samples(x), target, steps=p.steps, record={}, label=label
        ).end
        before, after = start.parameters, end.parameters
        moved = [start.named(relative_drift({n: w}, after)) for n, w in before.items()]
        runs.append(xr.concat(moved, "layer").assign_coords(layer=range(len(moved))))
    movement = xr.concat(runs, p.deep)
    movement.attrs = {"long_name": "movement of a layer's weights / their size", "units": "1"}
    return xr.Dataset({"movement": movement})


def sum_up(p: Any, bench: Bench) -> xr.Dataset:
    """Sum tangent kernels over 20,000 neurons, and say how well the sum is known.

    A two-layer network's kernel is a mean over neurons: many narrow networks make one wide one, and
    their spread its standard error.

    Returns:
        wide_kernel and standard_error (activation, seed, pair), pairs of the small sphere's first
        eight points.
    """
    x = small_sphere(p.draw)[0][:8]
    here, there = np.tril_indices(len(x))
    runs = []
    for activation in p.activation.values.tolist():
        build = partial(models.TangentMLP, x.shape[1], BLOCKS * NEURONS, 1,
                        activation=activation, gain=GAIN[activation])  # fmt: skip
        begin = partial(models.normal_start, std=1.0, first=p.first_std)
        whole = bench.networks(build, begin, dtype=torch.float64)
        inner, outer = whole.parameters.values()
        rows = len(inner) * BLOCKS
        cut = dict(zip(whole.parameters, (
            inner.reshape(rows, NEURONS, -1), outer.reshape(rows, 1, NEURONS)), strict=True))
        narrow = models.TangentMLP(x.shape[1], NEURONS, 1, activation=activation,
                                   gain=GAIN[activation]).double()  # fmt: skip
        each = instruments.empirical_ntk(narrow, cut, {}, torch.as_tensor(x))
        each = each.reshape(len(inner), BLOCKS, len(x), len(x))[..., here, there]
        found = {"wide_kernel": each.mean(1), "standard_error": each.std(1) / BLOCKS**0.5}
        runs.append(xr.Dataset({n: whole.named(v, ("pair",)) for n, v in found.items()}))
    made = xr.concat(runs, p.activation).assign_coords(pair=range(len(here)))
    made.wide_kernel.attrs = {"long_name": "tangent kernel of 20,000 neurons", "units": "1"}
    made.standard_error.attrs = {"long_name": "its standard error", "units": "1"}
    return made


def closed(p: Any, run: xr.Dataset) -> xr.Dataset:
    """The closed forms of the same kernels."""
    x = small_sphere(p.draw)[0][:8]
    here, there = np.tril_indices(len(x))
    kernels = [limit(x, x, a)[here, there] for a in run.activation.values.tolist()]
    return xr.Dataset({"wide_kernel": xr.DataArray(
        kernels, coords={"activation": run.activation, "pair": run.pair})})


def outer_layers(run):
    """Exponent of width in the movement of the first and the output weights, deep networks."""
    return stats.log_slope(run.movement.isel(layer=[0, -1]), "deep")


def hidden_layers(run):
    """Exponent of width in the movement of each layer between them, deep networks."""
    return stats.log_slope(run.movement.isel(layer=slice(1, -1)), "deep")


DEEP = Experiment(
    "by-layer", "Deep networks of growing width, layer by layer.", descend, claims=(
        Claim("outer-layers", "First and output weights move like $m^{-1/2}$ at any depth.",
              outer_layers, between(-0.57, -0.43)),
        Claim("hidden-layers", "Weights between them move like $m^{-1}$.",
              hidden_layers, between(-1.1, -0.9)),
    ),
    figures=(Figure("layers", "Movement of each layer; layer 0 is the first.", draw.layers),),
    control=Control("In the mean-field scaling each exponent is larger by a half.",
                    {"scaling": "mean-field", "seeds": 8}, ("outer-layers", "hidden-layers")),
)  # fmt: skip


def surprise(run):
    """Root mean square over pairs of (kernel of 20,000 neurons - closed form), over that of se."""
    apart = ((run.wide_kernel - run.predicted_wide_kernel) ** 2).mean("pair")
    return np.sqrt(apart / (run.standard_error**2).mean("pair"))


FORMS = Experiment(
    "many-neurons", "Kernels of 20,000 neurons beside the formulas that all of this rests on.",
    sum_up, prediction=closed, claims=(
        Claim("closed-form", "The closed forms agree to what 20,000 neurons can tell.",
              surprise, between(0.5, 1.5)),
    ),
    figures=(Figure("closed-forms", "Deviation in standard errors, by seed; dotted, the edges of "
                    "the claim's region.", draw.surprises),),
    control=Control("First weights a fifth too large are noticed.", {"first_std": 1.2, "seeds": 8},
                    ("closed-form",)),
)  # fmt: skip

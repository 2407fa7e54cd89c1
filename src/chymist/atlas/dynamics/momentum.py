"""Momentum moves the threshold: an experiment of `edge-of-stability`.

Step sizes are chosen so that every method has its threshold at the same sharpness: what differs is
2 / lr, by which gradient descent would judge. `p` is a cell of the study's parameters.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import xarray as xr

from chymist import data, instruments
from chymist.atlas.dynamics import edge_figures as draw
from chymist.atlas.dynamics.hovering import late, networks
from chymist.bench import Bench, samples
from chymist.claims import Claim, between
from chymist.ensemble import every
from chymist.solvers import Momentum
from chymist.study import Control, Experiment, Figure
from chymist.theory import stability

METHODS = {"heavy ball": stability.heavy_ball, "nesterov": stability.nesterov}


def random_labels(p: Any, bench: Bench) -> tuple[xr.DataArray, xr.DataArray]:
    """Return the first `p.few` digits, and labels drawn at random by seed: sharpness rises fast."""
    x = data.digits8(p.few)[0]
    return samples(x), bench.draw(
        "labels", lambda key: samples(data.one_hot(key.integers(0, 10, p.few)))
    )


def descend(p: Any, bench: Bench) -> xr.Dataset:
    """Sharpness of every 20th step, dims (rule, momentum, edge, seed, step), and step sizes."""
    x, y = random_labels(p, bench)
    started = networks(p, bench, x, y)
    sharp, rates = [], []
    for name in METHODS:
        lr = step_size(name, p.edge, p.momentum)
        run = bench.train(started, Momentum(lr, p.momentum, nesterov=name == "nesterov"), x, y,
                          steps=p.momentum_steps, label=name,
                          record={instruments.training_sharpness(): every(20)}).data  # fmt: skip
        sharp.append(run.sharpness)
        rates.append(lr)
    rule = xr.DataArray(list(METHODS), dims="rule", name="rule")
    sharpness, rate = (
        xr.concat(v, rule).assign_coords(rule=list(METHODS)) for v in (sharp, rates)
    )
    rate.attrs = {"long_name": "step size", "units": "1"}
    return xr.Dataset({"sharpness": sharpness, "rate": rate})


def step_size(method: str, edge: xr.DataArray, momentum: xr.DataArray) -> xr.DataArray:
    """Return the step sizes whose thresholds are `edge`: a threshold is a number over the step."""
    unit = [METHODS[method](1.0, float(b)) for b in momentum.values]
    return momentum.copy(data=unit) / edge


def threshold(p: Any, run: xr.Dataset) -> xr.Dataset:
    """Sharpness at which each method stays: the same for all, by the choice of step sizes."""
    return xr.Dataset({"sharpness": p.edge})


def edge_ratio(run):
    """Mean over the last third of the training of sharpness / threshold of the method."""
    return late(run.sharpness) / run.predicted_sharpness


MOMENTUM = Experiment(
    "momentum", "Heavy ball and Nesterov's method on random labels, at step sizes that put the "
    "threshold of each where `edge` says.", descend, prediction=threshold, claims=(
        Claim("momentum-hovers", "Sharpness stays at the threshold of the method, not at 2 / lr.",
              edge_ratio, between(0.93, 1.10)),
    ),
    figures=(
        Figure("momentum-ratio", "Late sharpness in units of the method's threshold by seed.",
               partial(draw.ratios, edge_ratio, dims=("rule", "momentum", "edge"))),
    ),
    control=Control("A threshold that gradient flow never reaches holds nothing.",
                    {"edge": (100.0,)}, ("momentum-hovers",)),
)  # fmt: skip

"""Adam and RMSProp: the edge in their own units: an experiment of `edge-of-stability`.

What an adaptive method stands is a bound on the eigenvalues of P^-1 H, P the diagonal that it
divides by. `p` is a cell of the study's parameters.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import xarray as xr

from chymist import instruments
from chymist.atlas.dynamics import edge_figures as draw
from chymist.atlas.dynamics.hovering import late, networks
from chymist.atlas.dynamics.momentum import random_labels
from chymist.bench import Bench
from chymist.claims import Claim, between
from chymist.ensemble import every
from chymist.solvers import Adam
from chymist.study import Control, Experiment, Figure
from chymist.theory import stability

METHODS = ["rmsprop", "adam"]
EPS = 1e-7


def rules(p: Any) -> tuple[Adam, Adam]:
    """Return RMSProp, which is Adam with beta1 = 0, and Adam at three times its step size."""
    return (
        Adam(p.adaptive_lr, beta1=0.0, beta2=p.beta2, eps=EPS),
        Adam(3 * p.adaptive_lr, beta1=0.9, beta2=p.beta2, eps=EPS),
    )


def descend(p: Any, bench: Bench) -> xr.Dataset:
    """Loss and sharpness of P^-1 H at every 20th step, dims (rule, adaptive_lr, seed, step).

    NaN at step 0, where there is no P yet.
    """
    x, y = random_labels(p, bench)
    started = networks(p, bench, x, y)
    record = dict.fromkeys(
        (instruments.loss, instruments.training_preconditioned_sharpness()), every(20)
    )
    runs = [
        bench.train(started, rule, x, y, steps=p.adaptive_steps, label=name, record=record).data
        for name, rule in zip(METHODS, rules(p), strict=True)
    ]
    return xr.concat(runs, xr.DataArray(METHODS, dims="rule", name="rule"))


def threshold(p: Any, run: xr.Dataset) -> xr.Dataset:
    """Sharpness of P^-1 H at which each method stays: (2 + 2 beta1) / ((1 - beta1) lr)."""
    each = [stability.adam(p.adaptive_lr, 0.0), stability.adam(3 * p.adaptive_lr, 0.9)]
    found = xr.concat(each, xr.DataArray(METHODS, dims="rule", name="rule"))
    return xr.Dataset({"preconditioned_sharpness": found})


def edge_ratio(run):
    """Mean over the last third of the training of sharpness of P^-1 H / threshold."""
    return late(run.preconditioned_sharpness) / run.predicted_preconditioned_sharpness


ADAPTIVE = Experiment(
    "adaptive", "RMSProp, and Adam at three times its step size, on random labels; sharpness is "
    r"the largest eigenvalue of $P^{-1} H$.", descend, prediction=threshold, claims=(
        Claim("adaptive-hovers", "Preconditioned sharpness stays at 2 / lr under RMSProp, at "
              "38 / lr under Adam.", edge_ratio, between(0.93, 1.10)),
    ),
    figures=(
        Figure("adaptive", "Preconditioned sharpness in units of the threshold.", draw.adaptive),
        Figure("adaptive-ratio", "Its late mean by seed.",
               partial(draw.ratios, edge_ratio, dims=("rule", "adaptive_lr"))),
    ),
    control=Control("A hundredth of the step size: the threshold is out of reach.",
                    {"adaptive_lr": (3e-5,)}, ("adaptive-hovers",)),
)  # fmt: skip

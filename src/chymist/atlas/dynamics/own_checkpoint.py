"""Whether SGD as it is planned stays at a checkpoint, yours or one of gradient descent.

An experiment of `sgd-escape`; `p` is a cell of its parameters. What is measured before the first
step is set beside what restarts do.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
import xarray as xr
from torch import nn

from chymist import models
from chymist.atlas.dynamics import escape_figures as draw
from chymist.atlas.dynamics.escape import leaving, rectangle
from chymist.atlas.dynamics.minima import (
    curvature,
    in_units,
    margin,
    minima,
    named,
    note_what_is_left,
    orders,
    problem,
)
from chymist.bench import Bench, samples
from chymist.claims import Claim, above, between
from chymist.ensemble import Ensemble
from chymist.errors import BadInput
from chymist.study import Control, Experiment, Figure

BEYOND = 3.0
"""The step size of the control, over 1/a: gradient descent stays up to 2."""


def go_on(p: Any, bench: Bench) -> xr.Dataset:
    """Go on from the checkpoint with SGD of the planned step sizes and batch sizes.

    With `beyond` every step size is 3/a instead.

    Returns:
        escaped and time (planned_lr, planned_batch, seed), as `escape.restart` has them; sharpness,
        nonuniformity (seed); in_sharpness (planned_lr, seed), in_nonuniformity (planned_lr,
        planned_batch, seed), both in units of their bounds.
    """
    start, x, y = _checkpoint(p, bench)
    rows = x.sizes["sample"]
    if (largest := max(p.planned_batch.values.tolist())) > rows:
        raise BadInput(f"a batch of {largest} cannot be drawn from {rows} rows",
                       "give smaller ones, as by --planned-batch 1,4")  # fmt: skip
    note_what_is_left(
        bench, start, x, y, "the checkpoint", "is its activation another, or is it not yet trained?"
    )
    a, s, _ = curvature(start, x)
    lr = p.planned_lr + 0 * a
    if p.beyond:
        lr = BEYOND / a + 0 * p.planned_lr
    x, y = orders(bench, x, y, p.orders)
    escaped, time = leaving(bench, start, lr, p.planned_batch, p.restart_steps, x, y)
    made = xr.Dataset({
        "escaped": escaped, "time": time, "sharpness": a, "nonuniformity": s,
        **in_units(a, s, lr, p.planned_batch, rows),
    }).transpose("planned_lr", "planned_batch", "seed")  # fmt: skip
    named(made, escaped="share of batch orders that escape", time="median escape time")
    made.time.attrs["units"] = "step"
    return made


def _checkpoint(p: Any, bench: Bench) -> tuple[Ensemble, xr.DataArray, xr.DataArray]:
    """Return networks, one a seed, inputs and targets."""
    given = bench.input
    if given is None:
        return minima(p, bench, p.settle_lr), *problem(p, bench)
    weights = [given[f"weight_{i}"].values for i in range(given.sizes["layer"])]
    biased = "bias_0" in given
    sizes = [weights[0].shape[1], *(len(w) for w in weights)]
    build = partial(models.MLP, *sizes, activation=p.activation, bias=biased)

    def load(module: nn.Module, generator: torch.Generator) -> None:
        layers = [m for m in module.modules() if isinstance(m, nn.Linear)]
        for i, layer in enumerate(layers):
            layer.weight.copy_(torch.as_tensor(weights[i]))
            if biased:
                layer.bias.copy_(torch.as_tensor(given[f"bias_{i}"].values))

    return bench.networks(build, load), samples(given.points.values), samples(given.targets.values)


def in_bounds(run: xr.Dataset) -> xr.DataArray:
    """The larger of sharpness and non-uniformity, in units of their bounds; each lr and batch."""
    return margin(run)


def staying(run: xr.Dataset) -> xr.DataArray:
    """Share of batch orders in which the loss never comes above ten times its first value."""
    return 1 - run.escaped


CHECKPOINT = Experiment(
    "checkpoint", "A checkpoint, yours or a minimum of gradient descent, and SGD that goes on from "
    "it with the step size and the batch size that are planned.", go_on, prediction=rectangle,
    claims=(
        Claim("within-bounds", "The checkpoint lies inside the rectangle of the planned SGD.",
              in_bounds, between(0, 1)),
        Claim("planned-stays", "In most batch orders the planned SGD stays there.",
              staying, above(0.5)),
    ),
    figures=(Figure("planned", "The checkpoint under each planned step size and batch size, in "
                    "units of the bounds: colour is the share of batch orders that escape. Dashed, "
                    "the rectangle; drawn through, the curve.", draw.planned),),
    control=Control("Three over the sharpness is too large a step.", {"beyond": True},
                    ("within-bounds", "planned-stays")),
    reads="layers",
)  # fmt: skip

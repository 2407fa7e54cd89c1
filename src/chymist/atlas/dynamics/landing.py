"""Where SGD ends: from minima of gradient descent, and from the initialisation; for `sgd-escape`.

`p` is a cell of its parameters.
"""

from __future__ import annotations

from typing import Any

import xarray as xr

from chymist import instruments
from chymist.atlas.dynamics import escape_figures as draw
from chymist.atlas.dynamics.minima import curvature, in_units, minima, named, network, problem
from chymist.atlas.dynamics.minima import margin as _margin
from chymist.bench import Bench
from chymist.claims import Claim, Published, above, between
from chymist.solvers import GradientDescent
from chymist.study import Control, Experiment, Figure


def settle(p: Any, bench: Bench) -> xr.Dataset:
    """Go on for long with the step size of gradient descent and small batches.

    Returns:
        sharper, less_uniform (seed), sharpness and non-uniformity at the end over those at the
        start; in_sharpness, in_nonuniformity (seed), both at the end in units of SGD's bounds;
        loss (seed, step).
    """
    x, y = problem(p, bench)
    lr0 = xr.DataArray([p.settle_lr], {"lr0": [p.settle_lr]})
    start = minima(p, bench, lr0)
    before = curvature(start, x)
    run = bench.train(
        start, GradientDescent(p.settle_lr), x, y, steps=p.settle_steps,
        batch=None if p.full else p.settle_batch, epochs=False,
        record={instruments.loss: lambda n: {*range(min(n, 100) + 1), *range(100, n + 1, 100), n}},
        label="settling",
    )  # fmt: skip
    after = curvature(run.end, x)
    batch = xr.DataArray([p.settle_batch], {"batch": [p.settle_batch]})
    inside = in_units(after[0], after[1], p.settle_lr, batch, p.samples)
    made = xr.Dataset({
        "sharper": after[0] / before[0], "less_uniform": after[1] / before[1],
        **{name: value.isel(batch=0, drop=True, missing_dims="ignore")
           for name, value in inside.items()},
        "loss": run.data.loss,
    }).isel(lr0=0, drop=True)  # fmt: skip
    named(
        made,
        sharper="sharpness over that before",
        loss="loss",
        less_uniform="non-uniformity over that before",
    )
    made.step.attrs = {"long_name": "updates done", "units": "step"}
    return made


def diagram(p: Any, bench: Bench) -> xr.Dataset:
    """Where SGD of every step size and batch size ends that starts from the initialisation.

    Returns:
        sharpness, nonuniformity, loss (lr, batch, seed) at the end; in_sharpness (lr, seed) and
        in_nonuniformity, both in units of their bounds.
    """
    x, y = problem(p, bench)
    networks = bench.networks(lambda: network(p, x.sizes["feature"]))
    found: dict[str, list[xr.DataArray]] = {"sharpness": [], "nonuniformity": [], "loss": []}
    for batch in p.diagram_batch.values.tolist():
        if not (p.full and found["loss"]):
            run = bench.train(
                networks, GradientDescent(p.diagram_lr), x, y, steps=p.diagram_steps,
                batch=None if p.full or batch == p.samples else batch, epochs=False,
                record={instruments.loss: lambda n: [n]}, label=f"diagram, batch {batch}",
            )  # fmt: skip
            a, s, _ = curvature(run.end, x)
        for name, value in (("sharpness", a), ("nonuniformity", s)):
            found[name].append(value)
        found["loss"].append(run.data.loss.isel(step=0, drop=True))
    made = xr.Dataset({n: xr.concat(v, p.diagram_batch) for n, v in found.items()})
    made = made.rename(diagram_lr="lr", diagram_batch="batch")
    a, s = made.sharpness, made.nonuniformity
    made = made.assign(in_units(a, s, made.lr, made.batch, p.samples))
    made = made.transpose("lr", "batch", "seed")
    named(made, loss="loss")
    return made


def sharper(run: xr.Dataset) -> xr.DataArray:
    """Sharpness after SGD over that before."""
    return run.sharper


def less_uniform(run: xr.Dataset) -> xr.DataArray:
    """Non-uniformity after SGD over that before."""
    return run.less_uniform


def settled(run: xr.Dataset) -> xr.DataArray:
    """The larger of sharpness and non-uniformity at the end, in units of their bounds."""
    return _margin(run).where(run.loss.isel(step=-1) < 1e-3)


def farthest(run: xr.Dataset) -> xr.DataArray:
    """The largest sharpness or non-uniformity of all cells, in units of its bound."""
    return _margin(run).max(("lr", "batch"), skipna=False)


def uniformity(run: xr.Dataset) -> xr.DataArray:
    """Non-uniformity of the smallest batch over that of the largest, at the largest step size."""
    s = run.nonuniformity.isel(lr=-1, drop=True)
    return s.isel(batch=0, drop=True) / s.isel(batch=-1, drop=True)


def nearer_bound(run: xr.Dataset) -> xr.DataArray:
    """For the smallest batch, how much nearer the bound of s is: ratio of both in their units."""
    one = run.isel(batch=0, lr=-1, drop=True)
    return one.in_nonuniformity / one.in_sharpness


SETTLE = Experiment(
    "settling", "SGD goes on for long with the step size at which gradient descent stayed.",
    settle, claims=(
        Claim("flatter", "It lands at a flatter minimum.", sharper, between(0, 0.7), published=(
            Published(0.048, "FashionMNIST, batch 1 (the authors' stored results)", "wu2018sgd"),
            Published(0.172, "CIFAR-10, 2 classes, batch 4 (likewise)", "wu2018sgd"))),
        Claim("more-uniform", "Samples agree more on its curvature.", less_uniform,
              between(0, 0.7)),
        Claim("inside", "It lies inside the rectangle.", settled, between(0, 1)),
    ),
    figures=(Figure("landing", "Loss from the restart on, with batches and without.",
                    draw.landing),),
    control=Control("All samples at every step.", {"full": True}, ("flatter", "more-uniform")),
)  # fmt: skip

DIAGRAM = Experiment(
    "diagram", "SGD from the initialisation, over step sizes and batch sizes.", diagram, claims=(
        Claim("accessible", "No minimum lies outside its rectangle by more than 5 %.",
              farthest, between(0, 1.05)),
        Claim("uniform", "Small batches end where samples agree.", uniformity, between(0, 0.8)),
        Claim("nearer-bound", "What is nearer to its bound at a batch of one is the "
              "non-uniformity.", nearer_bound, above(1)),
    ),
    figures=(Figure("diagram", "Sharpness and non-uniformity at the end; dashed, the rectangle of "
                    "each batch size.", draw.diagram),),
    control=Control("All samples at every step, and the same rectangles.", {"full": True},
                    ("accessible", "uniform")),
)  # fmt: skip

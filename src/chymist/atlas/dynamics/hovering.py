"""Sharpness under gradient descent at several step sizes: an experiment of `edge-of-stability`.

`p` is a cell of its parameters.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import xarray as xr

from chymist import data, instruments, models, stats
from chymist.atlas.dynamics import edge_figures as draw
from chymist.bench import Bench, samples
from chymist.claims import Claim, above, below, between
from chymist.ensemble import every
from chymist.solvers import GradientDescent
from chymist.study import Control, Experiment, Figure
from chymist.theory import stability

DEFAULT = 3**-0.5
"""Gain at which weights are as large as PyTorch's default makes them."""
LEARNT = 0.2
"""Part of the first loss from which on sharpness is followed: what comes before is the start."""
WINDOWS = 20
FALLS = -0.39
"""Kendall's tau of 20 values below which a trend is a fall, p < 0.01 one-sided (Mann-Kendall)."""


def problem(p: Any, bench: Bench) -> tuple[xr.DataArray, xr.DataArray]:
    """Return inputs and targets: the user's, or those named `p.problem`; labels drawn by seed."""
    if bench.input is not None:
        y = bench.input.y.values
        return samples(data.standardised(bench.input.x.values)), samples(y)
    if p.problem.startswith("chebyshev"):
        x, y = data.chebyshev(p.points, int(p.problem.rpartition("-")[2]))
        return samples(x), samples(y)
    x, shown = data.digits8(p.points)
    if p.problem == "digits":
        return samples(x), samples(data.one_hot(shown))
    return samples(x), bench.draw(
        "labels", lambda key: samples(data.one_hot(key.integers(0, 10, p.points)))
    )


def networks(p: Any, bench: Bench, x: xr.DataArray, y: xr.DataArray) -> Any:
    """Build networks of `p.layers` for a problem, started as PyTorch's default is wide."""
    sizes = (x.sizes["feature"], *(int(n) for n in p.layers.split("-")), y.sizes["feature"])
    build = partial(models.MLP, *sizes, activation=p.activation)
    return bench.networks(build, partial(models.fan_in_start, gain=p.gain))


def descend(p: Any, bench: Bench) -> xr.Dataset:
    """Loss of every step and sharpness of every 20th, dims (lr, seed, step).

    `learnt_at` is the first step with a fifth of the first loss, `crossed_at` the first measured
    one from there on at which sharpness is above 2 / lr; NaN where there is none.
    """
    x, y = problem(p, bench)
    record = {instruments.loss: every(), instruments.training_sharpness(): every(20)}
    run = bench.train(networks(p, bench, x, y), GradientDescent(p.lr), x, y, steps=p.steps,
                      record=record).data  # fmt: skip
    learnt = instruments.time_to(run.loss / run.loss.isel(step=0, drop=True), LEARNT)
    ratio = run.sharpness / stability.gradient_descent(p.lr)
    crossed = instruments.time_to(-ratio.where(run.step >= learnt), -1.0)
    learnt.attrs["long_name"] = "first step with a fifth of the first loss"
    crossed.attrs["long_name"] = "first measured step after that with sharpness above 2 / lr"
    return run.assign(learnt_at=learnt, crossed_at=crossed)


def threshold(p: Any, run: xr.Dataset) -> xr.Dataset:
    """Sharpness at which gradient descent stays: 2 / lr."""
    return xr.Dataset({"sharpness": stability.gradient_descent(p.lr)})


def late(values: xr.DataArray) -> xr.DataArray:
    """Mean over the last third of the steps at which something was measured."""
    known = values.dropna("step", how="all")
    return known.isel(step=slice(-(known.sizes["step"] // 3), None)).mean("step", skipna=False)


def rise(run):
    """Spearman correlation of sharpness and step, at the smallest step size, before the edge."""
    slowest = run.isel(lr=int(run.lr.argmin("lr")), drop=True)
    end = slowest.crossed_at.fillna(run.step[-1])
    before = (run.step >= slowest.learnt_at) & (run.step <= end)
    return stats.spearman(slowest.sharpness.where(before), slowest.step, "step")


def edge_ratio(run):
    """Mean over the last third of the training of sharpness / (2 / lr)."""
    return late(run.sharpness) / run.predicted_sharpness


def exponent(run):
    """Exponent a of S ~ lr^a, S the mean sharpness over the last third, if all crossed 2 / lr."""
    return stats.log_slope(late(run.sharpness).where(run.crossed_at.notnull()), "lr")


def increases(run):
    """Share of updates that raise the loss since the crossing; else since a fifth of it, or 0."""
    since = run.crossed_at.fillna(run.learnt_at).fillna(0)
    change = run.loss.diff("step", label="lower")
    after = (change.step >= since) & change.notnull()
    return (change > 0).where(after).mean("step")


def decline(run):
    """Kendall's tau between time and the loss averaged over twentieths of the training."""
    size = run.sizes["step"] // WINDOWS
    kept = run.loss.isel(step=slice(-size * WINDOWS, None))
    windows = kept.coarsen(step=size).mean().where(kept.notnull().all("step"))
    return stats.kendall_tau(windows, "step")


DESCENT = Experiment(
    "descent", "Full-batch gradient descent at several step sizes, sharpness measured on the way.",
    descend, prediction=threshold, claims=(
        Claim("progressive", "Below the edge sharpness rises.", rise, above(0.5)),
        Claim("hovers", "Sharpness stays at 2 / lr once it is there.",
              edge_ratio, between(0.93, 1.10)),
        Claim("proportional", "Final sharpness is proportional to 1 / lr.",
              exponent, between(-1.1, -0.9)),
        Claim("non-monotone", "At the edge many updates raise the loss.",
              increases, between(0.05, 0.6)),
        Claim("falls", "Averaged over twentieths of the training the loss falls all the same.",
              decline, below(FALLS)),
    ),
    figures=(
        Figure("sharpness", "Sharpness over the training; dashed, 2 / lr. In the control the "
               "threshold lies above what is shown.", draw.sharpness),
        Figure("course", "The first seed on its way to the edge. At the right, eight updates on a "
               "quadratic as sharp as the loss is there: above $2/\\eta$ they swing ever wider, "
               "and the loss bursts.", draw.course),
        Figure("edge-ratio", "Late sharpness in units of 2 / lr by seed.",
               partial(draw.ratios, edge_ratio)),
        Figure("losses", "The loss of one network at each step size, every update.", draw.losses),
    ),
    control=Control("At a tenth of the step size 2 / lr is out of reach.",
                    {"lr": (0.05,)}, ("hovers", "non-monotone")),
    reads="y",
)  # fmt: skip

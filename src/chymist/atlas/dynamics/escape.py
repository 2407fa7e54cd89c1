"""Networks that SGD takes away from the minima of gradient descent: two experiments.

`p` is a cell of the parameters of `sgd-escape`.
A training goes on from another's end: what SGD starts from is where gradient descent stood after
its last step.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from chymist import instruments
from chymist.atlas.dynamics import escape_figures as draw
from chymist.atlas.dynamics.minima import (
    curvature,
    in_units,
    minima,
    named,
    note_what_is_left,
    orders,
    problem,
)
from chymist.atlas.dynamics.minima import margin as _margin
from chymist.bench import Bench
from chymist.claims import Claim, above, between
from chymist.ensemble import Ensemble, every
from chymist.errors import BadInput
from chymist.solvers import GradientDescent
from chymist.study import Control, Experiment, Figure
from chymist.theory import sgd_stability as theory

FAR = 0.15
"""Cells that lie nearer to a bound than this are not judged: the rectangle is not exact."""
ESCAPED = 10
"""Times its first value, from which on the loss counts as escaped."""
SMALL = 0.01
"""Loss up to which the linear theory of growth is held to."""



def restart(p: Any, bench: Bench) -> xr.Dataset:
    """Go on from minima of gradient descent with SGD of every step size and batch size.

    Returns:
        escaped (lr0, lr, batch, seed), the share of batch orders in which the loss came above ten
        times its first value; time (likewise), the median step at which it did, infinite if it did
        not; sharpness, nonuniformity (lr0, seed) of the minima, and both in units of their bounds,
        in_sharpness (lr0, lr, seed), in_nonuniformity (lr0, lr, batch, seed).
    """
    x, y = problem(p, bench)
    rows = x.sizes["sample"]
    if (largest := max(p.batch.values.tolist())) > rows:
        raise BadInput(f"a batch of {largest} cannot be drawn from {rows} rows",
                       "give smaller ones, as by --batch 1,4")  # fmt: skip
    start = minima(p, bench, p.lr0)
    note_what_is_left(bench, start, x, y)
    a, s, _ = curvature(start, x)
    x, y = orders(bench, x, y, 1 if p.full else p.orders)
    escaped, time = leaving(bench, start, p.lr, p.batch, p.restart_steps, x, y, full=p.full)
    made = xr.Dataset({
        "escaped": escaped, "time": time, "sharpness": a, "nonuniformity": s,
        **in_units(a, s, p.lr, p.batch, rows),
    }).transpose("lr0", "lr", "batch", "seed", missing_dims="ignore")  # fmt: skip
    named(made, escaped="share of batch orders that escape", time="median escape time")
    made.time.attrs["units"] = "step"
    return made


def leaving(
    bench: Bench, start: Ensemble, lr: Any, batches: xr.DataArray, steps: int,
    x: xr.DataArray, y: xr.DataArray, *, full: bool = False,
) -> tuple[xr.DataArray, xr.DataArray]:  # fmt: skip
    """Go on with SGD in several orders of the data, `full` with all samples at every step.

    Returns:
        For each batch size, the share of orders in which the loss came above ten times its first
        value, and the median step at which it did, infinite if it did not.
    """
    seen = {instruments.loss: lambda n: {*range(min(n, 64) + 1), *range(64, n + 1, 8), n}}
    escaped: list[xr.DataArray] = []
    times: list[xr.DataArray] = []
    for batch in batches.values.tolist():
        if not (full and escaped):
            loss = bench.train(
                start, GradientDescent(lr), x, y, steps=steps, epochs=False,
                batch=None if full else batch, record=seen, label=f"restarts, batch {batch}",
            ).data.loss  # fmt: skip
        # What is not a number has diverged.
        gone = ~(loss <= ESCAPED * loss.isel(step=0))
        escaped.append(gone.any("step").mean("order"))
        times.append(loss.step.where(gone, np.inf).min("step").median("order"))
    return xr.concat(escaped, batches), xr.concat(times, batches)


def rectangle(p: Any, run: xr.Dataset) -> xr.Dataset:
    """SGD leaves a minimum that lies outside the rectangle: 1 where it does, else 0."""
    return xr.Dataset({"escaped": (_margin(run) > 1).astype(float)})


def grow(p: Any, bench: Bench) -> xr.Dataset:
    """Follow the mean loss of many batch orders from one minimum.

    Returns:
        loss (seed, step), the mean over orders; growth (seed), the slope of its logarithm up to the
        last step at which it is small; step_size (seed); kernel (seed, sample, twin), residual
        (seed, sample), the tangent kernel and f - y at the minimum.
    """
    x, y = problem(p, bench)
    start = minima(p, bench, xr.DataArray([0.1], {"lr0": [0.1]}))
    a, _, kernel = curvature(start, x)
    lr = p.growth_reach * 2 / a.isel(lr0=0, drop=True)
    residual = (start.predict(x) - y).isel(feature=0, lr0=0, drop=True)
    many_x, many_y = orders(bench, x, y, 2 if p.full else p.growth_orders)
    loss = bench.train(
        start, GradientDescent(lr), many_x, many_y, steps=p.growth_steps,
        batch=None if p.full else p.growth_batch, epochs=False,
        record={instruments.loss: every(1)}, label="growth",
    ).data.loss  # fmt: skip
    made = xr.Dataset({
        "loss": loss.isel(lr0=0, drop=True).mean("order", skipna=False),
        "kernel": kernel.isel(lr0=0, drop=True), "residual": residual, "step_size": lr,
    })  # fmt: skip
    made["growth"] = _slope(made.loss, (made.loss < SMALL).cumprod("step") > 0)
    named(
        made,
        loss="mean loss over batch orders",
        growth="growth of it a step",
        kernel="tangent kernel",
        residual="f - y",
        step_size="step size",
    )
    made.step.attrs = {"long_name": "updates done", "units": "step"}
    return made.assign_coords(sample=range(p.samples), twin=range(p.samples))


def growth_theory(p: Any, run: xr.Dataset) -> xr.Dataset:
    """The mean loss of a linear model of the kernel and the residual at the minimum.

    Its growth in the long run is ln rho_2.
    """
    noise = theory.sampling_noise(p.growth_batch, p.samples)
    losses, growths = [], []
    for seed in run.seed:
        kernel, residual = run.kernel.sel(seed=seed).values, run.residual.sel(seed=seed).values
        lr, steps = float(run.step_size.sel(seed=seed)), p.growth_steps
        losses.append(theory.mean_losses(kernel, residual, lr, noise, steps))
        growths.append(np.log(theory.kernel_radius(kernel, lr, noise)))
    made = {"loss": (("seed", "step"), np.array(losses)), "growth": ("seed", growths)}
    return xr.Dataset(made, {"seed": run.seed, "step": run.step})


def by_rectangle(run: xr.Dataset) -> xr.DataArray:
    """Balanced accuracy of the rectangle, in cells that are not within 15 % of its border."""
    return _balanced_accuracy(run, _margin(run))


def by_curve(run: xr.Dataset) -> xr.DataArray:
    """Balanced accuracy of the curve that is exact in one dimension, not within 15 % of it."""
    # In units of the rectangle's sides the curve is s = sqrt(4 a (1 - a)).
    curve = np.sqrt((4 * run.in_sharpness * (1 - run.in_sharpness)).clip(min=1e-12))
    return _balanced_accuracy(run, np.maximum(run.in_sharpness, run.in_nonuniformity / curve))


def _balanced_accuracy(run: xr.Dataset, margin: xr.DataArray) -> xr.DataArray:
    """Mean share of cells foretold among those that escape and those that stay.

    A cell escapes where most batch orders do; it is foretold to where the margin is above 1.
    """
    far = abs(margin - 1) > FAR
    foretold = margin > 1
    out = run.escaped > 0.5
    cells = ("lr0", "lr", "batch")
    escaping = (foretold & out & far).sum(cells) / (out & far).sum(cells)
    staying = (~foretold & ~out & far).sum(cells) / (~out & far).sum(cells)
    return (escaping + staying) / 2


def usual_time(run: xr.Dataset) -> xr.DataArray:
    """Median over the cells that are foretold to escape of their median escape time."""
    asked = (run.predicted_escaped > 0.5) & (abs(_margin(run) - 1) > FAR)
    times = run.time.where(asked).stack(cell=("lr0", "lr", "batch"))
    return times.median("cell")


def driven_by_noise(run: xr.Dataset) -> xr.DataArray:
    """Share of orders that leave, at the smallest batch, minima foretold unstable that GD holds."""
    held = run.in_sharpness < 1 - FAR
    asked = held & (_margin(run) > 1 + FAR)
    return run.escaped.where(asked).isel(batch=0, drop=True).mean(("lr0", "lr"))


def grown(run: xr.Dataset) -> xr.DataArray:
    """Slope of the logarithm of the mean loss on the step."""
    return _slope(run.loss, run.predicted_loss < SMALL)


def rate(run: xr.Dataset) -> xr.DataArray:
    """That slope over the one of the exact second moment, on the same steps.

    The steps follow from the prediction, so that no luck of the runs chooses them.
    """
    small = run.predicted_loss < SMALL
    return _slope(run.loss, small) / _slope(run.predicted_loss, small)


def in_radii(run: xr.Dataset) -> xr.DataArray:
    """Growth a step over ln rho_2, what it would be in the long run."""
    return run.growth / run.predicted_growth


def _slope(y: xr.DataArray, where: xr.DataArray) -> xr.DataArray:
    """Least-squares slope of ln y over some steps."""
    t = y.step.where(where)
    t = t - t.mean("step")
    return (np.log(y.where(where)) * t).sum("step") / (t**2).sum("step")


RESTART = Experiment(
    "restart", "SGD goes on from minima that gradient descent found with several step sizes.",
    restart, prediction=rectangle, claims=(
        Claim("rectangle", r"It leaves where $a > 2/\eta$ or $s$ is above its bound, and else "
              "stays.", by_rectangle, above(0.9)),
        Claim("curve", r"It leaves where $(1-\eta a)^2 + \eta^2 c_B s^2 > 1$, and else stays.",
              by_curve, above(0.9)),
        Claim("soon", "Where it leaves, it does within 50 steps.", usual_time, between(0, 50)),
        Claim("noise", "At the smallest batch it leaves minima where gradient descent would stay.",
              driven_by_noise, above(0.9)),
    ),
    figures=(Figure("restarts", "Every cell by its minimum, in units of the bounds: colour is the "
                    "share of batch orders that escape. Dashed, the rectangle; drawn through, the "
                    "curve.", draw.restarts),),
    control=Control("All samples at every step, and the same rectangle.", {"full": True},
                    ("noise",)),
    reads="y",
)  # fmt: skip

GROW = Experiment(
    "first-steps", "The mean loss over many batch orders, from a minimum of gradient descent.",
    grow, prediction=growth_theory, claims=(
        Claim("grows", "The mean loss grows exponentially.", grown, above(0)),
        Claim("rate", "It grows as the second moment of the linear theory.", rate,
              between(0.8, 1.2)),
        Claim("radius", r"A step is a growth by $\rho_2$ at once.", in_radii, between(0.8, 1.2)),
    ),
    figures=(Figure("growth", "Mean loss; dashed, the linear theory.", draw.growth),),
    control=Control("All samples at every step.", {"full": True}, ("grows", "rate")),
)  # fmt: skip


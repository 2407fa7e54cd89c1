"""Networks that SGD takes away from the minima of gradient descent: three experiments.

`p` is a cell of the parameters of `sgd-escape`. Data: parity of small digits, or your table.
A training goes on from another's end: what SGD starts from is where gradient descent stood after
its last step.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import xarray as xr

from chymist import data, instruments, models
from chymist.atlas.dynamics import escape_figures as draw
from chymist.bench import Bench, samples
from chymist.claims import Claim, Published, above, between
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
FITTED = 0.01
"""Mean square of what a minimum leaves, over that of the targets, up to which it fits."""


def restart(p: Any, bench: Bench) -> xr.Dataset:
    """Go on from minima of gradient descent with SGD of every step size and batch size.

    Returns:
        escaped (lr0, lr, batch, seed), the share of batch orders in which the loss came above ten
        times its first value; time (likewise), the median step at which it did, infinite if it did
        not; sharpness, nonuniformity (lr0, seed) of the minima, and both in units of their bounds,
        in_sharpness (lr0, lr, seed), in_nonuniformity (lr0, lr, batch, seed).
    """
    x, y = _problem(p, bench)
    rows = x.sizes["sample"]
    if (largest := max(p.batch.values.tolist())) > rows:
        raise BadInput(f"a batch of {largest} cannot be drawn from {rows} rows",
                       "give smaller ones, as by --batch 1,4")  # fmt: skip
    start = _minima(p, bench, p.lr0)
    _note_what_is_left(bench, start, x, y)
    a, s, _ = _curvature(start, x)
    x, y = _orders(bench, x, y, 1 if p.full else p.orders)
    seen = {instruments.loss: lambda n: {*range(min(n, 64) + 1), *range(64, n + 1, 8), n}}
    escaped: list[xr.DataArray] = []
    times: list[xr.DataArray] = []
    for batch in p.batch.values.tolist():
        if not (p.full and escaped):
            loss = bench.train(
                start, GradientDescent(p.lr), x, y, steps=p.restart_steps, epochs=False,
                batch=None if p.full else batch, record=seen, label=f"restarts, batch {batch}",
            ).data.loss  # fmt: skip
        # What is not a number has diverged.
        gone = ~(loss <= ESCAPED * loss.isel(step=0))
        escaped.append(gone.any("step").mean("order"))
        times.append(loss.step.where(gone, np.inf).min("step").median("order"))
    made = xr.Dataset({
        "escaped": xr.concat(escaped, p.batch), "time": xr.concat(times, p.batch),
        "sharpness": a, "nonuniformity": s, **_in_units(a, s, p.lr, p.batch, rows),
    }).transpose("lr0", "lr", "batch", "seed", missing_dims="ignore")  # fmt: skip
    _name(made, escaped="share of batch orders that escape", time="median escape time")
    made.time.attrs["units"] = "step"
    return made


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
    x, y = _problem(p, bench)
    start = _minima(p, bench, xr.DataArray([0.1], {"lr0": [0.1]}))
    a, _, kernel = _curvature(start, x)
    lr = p.growth_reach * 2 / a.isel(lr0=0, drop=True)
    residual = (start.predict(x) - y).isel(feature=0, lr0=0, drop=True)
    many_x, many_y = _orders(bench, x, y, 2 if p.full else p.growth_orders)
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
    _name(
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


def settle(p: Any, bench: Bench) -> xr.Dataset:
    """Go on for long with the step size of gradient descent and small batches.

    Returns:
        sharper, less_uniform (seed), sharpness and non-uniformity at the end over those at the
        start; in_sharpness, in_nonuniformity (seed), both at the end in units of SGD's bounds;
        loss (seed, step).
    """
    x, y = _problem(p, bench)
    lr0 = xr.DataArray([p.settle_lr], {"lr0": [p.settle_lr]})
    start = _minima(p, bench, lr0)
    before = _curvature(start, x)
    run = bench.train(
        start, GradientDescent(p.settle_lr), x, y, steps=p.settle_steps,
        batch=None if p.full else p.settle_batch, epochs=False,
        record={instruments.loss: lambda n: {*range(min(n, 100) + 1), *range(100, n + 1, 100), n}},
        label="settling",
    )  # fmt: skip
    after = _curvature(run.end, x)
    batch = xr.DataArray([p.settle_batch], {"batch": [p.settle_batch]})
    inside = _in_units(after[0], after[1], p.settle_lr, batch, p.samples)
    made = xr.Dataset({
        "sharper": after[0] / before[0], "less_uniform": after[1] / before[1],
        **{name: value.isel(batch=0, drop=True, missing_dims="ignore")
           for name, value in inside.items()},
        "loss": run.data.loss,
    }).isel(lr0=0, drop=True)  # fmt: skip
    _name(
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
    x, y = _problem(p, bench)
    networks = bench.networks(lambda: _network(p, x.sizes["feature"]))
    found: dict[str, list[xr.DataArray]] = {"sharpness": [], "nonuniformity": [], "loss": []}
    for batch in p.diagram_batch.values.tolist():
        if not (p.full and found["loss"]):
            run = bench.train(
                networks, GradientDescent(p.diagram_lr), x, y, steps=p.diagram_steps,
                batch=None if p.full or batch == p.samples else batch, epochs=False,
                record={instruments.loss: lambda n: [n]}, label=f"diagram, batch {batch}",
            )  # fmt: skip
            a, s, _ = _curvature(run.end, x)
        for name, value in (("sharpness", a), ("nonuniformity", s)):
            found[name].append(value)
        found["loss"].append(run.data.loss.isel(step=0, drop=True))
    made = xr.Dataset({n: xr.concat(v, p.diagram_batch) for n, v in found.items()})
    made = made.rename(diagram_lr="lr", diagram_batch="batch")
    a, s = made.sharpness, made.nonuniformity
    made = made.assign(_in_units(a, s, made.lr, made.batch, p.samples))
    made = made.transpose("lr", "batch", "seed")
    _name(made, loss="loss")
    return made


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


def _slope(y: xr.DataArray, where: xr.DataArray) -> xr.DataArray:
    """Least-squares slope of ln y over some steps."""
    t = y.step.where(where)
    t = t - t.mean("step")
    return (np.log(y.where(where)) * t).sum("step") / (t**2).sum("step")


def _problem(p: Any, bench: Bench) -> tuple[xr.DataArray, xr.DataArray]:
    """Return inputs and targets: the user's, or digits and whether they are even."""
    if bench.input is not None:
        return samples(bench.input.x.values), samples(bench.input.y.values)
    x, y = data.digits_parity(p.samples)
    return samples(x), samples(y)


def _note_what_is_left(bench: Bench, minima: Ensemble, x: xr.DataArray, y: xr.DataArray) -> None:
    """Note where minima do not fit the samples: the linear theory speaks of those that do."""
    left = float(((minima.predict(x) - y) ** 2).mean() / (y**2).mean())
    if not left < FITTED:
        bench.note(f"minima leave {left:.2g} of the targets' mean square: the theory asks for a "
                   "fit; give more gd_steps or a wider network")  # fmt: skip


def _network(p: Any, features: int) -> models.MLP:
    return models.MLP(features, p.width, p.width, 1, activation="tanh")


def _minima(p: Any, bench: Bench, lr0: xr.DataArray) -> Ensemble:
    """Where gradient descent ends, its last steps half as large: what oscillates comes to rest."""
    x, y = _problem(p, bench)
    networks = bench.networks(lambda: _network(p, x.sizes["feature"]))
    for lr, steps in ((lr0, p.gd_steps), (lr0 / 2, p.gd_steps // 8)):
        networks = bench.train(
            networks, GradientDescent(lr), x, y, steps=steps, record={}, label="gradient descent"
        ).end
    return networks


def _orders(
    bench: Bench, x: xr.DataArray, y: xr.DataArray, orders: int
) -> tuple[xr.DataArray, xr.DataArray]:
    """Repeat the data in other orders: lanes of one seed draw the same places, not samples."""
    rng = bench.key(0, "orders").numpy()
    places = np.stack([rng.permutation(x.sizes["sample"]) for _ in range(orders)])
    names = {"order": range(orders)}
    return samples(x.values[places], **names), samples(y.values[places], **names)


def _curvature(
    networks: Ensemble, x: xr.DataArray
) -> tuple[xr.DataArray, xr.DataArray, xr.DataArray]:
    """Sharpness, non-uniformity and tangent kernel of every network; NaN where one diverged."""
    kernel = networks.measure(instruments.empirical_ntk, x, ("sample", "twin")).astype(float)
    fine: xr.DataArray = xr.apply_ufunc(np.isfinite, kernel).all(("sample", "twin"))
    found = instruments.kernel_nonuniformity(torch.as_tensor(kernel.where(fine, 0.0).values))
    a, s = (fine.copy(data=v.numpy()).where(fine) for v in (found.sharpness, found.value))
    return a, s, kernel


def _in_units(
    a: xr.DataArray, s: xr.DataArray, lr: Any, batch: xr.DataArray, n: int
) -> dict[str, xr.DataArray]:
    """Sharpness over 2/lr and non-uniformity over the bound of each batch size."""
    noise = [theory.sampling_noise(int(b), n) for b in batch.values]
    bound = [theory.nonuniformity_bound(1.0, c) for c in noise]
    high = xr.DataArray(bound, {batch.dims[0]: batch.values})
    return {"in_sharpness": a * lr / 2, "in_nonuniformity": s * lr / high}


def _margin(run: xr.Dataset) -> xr.DataArray:
    """The larger of sharpness and non-uniformity, in units of their bounds."""
    return np.maximum(run.in_sharpness, run.in_nonuniformity)


def _name(made: xr.Dataset, **names: str) -> None:
    known = {"sharpness": "sharpness", "nonuniformity": "non-uniformity",
             "in_sharpness": "sharpness / (2 / step size)",
             "in_nonuniformity": "non-uniformity / its bound"}  # fmt: skip
    names = {**{n: text for n, text in known.items() if n in made}, **names}
    for variable, name in names.items():
        made[variable].attrs = {"long_name": name, "units": "1"}


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

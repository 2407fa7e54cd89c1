"""Small ReLU networks that learn a broken line step by step: two experiments of `condensation`.

`p` is a cell of its parameters. Points, target and step size are those of dlphenomena
(https://github.com/dlphenomena): a line of four kinks, which four neurons can draw.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from chymist import instruments, models, stats
from chymist.atlas.dynamics import condensation_figures as draw
from chymist.bench import Bench, samples
from chymist.claims import Claim, above, between
from chymist.ensemble import Ensemble, log_spaced
from chymist.solvers import GradientDescent
from chymist.study import Control, Experiment, Figure
from chymist.theory import condensation as theory

X = np.linspace(-1, 1, 21)
Y = (
    -np.maximum(X, 0) + np.maximum(2 * (X + 0.3), 0)
    - np.maximum(1.5 * (X - 0.4), 0) + np.maximum(0.5 * (X - 0.8), 0)
)  # fmt: skip
LR = 0.1
FRAMES = 40
"""States of the training, about, at which neurons and functions are kept."""
LEAST = 0.02
"""Share of the largest amplitude below which a neuron does not count: dead ones never move."""


def stairs(p: Any, bench: Bench) -> xr.Dataset:
    """Loss and directions along the training of networks of one small start.

    Returns:
        loss, directions (seed, step) at 300 steps, evenly spaced on a logarithmic scale; plateau
        (seed, step), the number of the plateau of the loss that a step lies on, from 1, else 0;
        height (seed), the loss on the second plateau; angle, amplitude (seed, frame, neuron) and
        drawn (seed, frame, sample), what the networks return at the points, of which target (seed,
        sample) is the line.
    """
    steps = log_spaced(300)
    frames = sorted({*draw.told(p.steps), *log_spaced(FRAMES)(p.steps)})
    record = {
        instruments.loss: steps,
        _counted(): steps,
        instruments.training_directions("inner"): lambda _: frames,
        instruments.training_amplitudes("inner", "outer"): lambda _: frames,
        instruments.training_outputs(len(X), name="drawn"): lambda _: frames,
    }
    networks = _networks(p, bench, p.width**-p.exponent)
    run = bench.train(
        networks, GradientDescent(LR), samples(X), samples(Y), steps=p.steps, record=record
    ).data
    seen = run.sel(step=frames).rename(step="frame")
    angle = np.arctan2(seen.direction.isel(feature=1), seen.direction.isel(feature=0))
    run = run[["loss", "directions"]].dropna("step", how="all")
    plateau = instruments.plateaus(run.loss)
    height = run.loss.where(plateau == 2).median("step")
    made = run.assign(
        plateau=plateau, height=height, angle=angle, amplitude=seen.amplitude,
        drawn=seen.drawn.assign_coords(sample=X),
        target=(("seed", "sample"), np.tile(Y, (len(bench.seeds), 1))),
    )  # fmt: skip
    made.plateau.attrs = {"long_name": "number of the plateau", "units": "1"}
    made.height.attrs = {"long_name": "loss on the second plateau", "units": "1"}
    made.angle.attrs = {"long_name": "angle of (w, b)", "units": "rad"}
    made.target.attrs = {"long_name": "the line", "units": "1"}
    made.frame.attrs = {"long_name": "updates done", "units": "step"}
    return made


def sizes(p: Any, bench: Bench) -> xr.Dataset:
    """Directions (size, seed, step) of networks whose weights start at std width^-size."""
    networks = _networks(p, bench, p.width**-p.size)
    return bench.train(
        networks, GradientDescent(LR), samples(X), samples(Y), steps=p.size_steps,
        record={_counted(): log_spaced(30), instruments.loss: log_spaced(30)},
    ).data  # fmt: skip


def best_height(p: Any, run: xr.Dataset) -> xr.Dataset:
    """The loss of the best network of one neuron."""
    best = theory.best_relu_loss(X[:, None], Y, 1)
    return xr.Dataset({"height": xr.full_like(run.height, best)})


def _networks(p: Any, bench: Bench, std: Any) -> Ensemble:
    build = partial(models.TwoLayer, 1, p.width, activation="relu", alpha=1.0)
    return bench.networks(build, partial(models.normal_start, std=std))


def _counted() -> instruments.Instrument:
    return instruments.training_condensation("inner", "outer", least=LEAST)


def climbs(run: xr.Dataset) -> xr.DataArray:
    """Plateaus of the loss: |d log L / d log t| < 0.1 over more than half a decade."""
    return run.plateau.max("step")


def growth(run: xr.Dataset) -> xr.DataArray:
    """Spearman's correlation of directions and -log L from the end of the first plateau on."""
    after = run.step > run.step.where(run.plateau == 1).max("step")
    return stats.spearman(run.directions.where(after), -run.loss, "step")


def last_directions(run: xr.Dataset) -> xr.DataArray:
    """Directions at the end."""
    return run.directions.isel(step=-1, drop=True)


def rest(run: xr.Dataset) -> xr.DataArray:
    """Loss on the second plateau, over that of the best network of one neuron."""
    return run.height / run.predicted_height


STAIRS = Experiment(
    "stairs", "Small ReLU networks learn a broken line; directions count with an amplitude "
    "from 2 % of the largest on.", stairs, prediction=best_height,
    claims=(
        Claim("plateaus", "The loss falls in steps.", climbs, above(1.5)),
        Claim("growth", "The lower the loss, the more directions.", growth, above(0.6)),
        Claim("few", "A hundred neurons end in at most six directions.",
              last_directions, between(0, 6.5)),
        Claim("one-neuron", "The second plateau is the loss of the best single neuron.",
              rest, between(0.99, 1.01)),
    ),
    figures=(
        Figure("staircase", "Loss and directions; dashed, the best single neuron.", draw.stairs),
        Figure("course", "Neurons of the first seed, as long as the root of their amplitude, the "
               "largest 1; the function they draw; the loss.", draw.course),
        Figure("features", "Angles and amplitudes of the first seed's neurons along training.",
               draw.features),
    ),
    control=Control("From weights of std 1/2 the loss falls without rests, in many directions.",
                    {"exponent": 0.15}, ("plateaus", "few")),
)  # fmt: skip


def kept_by_small(run: xr.Dataset) -> xr.DataArray:
    """Directions at the end over those at the start, from small weights (exponent from 1 on)."""
    small = run.directions.sel(size=run["size"] >= 1)
    return small.isel(step=-1, drop=True) / small.isel(step=0, drop=True)


def kept_by_large(run: xr.Dataset) -> xr.DataArray:
    """Directions at the end over those at the start, from large weights (exponent to 1/2)."""
    large = run.directions.sel(size=run["size"] <= 0.5)
    return large.isel(step=-1, drop=True) / large.isel(step=0, drop=True)


SIZES = Experiment(
    "sizes", "The same networks from weights of different size.", sizes,
    claims=(
        Claim("small-condense", "From small weights at most half of the directions are left.",
              kept_by_small, between(0, 0.5)),
        Claim("large-do-not", "From large weights more than 0.6 of them are.",
              kept_by_large, between(0.6, 1.2)),
    ),
    figures=(Figure("sizes", "Directions along training, by exponent.", draw.sizes),),
    control=Control("Eight updates condense nothing: it is training, not the start.",
                    {"size_steps": 8}, ("small-condense",)),
)  # fmt: skip

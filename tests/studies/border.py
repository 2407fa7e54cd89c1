"""Gradient descent on a quadratic converges while step size times curvature is below two."""

import numpy as np
import xarray as xr

from chymist import (
    Axis,
    Claim,
    Control,
    Experiment,
    Field,
    Figure,
    Lane,
    Params,
    Study,
    below,
    figures,
    references,
)


class BorderParams(Params):
    lr: Lane[float] = Field((0.1, 3.0, 90.0), gt=0, description="step size")
    curvature: Lane[float] = Field((1.0,), gt=0, description="second derivative")
    steps: Axis[int] = Field((8,), ge=1, description="updates")
    factor: float = Field(1.0, gt=0, description="of the step size")


def descend(p, bench):
    start = bench.draw("start", lambda rng: xr.DataArray(1 + rng.random()))
    end = abs(1 - p.factor * p.lr * p.curvature) ** p.steps * start
    growth = np.log10(1e-9 + end / start)
    growth.attrs = {"long_name": "logarithm of the growth of the distance", "units": "1"}
    return xr.Dataset({"growth": growth})


def growth(run):
    """Orders of magnitude by which the distance to the minimum grew."""
    return run["growth"]


def compared(run):
    """Growth against that at the largest step size."""
    return run["growth"] - run["growth"].isel(lr=-1)


def slope(run):
    """Mean over step sizes."""
    return run["growth"].mean("lr")


def draw(run, control):
    return figures.statistic(run["growth"].isel(lr=0, curvature=0), title="growth")


STUDY = Study(
    slug="border",
    title="Descent has a border",
    question="How large may a step be?",
    family="dynamics",
    params=BorderParams,
    experiments=(
        Experiment(
            "descent",
            says="Descends.",
            run=descend,
            claims=(
                Claim("converges", "The distance shrinks.", growth, below(0.0)),
                Claim("compares", "It shrinks more than elsewhere.", compared, below(0.0)),
                Claim("averages", "It shrinks on average.", slope, below(0.0)),
            ),
            figures=(Figure("growth", "One dot a seed.", draw),),
            control=Control("Steps far too large.", {"factor": 1e4}, ("converges",)),
        ),
    ),
    theory="$|1 - \\eta h| < 1$.",
    references=references("jacot2018neural"),
    cost={"quick": 5},
)

"""A study that takes no time: the mean of normal draws."""

import xarray as xr

from chymist import (
    Axis,
    Claim,
    Control,
    Experiment,
    Field,
    Figure,
    Input,
    Params,
    Study,
    between,
    figures,
    references,
)
from chymist.data.signals import signal


class TinyParams(Params):
    centre: float = Field(1.0, ge=-10, le=10, description="mean of the draws")
    width: Axis[int] = Field((4,), ge=1, le=64, description="draws a seed")
    kind: str = Field("plain", description="unused")


def experiment(p, bench):
    values = bench.draw(
        "values", lambda rng: xr.DataArray(p.centre + 0.1 * rng.normal(size=p.width), dims="sample")
    )
    if bench.input is not None:
        values = values + 0 * float(bench.input.y.sum())
    mean = values.mean("sample")
    mean.attrs = {"long_name": "mean of the draws", "units": "1"}
    return xr.Dataset({"mean": mean})


def prediction(p, data):
    return xr.Dataset({"mean": xr.full_like(data["mean"], p.centre)})


def mean(run):
    """The mean of the draws."""
    return run["mean"]


def draw(run, control):
    return figures.statistic(run["mean"], title="mean", low=0.5, high=1.5)


STUDY = Study(
    slug="tiny",
    title="Draws have a mean",
    question="Is the mean where it was put?",
    family="numbers",
    params=TinyParams,
    experiments=(
        Experiment(
            "means",
            says="Draws numbers and averages them.",
            run=experiment,
            prediction=prediction,
            claims=(Claim("located", "The mean is near one.", mean, between(0.5, 1.5)),),
            figures=(Figure("means", "One dot a seed.", draw),),
            control=Control("Put elsewhere, it is elsewhere.", {"centre": 3.0}, ("located",)),
            reads="y",
        ),
    ),
    theory="The mean of $n$ draws has variance $\\sigma^2 / n$.",
    references=references("jacot2018neural"),
    presets={"quick": {}, "paper": {"seeds": 20}},
    cost={"quick": 5, "paper": 5},
    input=Input("a two-column CSV", (".csv",), signal),
)

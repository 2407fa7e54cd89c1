"""Two experiments of many chunks that take as long as they are told: made to be interrupted."""

import time

import xarray as xr

from chymist import (
    Axis,
    Claim,
    Control,
    Experiment,
    Field,
    Figure,
    Params,
    Study,
    between,
    figures,
    references,
)


class PairParams(Params):
    centre: float = Field(1.0, ge=-10, le=10, description="mean of the draws")
    width: Axis[int] = Field((4, 8), ge=1, le=64, description="draws a seed")
    pause: float = Field(0.0, ge=0, le=60, description="seconds that a chunk takes")


def draws(p, bench):
    for tick in range(round(p.pause / 0.01)):
        time.sleep(0.01)
        bench.progress("waiting", tick, round(p.pause / 0.01))
    values = bench.draw(
        "values", lambda rng: xr.DataArray(p.centre + 0.1 * rng.normal(size=p.width), dims="sample")
    )
    mean = values.mean("sample")
    mean.attrs = {"long_name": "mean of the draws", "units": "1"}
    return xr.Dataset({"mean": mean})


def mean(run):
    """The mean of the draws."""
    return run["mean"]


def draw(run, control):
    return figures.statistic(run["mean"], title="mean", low=0.5, high=1.5)


def experiment(name):
    return Experiment(
        name,
        says="Draws numbers and averages them.",
        run=draws,
        claims=(Claim(f"{name}-located", "The mean is near one.", mean, between(0.5, 1.5)),),
        figures=(Figure(f"{name}-means", "One dot a seed.", draw),),
        control=Control("Elsewhere.", {"centre": 3.0}, (f"{name}-located",)),
    )


STUDY = Study(
    slug="pair",
    title="Two experiments have means",
    question="Are the means where they were put?",
    family="numbers",
    params=PairParams,
    experiments=(experiment("first"), experiment("second")),
    theory="The mean of $n$ draws has variance $\\sigma^2 / n$.",
    references=references("jacot2018neural"),
    cost={"quick": 5},
)

"""A study whose claims want seeds: means of noisy draws, near a border and far from it."""

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
    above,
    figures,
    references,
)


class CoinParams(Params):
    lr: Lane[float] = Field((0.5,), gt=0, description="mean of the draws")
    width: Axis[int] = Field((1,), ge=1, le=64, description="draws a seed")
    lost: float = Field(-1e9, description="draws below are lost")
    sign: float = Field(1.0, description="factor of the mean")


def toss(p, bench):
    noise = bench.draw("noise", lambda rng: xr.DataArray(rng.normal(size=p.width).mean()))
    draws = p.sign * p.lr + noise
    value = draws.where(draws > p.lost)
    value.attrs = {"long_name": "value", "units": "1"}
    return xr.Dataset({"value": value})


def value(run):
    """The value."""
    return run["value"]


def sure(run):
    """Ten times the sign, and the value."""
    return run["value"] + 10


def draw(run, control):
    return figures.statistic(run["value"].isel(lr=0), title="value", low=0.0, high=2.0)


def experiment(name, *claims):
    return Experiment(
        name,
        says="Draws numbers.",
        run=toss,
        claims=claims,
        figures=(Figure(f"{name}-values", "One dot a seed.", draw),),
        control=Control("The other sign.", {"sign": -40.0}, tuple(c.name for c in claims)),
    )


STUDY = Study(
    slug="coin",
    title="A coin is biased",
    question="Is its mean above zero?",
    family="numbers",
    params=CoinParams,
    experiments=(
        experiment("near", Claim("biased", "The mean is above zero.", value, above(0.0))),
        experiment("far", Claim("surely", "It is far above zero.", sure, above(0.0))),
    ),
    theory="A mean of $n$ draws is known to $1 / \\sqrt{n}$.",
    references=references("jacot2018neural"),
    presets={"quick": {}, "long": {"seeds": 10}},
    cost={"quick": 5, "long": 1000},
)

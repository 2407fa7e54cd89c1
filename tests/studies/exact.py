"""A study without seeds: sums of odd numbers are squares."""

import numpy as np
import xarray as xr

from chymist import (
    Axis,
    Certificate,
    Claim,
    Control,
    ExactParams,
    Experiment,
    Field,
    Figure,
    Study,
    exactly,
    figures,
    references,
)


class OddParams(ExactParams):
    last: Axis[int] = Field((12,), ge=2, le=1000, description="odd numbers that are added")
    step: int = Field(2, ge=1, description="difference of neighbours")


def experiment(p, bench):
    k = np.arange(1, p.last + 1)
    total = xr.DataArray(np.cumsum(1 + p.step * (k - 1)), dims="k", coords={"k": k})
    total.attrs = {"long_name": "sum", "units": "1"}
    return xr.Dataset({"total": total})


def prediction(p, data):
    return xr.Dataset({"total": data.k**2 + 0 * data.total})


def apart(run):
    """Largest difference between a sum of k odd numbers and the square of k."""
    return abs(run.total - run.k**2).max("k")


def shown(run):
    last = int(run.k.max())
    return [
        Certificate(
            f"the first {last} odd numbers add up to {last**2}",
            " + ".join(str(2 * i + 1) for i in range(last)),
            sum(2 * i + 1 for i in range(last)) == last**2,
        )
    ]


def draw(run, control):
    return figures.predicted(run.total.isel(last=0), "k", title="sum", x_title="k")


STUDY = Study(
    slug="exact",
    title="Odd numbers add up to squares",
    question="Do they?",
    family="numbers",
    params=OddParams,
    experiments=(
        Experiment(
            "sums",
            says="Adds odd numbers.",
            run=experiment,
            prediction=prediction,
            claims=(Claim("squares", "Sums are squares.", apart, exactly(0), certificates=shown),),
            figures=(Figure("sums", "Sums.", draw),),
            control=Control("Every third number.", {"step": 3}, ("squares",)),
        ),
    ),
    theory="$1 + 3 + \\dots + (2k - 1) = k^2$.",
    references=references("jacot2018neural"),
    cost={"quick": 5},
)

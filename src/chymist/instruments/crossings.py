"""When curves first fall below a threshold, as bounds: what was not seen is not made up.

Curves are recorded at some steps only, and some never cross. So a first crossing is an interval of
steps, open-ended where it has not been seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Float

from chymist.errors import BadParameter, CannotMeasure
from chymist.stats import log_slope, mean_interval


def first_crossing(error: xr.DataArray, threshold: float) -> xr.Dataset:
    """First step at which an error is below the threshold, as bounds: earliest <= T <= latest.

    `latest` is the first recorded step with error below the threshold, infinite where there is
    none; `earliest` is one more than the recorded step before it, or, where the curve never
    crossed, than the last recorded step; `crossed` says which. Recorded at every step the bounds
    are equal. A value that is missing has not crossed, and a curve is watched up to its last finite
    value: one that diverged at once has `earliest` 0. First crossing rather than last, as in
    `time_to`.

    Shapes: the error's without `step`, which must be integers in order. Unit: step. Cost: a pass
    over the curve. Memory: twice the curve's. Error: none. Source: none; interval censoring.

    Raises:
        CannotMeasure: there is no dimension `step` with a coordinate that rises.
        BadParameter: the threshold is not finite.

    >>> curves = [[1.0, 0.5, 0.05], [1.0, 0.9, 0.8]]
    >>> e = xr.DataArray(curves, coords={"k": [1, 9], "step": [0, 10, 20]})
    >>> found = first_crossing(e, 0.1)
    >>> found.earliest.values, found.latest.values, found.crossed.values
    (array([11., 21.]), array([20., inf]), array([ True, False]))
    """
    steps = _steps(error)
    if not np.isfinite(threshold):
        raise BadParameter(f"threshold is {threshold}", "a finite number")
    below = error < threshold
    crossed = below.any("step")
    place = below.argmax("step").where(crossed, error.sizes["step"])
    index = xr.DataArray(np.arange(error.sizes["step"]), dims="step")
    at = xr.DataArray(steps, dims="step")
    before = error.notnull().drop_vars("step") & (index < place)
    last = at.where(before, -1.0).max("step")
    latest = at.where(below.drop_vars("step"), np.inf).min("step")
    found = xr.Dataset({"earliest": last + 1, "latest": latest, "crossed": crossed})
    for name, text in (("earliest", "first"), ("latest", "last")):
        found[name].attrs = {
            "long_name": f"{text} step at which the error may have come below {threshold:g}",
            "units": "step",
        }
    found.crossed.attrs = {"long_name": "whether the error came below", "units": "1"}
    found.attrs = {"threshold": threshold}
    return found


def decay_rate(error: xr.DataArray, floor: float = 0.0) -> xr.DataArray:
    """Rate r of an exponential decay, error ~ exp(-r step), by least squares on its logarithm.

    Over the recorded steps before the error is first at `floor` or below, where rounding or other
    errors take over, or missing. Every recorded step counts alike. NaN where fewer than two are
    left. Shapes: the error's without `step`. Unit: 1 / step. Cost: a pass over the curve. Memory:
    four times the curve's. Error: that of the fit; a curve that bends has no one rate. Source:
    none.

    Raises:
        CannotMeasure: there is no dimension `step` with a coordinate that rises.
        BadParameter: the floor is negative.

    >>> step = np.arange(6)
    >>> e = xr.DataArray(np.exp(-0.5 * step), coords={"step": step})
    >>> float(decay_rate(e).round(9)), float(decay_rate(e.clip(min=0.2), floor=0.2).round(9))
    (0.5, 0.5)
    """
    steps = _steps(error)
    if not 0 <= floor < np.inf:
        raise BadParameter(f"floor is {floor}", "0 or more")
    bare = error.drop_vars("step")
    good = ((bare > floor) & np.isfinite(bare)).cumprod("step").astype(bool)
    t = xr.DataArray(steps, dims="step").where(good)
    t = t - t.mean("step")
    logs = np.log(bare.where(good))
    spread = (t**2).sum("step")
    rate: xr.DataArray = -(t * logs).sum("step") / spread.where(spread > 0)
    rate.attrs = {"long_name": "rate of decay", "units": "1 / step"}
    return rate


@dataclass(frozen=True, eq=False)
class RateSlope:
    """Exponent a of a power law over a coordinate, with bounds where values are bounds.

    `lowest` and `highest` bound each seed's own least-squares exponent; they are equal where all
    values are known. `low` and `high` hold the mean exponent of seeds at confidence `level`,
    wherever within their bounds the values lie; infinite where what was not seen leaves it open.
    `estimate` is the mean where `lowest` and `highest` are finite: of the middles; else NaN.
    `unseen` counts the values that have no upper bound.
    """

    estimate: float
    low: float
    high: float
    level: float
    lowest: Float[np.ndarray, " seed"]
    highest: Float[np.ndarray, " seed"]
    unseen: int


def rate_slope(
    values: xr.Dataset | xr.DataArray, dim: str, *, over: str = "seed", level: float = 0.95
) -> RateSlope:
    """Exponent a of values ~ k^a over the coordinate `dim`, with an interval over seeds.

    Values are times as of `first_crossing`, bounds and all, or plain positive numbers (rates,
    times), of which every one must be known. A seed's exponent is the least-squares slope of log
    value on log k, a weighted sum of logarithms; with bounds it lies between the sums of the least
    and of the largest terms, and no value in between is assumed. The interval reaches from the
    lower end of Student's interval for the mean lower bound to the upper end of that for the mean
    upper one, so that it covers at `level` at least. A crossing that was never seen makes one end
    infinite, never the value missing.

    Shapes: values of dims (dim, over). Unit: 1. Cost: a sum. Memory: some copies of the values.
    Error: the interval. Source: bounds of a functional of interval data: Manski (2003), Partial
    Identification of Probability Distributions; power laws: Basri et al. (2019), arXiv:1906.00425.

    Raises:
        CannotMeasure: other dimensions than `dim` and `over`; fewer than two of either; a
            coordinate that is not positive; a plain value that is missing or not positive.

    Times that grow as k^2, the last of which was not waited for:

    >>> k, step = [1.0, 2.0, 4.0], np.arange(200)
    >>> curves = 1.0 - np.minimum(step, 100) / (10.0 * np.array(k)[:, None] ** 2)
    >>> e = xr.DataArray([curves] * 2, coords={"seed": [0, 1], "k": k, "step": step})
    >>> found = rate_slope(first_crossing(e, 1e-9), "k")
    >>> round(found.low, 3), found.high, found.unseen
    (2.161, inf, 2)
    """
    if isinstance(values, xr.Dataset):
        low, high = values["earliest"], values["latest"]
    else:
        low = high = values
        if not bool((np.isfinite(low) & (low > 0)).all()):
            raise CannotMeasure(
                "a value is missing or not positive, and has no logarithm",
                "give first_crossing's bounds, which say what was not seen",
            )
    _fits(low, dim, over)
    low, high = (v.transpose(over, dim).astype(float) for v in (low, high))
    lowest, highest = _extremes(low, high, dim)
    unseen = int(np.isinf(high).sum())
    if np.isfinite(lowest).all() and np.isfinite(highest).all():
        estimate = float(np.mean((lowest + highest) / 2))
    else:
        estimate = np.nan
    return RateSlope(
        estimate,
        mean_interval(lowest, level).low if np.isfinite(lowest).all() else -np.inf,
        mean_interval(highest, level).high if np.isfinite(highest).all() else np.inf,
        level,
        lowest,
        highest,
        unseen,
    )


def _extremes(low: xr.DataArray, high: xr.DataArray, dim: str) -> tuple[np.ndarray, np.ndarray]:
    """Return each seed's least and largest slope for values within bounds."""
    unit = xr.DataArray(np.eye(low.sizes[dim]), dims=("unit", dim), coords={dim: low[dim]})
    # The slope is linear in the logarithms: its weights are the slopes of e to a unit vector.
    weights = log_slope(unit.copy(data=np.exp(unit.values)), dim).values
    with np.errstate(divide="ignore"):
        least, most = np.log(low.values), np.log(high.values)
    up, down = np.maximum(weights, 0), np.minimum(weights, 0)
    return _sum(up, least) + _sum(down, most), _sum(up, most) + _sum(down, least)


def _sum(weights: np.ndarray, logs: np.ndarray) -> Any:
    """Return the weighted sum, in which a weight of zero leaves an infinite value out."""
    with np.errstate(invalid="ignore"):
        return np.where(weights == 0, 0.0, weights * logs).sum(1)


def _fits(values: xr.DataArray, dim: str, over: str) -> None:
    if set(values.dims) != {dim, over}:
        raise CannotMeasure(
            f"values have dimensions {', '.join(map(str, values.dims)) or 'none'}",
            f"{dim} and {over} are needed, no others",
        )
    if min(values.sizes.values()) < 2:
        raise CannotMeasure(
            f"there are {values.sizes[dim]} of {dim} and {values.sizes[over]} of {over}",
            "two of each are needed",
        )
    if dim not in values.coords or not bool((values[dim] > 0).all()):
        raise CannotMeasure(f"{dim} has no positive coordinate", "a power law needs one")


def _steps(error: xr.DataArray) -> Float[np.ndarray, " step"]:
    if "step" not in error.dims or "step" not in error.coords:
        raise CannotMeasure(
            f"the curve has dimensions {', '.join(map(str, error.dims)) or 'none'}",
            "a dimension step with a coordinate is needed",
        )
    steps = np.asarray(error["step"].values, dtype=float)
    if not (np.diff(steps) > 0).all():
        raise CannotMeasure("the steps do not rise", "give each once, in order")
    return steps

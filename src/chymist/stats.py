"""Intervals over independent seeds, and the slopes and orders that statistics are made of."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import xarray as xr
from jaxtyping import Float
from numpy import ndarray

Centre = Literal["mean", "median"]


@dataclass(frozen=True)
class Interval:
    """A confidence interval [low, high] of the stated level around an estimate."""

    estimate: float
    low: float
    high: float
    level: float


def mean_interval(values: Float[ndarray, " seed"], level: float = 0.95) -> Interval:
    """Student's t interval for the mean of independent values.

    Exact for normal values; for skewed ones its coverage falls below the nominal level when there
    are few seeds, and `median_interval` is the honest choice.

    Raises:
        ValueError: fewer than two values.

    >>> interval = mean_interval(np.array([1.0, 2.0, 3.0]))
    >>> round(interval.low, 6), interval.estimate, round(interval.high, 6)
    (-0.484138, 2.0, 4.484138)
    """
    from scipy.stats import t

    n = len(values)
    if n < 2:
        raise ValueError(f"an interval needs two values, got {n}")
    mean = float(np.mean(values))
    half = float(t.ppf((1 + level) / 2, n - 1) * np.std(values, ddof=1) / np.sqrt(n))
    return Interval(mean, mean - half, mean + half, level)


def median_interval(values: Float[ndarray, " seed"], level: float = 0.95) -> Interval:
    """Distribution-free interval for the median, from order statistics.

    The narrowest symmetric pair of order statistics whose coverage, a binomial sum, reaches the
    level; where even the extremes do not (n < 6 at 95 %), the extremes, with the level that they
    have.

    Raises:
        ValueError: fewer than two values.

    >>> interval = median_interval(np.arange(1.0, 9.0))
    >>> interval.low, interval.high
    (1.0, 8.0)
    """
    from scipy.stats import binom

    n = len(values)
    if n < 2:
        raise ValueError(f"an interval needs two values, got {n}")
    ranked = np.sort(values)
    rank = 0
    while rank + 1 < n / 2 and 1 - 2 * binom.cdf(rank + 1, n, 0.5) >= level:
        rank += 1
    reached = float(1 - 2 * binom.cdf(rank, n, 0.5))
    return Interval(
        float(np.median(values)),
        float(ranked[rank]),
        float(ranked[n - 1 - rank]),
        min(level, reached),
    )


def interval(
    values: Float[ndarray, " seed"], centre: Centre = "mean", level: float = 0.95
) -> Interval:
    """Return the interval for the mean (Student's t) or the median (order statistics)."""
    return (mean_interval if centre == "mean" else median_interval)(values, level)


def mean_sequence(values: Float[ndarray, " seed"], level: float = 0.95) -> Interval | None:
    """Interval for the mean that stays valid however often one looks and whenever one stops.

    A confidence sequence: the chance that the intervals after 2, 3, 4, ... values ever miss the
    mean is at most 1 - level, for normal values of unknown spread. A value m is kept while the
    likelihood ratio of the t statistic, mixed over an effect size N(0, 1) in units of the spread,

        sqrt(1 / (n + 1)) (S / (S - T^2 / (n + 1)))^(n / 2),  S = sum (x - m)^2,  T = sum (x - m),

    stays below 1 / (1 - level) (Lai 1976; Wang and Ramdas, arXiv:2310.03722). About 1.7 times as
    wide as `mean_interval`. None where the values are so few that no value is excluded (below 5 at
    95 %).

    Raises:
        ValueError: fewer than two values.

    >>> mean_sequence(np.array([1.0, 2.0, 3.0]))
    >>> interval = mean_sequence(np.arange(1.0, 9.0))
    >>> round(interval.low, 6), interval.estimate, round(interval.high, 6)
    (0.818618, 4.5, 8.181382)
    """
    n = len(values)
    if n < 2:
        raise ValueError(f"an interval needs two values, got {n}")
    mean, variance = float(np.mean(values)), float(np.var(values))
    growth = float(np.exp((-2 * np.log1p(-level) + np.log(n + 1)) / n))
    if growth >= n + 1:
        return None
    half = float(np.sqrt(variance * (growth - 1) / (1 - growth / (n + 1))))
    return Interval(mean, mean - half, mean + half, level)


def median_sequence(values: Float[ndarray, " seed"], level: float = 0.95) -> Interval | None:
    """Interval for the median that stays valid however often one looks and whenever one stops.

    Distribution-free. Of a median m at least half of all values lie at or below it, and at least
    half at or above. It is excluded when so few of n values do, k, that the binomial likelihood
    mixed uniformly over shares q below a half exceeds that of a half by 2 / (1 - level), which a
    martingale does rarely (Robbins 1970; Howard and Ramdas 2022, arXiv:1906.09712):

        2^(n + 1) integral_0^(1/2) q^k (1 - q)^(n - k) dq.

    None where even k = 0 excludes nothing (below 8 values at 95 %).

    Raises:
        ValueError: fewer than two values.

    >>> median_sequence(np.arange(1.0, 8.0))
    >>> interval = median_sequence(np.arange(1.0, 33.0))
    >>> interval.low, interval.estimate, interval.high
    (8.0, 16.5, 25.0)
    """
    from scipy.special import betainc, betaln

    n = len(values)
    if n < 2:
        raise ValueError(f"an interval needs two values, got {n}")
    k = np.arange((n + 1) // 2)
    half = np.log(betainc(k + 1, n - k + 1, 0.5))
    log_ratio = (n + 1) * np.log(2) + betaln(k + 1, n - k + 1) + half
    # It falls with k: those that exclude come first.
    excluding = int((log_ratio >= np.log(2 / (1 - level))).sum())
    if not excluding:
        return None
    ranked = np.sort(values)
    low, high = float(ranked[excluding - 1]), float(ranked[n - excluding])
    return Interval(float(np.median(values)), low, high, level)


def sequence(
    values: Float[ndarray, " seed"], centre: Centre = "mean", level: float = 0.95
) -> Interval | None:
    """Return the interval for the mean or the median that is valid at any number of values."""
    return (mean_sequence if centre == "mean" else median_sequence)(values, level)


def log_slope(y: xr.DataArray, dim: str) -> xr.DataArray:
    """Least-squares slope of log y on log of the coordinate `dim`: the exponent of a power law.

    A value that is missing or not positive makes the slope missing.

    >>> y = xr.DataArray([2.0, 8.0, 32.0], coords={"k": [1.0, 2.0, 4.0]})
    >>> float(log_slope(y, "k"))
    2.0
    """
    x = np.log(y[dim].astype(float))
    x = x - x.mean()
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log(y.where(y > 0))
    slope: xr.DataArray = (logs * x).sum(dim, skipna=False) / (x**2).sum()
    return slope


def slope_drift(y: xr.DataArray, dim: str) -> xr.DataArray:
    """`log_slope` of the later half of the points less that of the earlier; 0 for a power law.

    The halves share the middle point of an odd number. A power law fitted where this is not small
    is pre-asymptotic; that it is small does not show that a slope has settled. NaN below three
    points.

    >>> k = np.array([1.0, 2.0, 4.0, 8.0, 16.0])
    >>> y = xr.DataArray([16.0, 4.0, 1.0, 0.5, 0.25], {"k": k})
    >>> round(float(slope_drift(y, "k")), 9)
    1.0
    """
    n = y.sizes[dim]
    if n < 3:
        return y.isel({dim: 0}, drop=True) * np.nan
    half = (n + 1) // 2
    earlier, later = y.isel({dim: slice(half)}), y.isel({dim: slice(n - half, None)})
    return log_slope(later, dim) - log_slope(earlier, dim)


def kendall_tau(y: xr.DataArray, dim: str) -> xr.DataArray:
    """Kendall's rank correlation between y and its order along `dim`; 1: rises throughout.

    Ties count as zero (tau-a). A missing value makes the result missing.

    >>> float(kendall_tau(xr.DataArray([1.0, 3.0, 2.0], dims="k"), "k"))
    0.3333333333333333
    """
    n = y.sizes[dim]
    pairs = [
        xr.apply_ufunc(np.sign, y.isel({dim: j}, drop=True) - y.isel({dim: i}, drop=True))
        for i in range(n)
        for j in range(i + 1, n)
    ]
    tau: xr.DataArray = sum(pairs[1:], start=pairs[0]) / len(pairs)
    return tau


def spearman(x: xr.DataArray, y: xr.DataArray, dim: str) -> xr.DataArray:
    """Spearman's rank correlation of x and y along `dim`; ties share their mean rank.

    Pairs of which one is missing are left out; it is missing with fewer than three pairs, and where
    all values of x or of y are equal.

    >>> x = xr.DataArray([1.0, 2.0, 3.0, np.nan], dims="k")
    >>> float(spearman(x, -(x**3), "k"))
    -1.0
    """
    from scipy.stats import rankdata

    def one(a: ndarray, b: ndarray) -> float:
        both = np.isfinite(a) & np.isfinite(b)
        if both.sum() < 3:
            return math.nan
        ranks = np.stack([rankdata(a[both]), rankdata(b[both])])
        ranks = ranks - ranks.mean(1, keepdims=True)
        spread = math.sqrt(float(np.prod((ranks**2).sum(1))))
        return float((ranks[0] * ranks[1]).sum()) / spread if spread else math.nan

    found: xr.DataArray = xr.apply_ufunc(one, x, y, input_core_dims=[[dim], [dim]], vectorize=True)
    return found


def best_octave(score: xr.DataArray, dim: str = "sigma") -> xr.DataArray:
    """log2 of the coordinate at which a score is highest, between the points of its grid.

    The vertex of the parabola, in log2 of the coordinate, through the highest point and its two
    neighbours; at an end of the grid that of the three outermost points, held between them, or the
    end itself where they do not bend downwards. NaN with fewer than three points. Unit: octave.

    >>> x = np.array([1.0, 2.0, 4.0, 16.0])
    >>> score = xr.DataArray(-((np.log2(x) - 1.25) ** 2), {"sigma": x}, ("sigma",))
    >>> float(best_octave(score))
    1.25
    """
    if score.sizes[dim] < 3:
        return score.isel({dim: 0}, drop=True) * np.nan
    middle = score.argmax(dim).clip(1, score.sizes[dim] - 2)
    place = xr.DataArray(np.log2(score[dim].values.astype(float)), dims=(dim,))
    bare = score.drop_vars(dim)
    (a, b, c) = (place.isel({dim: middle + i}) for i in (-1, 0, 1))
    (at_a, at_b, at_c) = (bare.isel({dim: middle + i}) for i in (-1, 0, 1))
    left, right = (b - a) * (at_b - at_c), (b - c) * (at_b - at_a)
    # Positive where the middle point lies above the line through the others.
    bend = left - right
    vertex = b - 0.5 * ((b - a) * left - (b - c) * right) / bend.where(bend > 0)
    best: xr.DataArray = vertex.clip(a, c).where(bend > 0, place.isel({dim: score.argmax(dim)}))
    return best


def simultaneous(level: float, rows: int) -> float:
    """Bonferroni: the level each of `rows` intervals needs so that all hold together at `level`.

    >>> round(simultaneous(0.95, 5), 6)
    0.99
    """
    return 1 - (1 - level) / rows

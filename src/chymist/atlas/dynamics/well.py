"""The example of Chao Ma: two minima of equal sharpness, of which SGD keeps one.

f_1(x) = min(x^2, 0.1 (x-1)^2), f_2(x) = min(x^2, 1.9 (x-1)^2). At x = 0 both samples have the
curvature 2; at x = 1 one has 0.2, the other 3.8, and their mean is 2 as well.
`p` is a cell of the parameters of `sgd-escape`.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from chymist.atlas.dynamics import escape_figures as draw
from chymist.bench import Bench
from chymist.claims import Claim, above, between
from chymist.study import Control, Experiment, Figure
from chymist.theory import sgd_stability as theory

HALVES = np.array([0.1, 1.9])
CURVATURES = 2 * HALVES
EDGE = float(1 / (1 + np.sqrt(HALVES[1])))
"""Distance from x = 1 to the end of f_2's right branch."""
FOLLOWED = 150
"""Steps in which distances are kept."""
WALKERS = 10
"""Runs whose place is kept at each of them."""
STEPS = 700
"""Four hundred to escape from 1e-8, by the time predicted eleven spreads too many, and 300 more."""
LATEST = 2000
"""Steps within which half of the runs must leave, where the threshold is sought."""
DISTANCE = 1e-5
"""From x = 1, there."""
SPAN = (0.3, 1.5)
"""Step sizes between which it is sought; gradient descent has its threshold at 1."""


def gradient(x: np.ndarray[Any, Any], half: np.ndarray[Any, Any] | float) -> np.ndarray[Any, Any]:
    """Gradient of min(x^2, half (x-1)^2)."""
    left = x**2 < half * (x - 1) ** 2
    return np.where(left, 2 * x, 2 * half * (x - 1))


def losses(x: np.ndarray[Any, Any]) -> dict[str, np.ndarray[Any, Any]]:
    """Both samples' losses, and their mean, by name."""
    first, second = (np.minimum(x**2, half * (x - 1) ** 2) for half in HALVES)
    return {"both": (first + second) / 2, "sample 1": first, "sample 2": second}


def average(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Gradient of the mean of both samples."""
    return (gradient(x, HALVES[0]) + gradient(x, HALVES[1])) / 2


def well(p: Any, bench: Bench) -> xr.Dataset:
    """Leave x = 1 from a small distance.

    Returns:
        time (eps, seed), median over runs of the first step at which x is beyond f_2's right
        branch, infinite if it never is; at_zero (eps, seed), share of runs at |x| < 1e-3 after the
        last step; distance (eps, seed, step), the median of |x - 1| in the first steps; place (eps,
        seed, walker, step), x itself of the first runs, and descent (eps, seed, step), x of
        gradient descent on the mean of both samples.
    """
    eps = np.asarray(p.eps.values, dtype=float)

    def one(rng: np.random.Generator) -> xr.Dataset:
        x = np.tile(1 + eps[:, None], (1, p.runs))
        left_at = np.full(x.shape, np.inf)
        down = 1 + eps
        distance, place, descent = [], [], []
        for step in range(STEPS + 1):
            left_at = np.where((x < 1 - EDGE) & np.isinf(left_at), step, left_at)
            if step <= FOLLOWED:
                distance.append(np.median(abs(x - 1), axis=1))
                place.append(x[:, :WALKERS])
                descent.append(down)
                down = down - p.step * average(down)
            if p.kick == "sample":
                slope = gradient(x, HALVES[rng.integers(2, size=x.shape)])
            else:
                slope = average(x)
            if p.kick == "white":
                # As large as the sampling noise at the start, and so large for ever.
                slope = slope + CURVATURES.std() * eps[:, None] * rng.normal(size=x.shape)
            x = x - p.step * slope
        axes = {"eps": eps, "step": range(len(distance)), "walker": range(place[0].shape[1])}
        return xr.Dataset({
            # The upper median: the mean of two infinities would be undefined.
            "time": ("eps", np.sort(left_at, axis=1)[:, p.runs // 2]),
            "at_zero": ("eps", (abs(x) < 1e-3).mean(1)),
            "distance": (("step", "eps"), np.array(distance)),
            "place": (("step", "eps", "walker"), np.array(place)),
            "descent": (("step", "eps"), np.array(descent)),
        }, axes)  # fmt: skip

    made = _by_seed(bench, "samples", one)
    made.time.attrs = {"long_name": "median escape time", "units": "step"}
    made.at_zero.attrs = {"long_name": "share of runs that end at x = 0", "units": "1"}
    made.distance.attrs = {"long_name": "median |x - 1|", "units": "1"}
    made.place.attrs = {"long_name": "x of a run", "units": "1"}
    made.descent.attrs = {"long_name": "x of gradient descent", "units": "1"}
    made.step.attrs = {"long_name": "updates done", "units": "step"}
    return made.transpose(..., "seed", "walker", "step")


def well_theory(p: Any, data: xr.Dataset) -> xr.Dataset:
    """ln(EDGE / eps) / Lambda, and the line along which ln|x - 1| rises to the edge."""
    rate = theory.lyapunov_exponent(CURVATURES, p.step)
    time = xr.DataArray(theory.escape_time(CURVATURES, p.step, data.eps.values, EDGE), dims="eps")
    return xr.Dataset({
        "time": (time + xr.zeros_like(data.time)).transpose(*data.time.dims),
        "distance": np.minimum(data.eps * np.exp(rate * data.step), EDGE) + 0 * data.distance,
    })  # fmt: skip


def threshold(p: Any, bench: Bench) -> xr.Dataset:
    """Bisect the step size at which half of the runs leave x = 1 in time; one number a seed."""

    def one(rng: np.random.Generator) -> xr.Dataset:
        picked = rng.integers(2, size=(LATEST, p.threshold_runs), dtype=np.int8)

        def share(lr: float) -> float:
            x = np.full(p.threshold_runs, 1 + DISTANCE)
            gone = np.zeros(x.shape, dtype=bool)
            for row in picked:
                slope = gradient(x, HALVES[row]) if p.kick == "sample" else average(x)
                # What has left stays where it is, else it might run to infinity.
                x = np.where(gone, x, x - lr * slope)
                gone |= x < 1 - EDGE
                if gone.all():
                    break
            return float(gone.mean())

        low, high = SPAN
        while high - low > 1e-3:
            middle = (low + high) / 2
            low, high = (low, middle) if share(middle) >= 0.5 else (middle, high)
        return xr.Dataset({"threshold": (low + high) / 2})

    made = _by_seed(bench, "samples", one)
    made.threshold.attrs = {"long_name": "step size at which half escape", "units": "1"}
    return made


def threshold_theory(p: Any, data: xr.Dataset) -> xr.Dataset:
    """The step size at which the typical escape takes as long as the runs last."""
    low, high = theory.largest_stable_lr(CURVATURES[:, None, None], 1.0), 1.0
    while high - low > 1e-9:
        middle = (low + high) / 2
        slow = theory.escape_time(CURVATURES, middle, DISTANCE, EDGE) > LATEST
        low, high = (middle, high) if slow else (low, middle)
    return xr.Dataset({"threshold": low + 0 * data.threshold})


def _by_seed(bench: Bench, purpose: str, one: Any) -> xr.Dataset:
    parts = [one(bench.key(seed, purpose).numpy()) for seed in bench.seeds]
    return xr.concat(parts, dim="seed").assign_coords(seed=list(bench.seeds))


def lateness(run: xr.Dataset) -> xr.DataArray:
    """Median escape time over ln(EDGE/eps)/Lambda, at every eps."""
    ratio: xr.DataArray = run.time / run.predicted_time
    return ratio


def growth(run: xr.Dataset) -> xr.DataArray:
    """Slope of the median escape time on ln(1/eps), times Lambda."""
    x = np.log(1 / run.eps)
    x = x - x.mean()

    def slope(y: xr.DataArray) -> xr.DataArray:
        return (y * x).sum("eps") / (x**2).sum()

    return slope(run.time) / slope(run.predicted_time)


def at_zero(run: xr.Dataset) -> xr.DataArray:
    """Share of runs that end at x = 0, at the distance where fewest do."""
    return run.at_zero.min("eps")


def measured_threshold(run: xr.Dataset) -> xr.DataArray:
    """Step size at which half of the runs escape."""
    return run.threshold


WELL = Experiment(
    "well", "Two samples in one dimension; both minima have sharpness 2, and SGD starts beside "
    "the one at which samples disagree.", well, prediction=well_theory, claims=(
        Claim("time", r"The time to leave is $\ln(0.42/\epsilon)/\Lambda$.",
              lateness, between(0.9, 1.15)),
        Claim("logarithmic", r"It grows by $1/\Lambda$ for each factor $e$ by which the start is "
              "nearer.", growth, between(0.95, 1.05)),
        Claim("selected", "All end at the minimum where samples agree.", at_zero, above(0.999)),
    ),
    figures=(
        Figure("well-times", "Escape time by distance; dashed, the prediction.", draw.times),
        Figure("course", "SGD leaves x = 1, where gradient descent stays; a start a hundred times "
               "nearer delays it, each time by the same number of steps.",
               partial(draw.course, losses)),
        Figure("well-growth", "Median distance from x = 1 along a run; dashed, growth by Lambda.",
               draw.distances),
    ),
    control=Control("White noise as large as that of sampling at the start, but always so large, "
                    "makes a cloud and not an escape.", {"kick": "white"}, ("selected",)),
)  # fmt: skip

THRESHOLD = Experiment(
    "threshold", "The step size at which half of the runs leave x = 1, from a distance of 1e-5 "
    "within 2,000 steps.", threshold, prediction=threshold_theory, claims=(
        Claim("step-size", "It is where the exponent changes sign, not where gradient descent "
              "would leave.", measured_threshold, between(0.54, 0.58)),
    ),
    figures=(Figure("step-size", "Step size from which on SGD leaves.", partial(
        draw.step_size, (2 * 2 / (2**2 + 1.8**2), 0.5595))),),
    control=Control("Gradient descent stays up to a step size of 1.", {"kick": "mean"},
                    ("step-size",)),
)  # fmt: skip

"""How far scales reach, for `multiscale-network`: the highest frequency that networks fit in time.

`p` is a cell of the study's parameters.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from chymist import models, solvers, stats
from chymist.atlas.frequency import multiscale_figures as draw
from chymist.atlas.frequency.multiscale_fits import GRID, distance, kernel
from chymist.bench import Bench, samples
from chymist.claims import Claim, between
from chymist.ensemble import every
from chymist.study import Control, Experiment, Figure
from chymist.theory import stretching

FAILED = 0.3
"""Relative error above which a frequency is out of reach."""
LEVEL = 1e-3
"""Rate, relative to the lowest frequency's, at which theory lets the reach end."""


def reach(p: Any, bench: Bench) -> xr.Dataset:
    """Fit sin(mu x) by networks of four scales, geometric from 1 to `largest`.

    Or, with the direction "compress", down to 1 / largest.

    Returns:
        error (largest, mu, seed) at the end; reach (largest, seed), the smallest mu whose error is
        above 0.3, interpolated; NaN where all are, or none.
    """
    ends = p.largest.values.tolist()
    mu = np.geomspace(0.5 * min(ends), 4 * max(ends), p.waves).round(2)
    points = max(192, int(6 * max(ends)))
    x = ((np.arange(points) + 0.5) / points * 2 - 1)[:, None]
    fine = np.linspace(-1, 1, 1001)[:, None]
    target = samples(np.sin(mu[:, None] * x[:, 0]), mu=mu.tolist())
    truth = xr.DataArray(np.sin(mu[:, None] * fine[:, 0]), {"mu": mu}, ("mu", "sample"))
    sizes = [int(n) for n in p.parts.split("-")]
    networks = bench.networks(
        lambda: models.MultiScale(
            lambda: models.MLP(1, *sizes, 1, activation="sin"), [1.0] * p.octaves
        ),
        partial(models.stretched_start, largest=_ends(p)),
    )
    run = bench.train(
        networks, solvers.Adam(p.reach_lr), samples(x), target, steps=p.reach_steps,
        record={distance(fine, truth): every(max(1, p.reach_steps // 40))}, label="reach",
    ).data  # fmt: skip
    error = run.error.sel(step=slice(0.9 * p.reach_steps, None)).min("step")
    error = error.transpose("largest", "mu", "seed").assign_attrs(run.error.attrs)
    found = xr.apply_ufunc(
        _end_of_reach, error, error.mu, input_core_dims=[["mu"], ["mu"]], vectorize=True
    )
    found.attrs = {"long_name": "highest frequency within reach", "units": "1"}
    return xr.Dataset({"error": error, "reach": found})


def kernel_reach(p: Any, run: xr.Dataset) -> xr.Dataset:
    """Return the mu at which the tangent kernel's rate has fallen to a thousandth of the lowest.

    Of waves through a window: the ends of the interval are steps, which have all frequencies.
    """
    frequencies = np.geomspace(1, 16 * float(p.largest.max()), 200)
    x = ((np.arange(GRID) + 0.5) / GRID * 2 - 1)[:, None]
    waves = np.hanning(GRID) * np.sin(frequencies[:, None] * x[:, 0])
    ends = []
    for largest in _ends(p).values.tolist():
        scales = models.geometric_scales(p.octaves, largest)
        summed = stretching.stretched_kernel(partial(kernel, p), x, scales)
        rates = stretching.wave_rates(summed, waves)
        ends.append(stretching.reach(rates, frequencies, LEVEL))
    predicted = xr.DataArray(ends, {"largest": run.largest}) + 0 * run.seed
    return xr.Dataset({"reach": predicted})


def _ends(p: Any) -> Any:
    """The last of the scales, of which the first is 1, by `largest`."""
    return p.largest if p.direction == "stretch" else 1 / p.largest


def _end_of_reach(error: np.ndarray, mu: np.ndarray) -> float:
    above = np.flatnonzero(error > FAILED)
    if not len(above) or above[0] == 0:
        return float("nan")
    last = above[0]
    part = (FAILED - error[last - 1]) / (error[last] - error[last - 1])
    return float(np.exp(np.log(mu[last - 1]) + part * np.log(mu[last] / mu[last - 1])))


def exponent(run: xr.Dataset) -> xr.DataArray:
    """Exponent a of reach ~ largest scale^a."""
    found: Any = stats.log_slope(run.reach, "largest")
    return xr.DataArray(found)


def off_theory(run: xr.Dataset) -> xr.DataArray:
    """The reach over what the tangent kernel foretells."""
    found: Any = run.reach / run.predicted_reach
    return xr.DataArray(found)


REACH = Experiment(
    "frequencies", r"$\sin \mu x$ fitted by networks of four scales up to the largest; within "
    "reach is what has an error of at most 0.3 in the end.", reach, prediction=kernel_reach,
    claims=(
        Claim("reach-grows", "The highest frequency within reach is a power of the largest scale "
              "with an exponent near one.", exponent, between(0.7, 1.3)),
        Claim("kernel-foretells", "It is within a factor of two of where the kernel's rate has "
              "fallen to a thousandth.", off_theory, between(0.5, 2)),
    ),
    figures=(
        Figure("reach", "Highest frequency within reach; dashed, by the tangent kernel.",
               draw.reach),
        Figure("reach-errors", "Error by frequency.", draw.frequencies),
    ),
    control=Control("Where inputs are compressed as much instead, the reach does not grow.",
                    {"direction": "compress"}, ("reach-grows",)),
)  # fmt: skip

"""Fourier features in the kernel regime: experiments of `image-memorisation` with their theory.

`p` is a cell of its parameters.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from chymist import models
from chymist.atlas.frequency import image_figures as draw
from chymist.bench import Bench, samples
from chymist.claims import Claim, above
from chymist.ensemble import log_spaced
from chymist.instruments import spectral_error
from chymist.solvers import GradientDescent
from chymist.study import Control, Experiment, Figure
from chymist.theory import coordinate_kernel

POINTS, HARMONICS, DEPTH, STEPS = 32, 12, 2, 300
FREQUENCIES = (1, 2, 4, 8)


def train(p: Any, bench: Bench) -> xr.Dataset:
    """Fit cosines of equal amplitude and random phase by gradient descent, a lane a decay and seed.

    The step size is one over the kernel's largest eigenvalue, so that no frequency can diverge
    while the kernel stays.
    """
    v, amplitude = np.arange(POINTS) / POINTS, np.sqrt(2 / len(FREQUENCIES))

    def cosines(key: np.random.Generator) -> xr.DataArray:
        waves = [np.cos(2 * np.pi * (k * v + key.random())) for k in FREQUENCIES]
        return samples(amplitude * np.sum(waves, axis=0))

    signal = bench.draw("signal", cosines)
    networks = bench.networks(
        lambda: models.CoordinateMLP(models.harmonics(HARMONICS), p.kernel_width, DEPTH, "tangent"),
        partial(models.tangent_start, decay=p.decay),
    )
    solver = GradientDescent(1 / eigenvalues(p).max("band"))
    record = {spectral_error(signal, FREQUENCIES): log_spaced(60)}
    return bench.train(networks, solver, samples(v), signal, steps=STEPS, record=record).data


def descent(p: Any, run: xr.Dataset) -> xr.Dataset:
    """What the kernel of infinite width leaves of each frequency's error at the start."""
    rate = (eigenvalues(p) / eigenvalues(p).max("band")).sel(band=run.band)
    return xr.Dataset({"error": run.error.sel(step=0, drop=True) * abs(1 - rate) ** run.step})


def eigenvalues(p: Any) -> xr.DataArray:
    """Eigenvalue of the composed kernel at each frequency (band), for each decay."""
    amplitudes = np.arange(1.0, HARMONICS + 1) ** -p.decay.values[:, None]
    values = coordinate_kernel.circle_eigenvalues(amplitudes, DEPTH, POINTS)
    axes = {"decay": p.decay, "band": range(POINTS // 2 + 1)}
    return xr.DataArray(values, axes, tuple(axes))


def agreement(run):
    """Correlation of log error with theory over bands and steps, while theory is above 3 %."""
    theory = run.predicted_error.where((run.predicted_error > 0.03) & (run.step > 0))
    return xr.corr(np.log(run.error.where(theory > 0)), np.log(theory), ("band", "step"))


KERNEL = Experiment(
    "kernel", "Networks in the kernel scaling on features j^-p [cos, sin](2 pi j v), j = 1..12, "
    "fit frequencies 1, 2, 4, 8 by gradient descent.", train,
    prediction=descent,
    claims=(Claim("agreement", "The composed kernel of infinite width predicts every error curve.",
                  agreement, above(0.95)),),
    figures=(Figure("circle", "What is left of each frequency; dashed, the kernel.", draw.circle),),
    control=Control("Four neurons a layer are no kernel.", {"kernel_width": 4}, ("agreement",)),
)  # fmt: skip

"""Fourier features in the kernel regime: experiments of `image-memorisation` with their theory.

`p` is a cell of its parameters.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch
import xarray as xr

from chymist import data, models
from chymist.atlas.frequency import image_figures as draw
from chymist.bench import Bench, samples
from chymist.claims import Claim, above
from chymist.ensemble import log_spaced
from chymist.instruments import band_error, radial_bands, spectral_error
from chymist.instruments.images import picture_band_error
from chymist.solvers import GradientDescent
from chymist.study import Control, Experiment, Figure
from chymist.theory import coordinate_kernel, gradient_descent

POINTS, HARMONICS, DEPTH = 32, 12, 2
FREQUENCIES = (1, 2, 4, 8)
SIDE, BANDS = 24, (1, 3, 6, 9, 12)
"""Pixels a side, and edges of the bands, of the picture."""


def train_circle(p: Any, bench: Bench) -> xr.Dataset:
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
    return bench.train(networks, solver, samples(v), signal, steps=2 * p.kernel_steps,
                       record=record).data  # fmt: skip


def circle_descent(p: Any, run: xr.Dataset) -> xr.Dataset:
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


CIRCLE = Experiment(
    "kernel", "Networks in the kernel scaling on features j^-p [cos, sin](2 pi j v), j = 1..12, "
    "fit frequencies 1, 2, 4, 8 by gradient descent.", train_circle,
    prediction=circle_descent,
    claims=(Claim("agreement", "The composed kernel of infinite width predicts every error curve.",
                  agreement, above(0.95)),),
    figures=(Figure("circle", "What is left of each frequency; dashed, the kernel.",
                    partial(draw.shares, "decay", "p")),),
    control=Control("Four neurons a layer are no kernel.", {"kernel_width": 4}, ("agreement",)),
)  # fmt: skip


def train_picture(p: Any, bench: Bench) -> xr.Dataset:
    """Draw a flat spectrum by gradient descent on Gaussian features, a lane a scale and seed.

    Also returns what the kernel needs to predict it: the `picture`, what the networks drew at the
    start, `at_start`, the frequencies they were given and the step size, one over the kernel's
    largest eigenvalue.
    """
    grid = data.pixel_grid(SIDE)

    def centred(key: np.random.Generator) -> xr.DataArray:
        return samples((data.flat_spectrum(SIDE, BANDS[-1], key).ravel() - 0.5) / 0.4)

    picture = bench.draw("picture", centred)
    networks = bench.networks(
        lambda: models.CoordinateMLP(models.gaussian(p.frequencies), p.kernel_width, DEPTH,
                                     "tangent"),
        partial(models.gaussian_tangent_start, sigma=p.kernel_scale),
    )  # fmt: skip
    given = networks.buffers["encoding.frequencies"]
    frequency = networks.named(given, ("frequency", "axis")).assign_coords(
        frequency=range(given.shape[1]), axis=["row", "column"]
    )
    lr = _one_over_largest(frequency)
    x = torch.as_tensor(grid)
    run = bench.train(
        networks, GradientDescent(lr), x, picture, steps=p.kernel_steps,
        record={picture_band_error(BANDS, name="error"): log_spaced(60)},
    ).data  # fmt: skip
    place = {"sample": range(SIDE**2)}
    for name, values, title, units in (
        ("picture", picture.isel(feature=0).assign_coords(place), "picture", "1"),
        ("at_start", networks.predict(x).isel(feature=0).assign_coords(place),
         "picture drawn at the start", "1"),
        ("frequency_drawn", frequency, "frequency of a feature", "cycles per picture"),
        ("step_size", lr, "step size", "1"),
    ):  # fmt: skip
        run[name] = values.assign_attrs(long_name=title, units=units)
    return run


def picture_descent(p: Any, run: xr.Dataset) -> xr.Dataset:
    """Band errors if the kernel of infinite width, on the frequencies drawn, decides.

    Residuals go through the same transform as the instrument's. The frequencies drawn are those of
    the networks: what is left to disagree is the width alone, which the claim is about.
    """
    lanes = ("kernel_scale", "seed")
    kernel = _kernel(run.frequency_drawn.transpose(*lanes, "frequency", "axis").values)
    residual = (run.at_start - run.picture).transpose(*lanes, "sample").values
    lr = run.step_size.transpose(*lanes).values
    left = gradient_descent.residuals(kernel, residual, lr, int(run.step.max()))
    left = left[..., run.step.values, :]
    masks = radial_bands(SIDE, BANDS)
    energy, whole = (
        band_error(torch.as_tensor(v).unflatten(-1, (SIDE, SIDE)), masks).numpy()
        for v in (left, run.picture.transpose("seed", "sample").values[:, None])
    )
    axes = {d: run[d] for d in (*lanes, "step", "band")}
    return xr.Dataset({"error": xr.DataArray(energy / whole, axes, tuple(axes))})


def _one_over_largest(frequency: xr.DataArray) -> xr.DataArray:
    """One over the largest eigenvalue of the kernel / pixels."""
    from scipy.sparse.linalg import eigsh

    flat = frequency.stack(lane=("kernel_scale", "seed")).transpose("lane", "frequency", "axis")
    # The kernel is positive: its first eigenvector is near the constant, where the search begins.
    largest = [
        eigsh(_kernel(one), k=1, v0=np.ones(SIDE**2), return_eigenvectors=False)[0]
        for one in flat.values
    ]
    lr = xr.DataArray(SIDE**2 / np.array(largest), {"lane": flat.lane}, ("lane",))
    return lr.unstack("lane").sel(kernel_scale=frequency.kernel_scale)


def _kernel(frequency: Any) -> Any:
    cosine = coordinate_kernel.drawn_feature_cosine(data.pixel_grid(SIDE), frequency.astype(float))
    return coordinate_kernel.relu_tangent_kernel(cosine, DEPTH)


PICTURE = Experiment(
    "picture-kernel", "Networks in the kernel scaling on Gaussian features draw a flat spectrum of "
    "24 x 24 pixels by gradient descent.", train_picture,
    prediction=picture_descent,
    claims=(Claim("picture-agreement", "On a picture, too, the kernel predicts every error curve.",
                  agreement, above(0.95)),),
    figures=(Figure("picture-bands", "What is left of each band; dashed, the kernel.",
                    partial(draw.shares, "kernel_scale", "σ")),),
    control=Control("Four neurons a layer are no kernel.", {"kernel_width": 4},
                    ("picture-agreement",)),
)  # fmt: skip

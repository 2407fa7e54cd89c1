"""A network that memorises a photograph draws the outline first and the detail later.

On a picture whose spectrum is flat, the order in which a network learns frequencies is its own and
not the picture's. On photographs five networks of equal size are watched while they draw, and
judged on pixels they never saw. The scale of Gaussian Fourier features has an optimum between blur
and aliasing. On a circle, a kernel says how fast features and network learn each frequency.
"""

from functools import partial
from typing import Literal

import altair as alt
import numpy as np
import torch
import xarray as xr

from chymist import (
    Claim, Control, Experiment, Field, Figure, Input, Lane, Params, Study, above, between, data,
    figures, models, references, samples, stats,
)  # fmt: skip
from chymist.ensemble import log_spaced
from chymist.instruments import area_under, images, spectral_error
from chymist.solvers import Adam, GradientDescent
from chymist.theory import coordinate_kernel

FLAT, CIRCLE, HARMONICS, BANDS = (1, 3, 6, 9, 12), 32, 12, (1, 2, 4, 8)


class ImageParams(Params):
    """Every second pixel a side is trained on, every second one held out."""

    seeds: int = Field(5, ge=5, le=10_000, description="independent repetitions")
    size: int = Field(64, ge=64, le=2048, multiple_of=4, description="pixels a side")
    width: int = Field(64, ge=4, le=4096, description="neurons a layer, three hidden layers")
    frequencies: int = Field(32, ge=4, le=4096, multiple_of=2, description="of the encodings")
    scale: float = Field(0.04, gt=0, le=4, description=(
        "standard deviation of the Gaussian frequencies, cycles per training pixel"))
    sigma: Lane[float] = Field((0.5, 1, 2, 4, 8, 16), gt=0, le=1e4, description=(
        "the same in cycles per picture, where the scale itself is studied"))
    judged_on: Literal["held-out", "training"] = Field("held-out", description="pixels, for sigma")
    lr: float = Field(1e-3, gt=0, le=1, description="step size of Adam; SIREN takes 0.3 of it")
    steps: int = Field(200, ge=32, le=10**6, description="updates on photographs")
    flat_steps: int = Field(400, ge=32, le=10**6, description="updates on flat spectra")
    flat_encoding: models.Encoding = Field("none", description="network on flat spectra")
    decay: Lane[float] = Field((0, 0.5, 1), ge=0, le=4, description=(
        "exponent p of the features' amplitudes j^-p on the circle"))
    kernel_width: int = Field(256, ge=1, le=65536, description="neurons a layer on the circle")


def train(p, bench, encoding, sigma, x, y, steps, record):
    """Train networks of one encoding; all have as many parameters, within 15 %."""
    build = partial(models.coordinate_network, encoding, width=p.width, m=p.frequencies,
                    highest=p.size / 8)
    rate = 0.3 * p.lr if encoding == "siren" else p.lr
    return bench.train(bench.networks(build, models.coordinate_start(encoding, sigma)), Adam(rate),
                       x, y, steps=steps, record=record, label=encoding).data


def flat(p, bench):
    """Draw a picture with the same amplitude at all frequencies, new phases each seed."""
    n, encoding = p.size // 2, p.flat_encoding
    shown = bench.draw("picture", lambda key: samples(data.flat_spectrum(n, FLAT[-1], key).ravel()))
    run = train(p, bench, encoding, p.scale * n, torch.as_tensor(data.pixel_grid(n)), shown,
                p.flat_steps, {images.picture_band_error(FLAT): log_spaced(80)})
    return run.expand_dims(network=[encoding], image=["flat spectrum"])


def photo(p, bench):
    """Draw the user's picture, or two photographs, with each of five networks."""
    shown, canvas = data.pictures(p.size, bench.input), torch.as_tensor(data.pixel_grid(64))
    octaves = [2**j for j in range(20) if 2**j <= p.size / 4]
    frames = sorted({round(p.steps / 2**i) for i in range(6)})
    curves = (images.picture_band_error(octaves), images.picture_band_psnr(octaves),
              images.held_out_psnr(*data.split_pixels(shown, held_out=True)))
    record = {**dict.fromkeys(curves, lambda steps: sorted({*log_spaced(50)(steps), *frames})),
              images.reconstruction(canvas): lambda steps: frames}
    runs = [train(p, bench, encoding, p.scale * p.size / 2, *data.split_pixels(shown), p.steps,
                  record) for encoding in models.ENCODINGS]
    run = xr.concat(runs, xr.DataArray(list(models.ENCODINGS), dims="network", name="network"))
    target = data.pictures(64, bench.input).expand_dims(seed=list(bench.seeds))
    return run.drop_vars("picture").assign(
        drawn=run.picture.sel(step=frames).rename(step="frame"), photograph=target)


def scale(p, bench):
    """Draw photographs at two resolutions, an octave apart, by Gaussian features of many scales."""
    runs = []
    for size in (p.size // 2, p.size):
        shown = data.pictures(size)
        judges = images.training_psnr(), images.held_out_psnr(*data.split_pixels(shown, True))
        runs.append(train(p, bench, "gaussian", p.sigma, *data.split_pixels(shown), p.steps,
                          dict.fromkeys(judges, lambda steps: [steps])).isel(step=0, drop=True))
    run = xr.concat(runs, xr.DataArray([p.size // 4, p.size // 2], dims="pixels", name="pixels"))
    return run.assign(score=run.test_psnr if p.judged_on == "held-out" else run.train_psnr)


def interpolation(p, run):
    """Held-out PSNR of kernel regression, which is where training without end would lead."""
    if run.pixels.max() > coordinate_kernel.LARGEST:
        return xr.Dataset()
    table = [[[coordinate_kernel.interpolation_psnr(one, sigma, 3) for sigma in run.sigma.values]
              for one in data.pictures(2 * n).values] for n in run.pixels.values.tolist()]
    axes = {d: run[d] for d in ("pixels", "image", "sigma")}
    return xr.Dataset({"test_psnr": xr.DataArray(table, axes, tuple(axes))})


def eigenvalues(p):
    amplitudes = np.arange(1.0, HARMONICS + 1) ** -p.decay.values[:, None]
    values = coordinate_kernel.circle_eigenvalues(amplitudes, 2, CIRCLE)
    return xr.DataArray(values, {"decay": p.decay, "band": range(len(values[0]))}, ("decay", "band"))


def circle(p, bench):
    """Fit four cosines of equal amplitude and random phase by gradient descent."""
    v, amplitude = np.arange(CIRCLE) / CIRCLE, np.sqrt(2 / len(BANDS))
    signal = bench.draw("signal", lambda key: samples(
        amplitude * sum(np.cos(2 * np.pi * (k * v + key.random())) for k in BANDS)))
    features = models.FourierFeatures(torch.arange(1.0, HARMONICS + 1)[:, None])
    networks = bench.networks(
        partial(models.CoordinateMLP, features, p.kernel_width, 2, "tangent"),
        partial(models.tangent_start, decay=p.decay))
    return bench.train(networks, GradientDescent(1 / eigenvalues(p).max("band")), samples(v), signal,
                       steps=300, record={spectral_error(signal, BANDS): log_spaced(60)}).data


def kernel_descent(p, run):
    rate = (eigenvalues(p) / eigenvalues(p).max("band")).sel(band=run.band)
    return xr.Dataset({"error": run.error.sel(step=0, drop=True) * abs(1 - rate) ** run.step})


def area(run):
    return area_under(run.band_error.isel(network=0, drop=True))


def order(run):
    """Kendall's tau between frequency and area under the band's error, mean over pictures."""
    return stats.kendall_tau(area(run), "band").mean("image")


def spread(run):
    """D = log(area of the highest band / area of the lowest), mean over pictures."""
    return np.log(area(run).isel(band=[0, -1])).diff("band").isel(band=0, drop=True).mean("image")


def gain(run):
    """Held-out PSNR of Gaussian features less that of plain coordinates, in dB, at the end."""
    end = run.test_psnr.isel(step=-1, drop=True).mean("image")
    return end.sel(network="gaussian", drop=True) - end.sel(network="none", drop=True)


def fall(run):
    """PSNR at the best scale less PSNR at the largest, in dB, mean over pictures."""
    score = run.score.mean("image")
    return score.max("sigma") - score.isel(sigma=-1, drop=True)


def octaves_apart(run):
    """log2(best scale at the finer resolution / at the coarser), cubic in log2 of the scale."""
    score = run.score.mean("image").assign_coords(sigma=np.log2(run.sigma))
    fine = np.linspace(score.sigma.min(), score.sigma.max(), 1001)
    best = score.interp(sigma=fine, method="cubic" if score.sizes["sigma"] > 3 else "linear")
    return best.idxmax("sigma").diff("pixels").isel(pixels=0, drop=True)


def agreement(run):
    """Correlation of log error with theory over bands and steps, while theory is above 3 %."""
    theory = run.predicted_error.where((run.predicted_error > 0.03) & (run.step > 0))
    return xr.corr(np.log(run.error.where(theory > 0)), np.log(theory), ("band", "step"))

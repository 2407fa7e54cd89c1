"""Errors by frequency: which part of a target a network has learnt.

Convention: the discrete Fourier transform without a factor, hat r(k) = sum_j r_j exp(-2 pi i k j/n)
over n evenly spaced samples of one period, the endpoint left out. Relative errors do not depend on
the factor.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float
from torch import Tensor

from chymist.errors import CannotMeasure
from chymist.instruments.snapshot import Instrument, Snapshot


def residual_spectrum(
    prediction: Float[Tensor, "*lane sample feature"],
    target: Float[Tensor, "*#lane sample feature"],
) -> Float[Tensor, "*lane band"]:
    """Return |hat r(k)|, k = 0..n/2, of the residual r of a one-dimensional fit (first feature).

    Shapes: (*lane, n // 2 + 1). Unit: the residual's. Cost: one fast Fourier transform a lane.
    Memory: the transform. Error: rounding. Source: none; the definition.

    >>> x = 2 * torch.pi * torch.arange(8) / 8
    >>> residual_spectrum(torch.cos(2 * x)[:, None], torch.zeros(8, 1)).round(decimals=4).abs()
    tensor([0., 0., 4., 0., 0.])
    """
    spectrum: Tensor = torch.fft.rfft((prediction - target)[..., 0], dim=-1)
    return spectrum.abs()


def spectral_error(target: xr.DataArray, bands: Sequence[int], name: str = "error") -> Instrument:
    """Relative error e_k = |hat(f - y)(k)| / |hat y(k)| of the training targets at the bands k.

    `target` has dimensions (*lanes, sample[, feature]), samples in order over a period, and must
    have content at every band. e_k = 1 where nothing of the band has been learnt. Where samples are
    not even, or have many features: `training_frequency_error`. Shape: (lane, band). Unit: 1. Cost:
    one FFT a lane and recording; no forward pass of its own in full-batch training. Memory: the
    transform. Error: rounding. Source: Xu, Zhang, Luo, Xiao, Ma (2020), arXiv:1901.06523.

    Raises:
        CannotMeasure: the target has no samples, or no content at one of the bands.

    >>> from chymist.bench import samples
    >>> spectral_error(samples(np.cos(np.pi * np.arange(4))), [2]).coords
    {'band': [2]}
    """
    y = target if "feature" in target.dims else target.expand_dims(feature=1, axis=-1)
    _samples(y)
    content = np.abs(np.fft.rfft(np.asarray(y, dtype=float)[..., 0], axis=-1))[..., list(bands)]
    size = np.sqrt(np.mean(np.asarray(y, dtype=float) ** 2)) * y.sizes["sample"]
    if np.any(content < 1e-9 * size):
        raise CannotMeasure(
            f"the target has no content at one of the bands {list(bands)}",
            "name bands that it has: see spectral_peaks",
        )

    picked = torch.as_tensor(list(bands))

    def of_target(snapshot: Snapshot) -> Tensor:
        goal = snapshot.place(y)
        whole = residual_spectrum(goal, torch.zeros_like(goal))
        return whole.index_select(-1, picked.to(whole.device))

    def measure(snapshot: Snapshot) -> Tensor:
        left = residual_spectrum(snapshot.prediction, snapshot.place(y))
        return left.index_select(-1, picked.to(left.device)) / snapshot.once(of_target)

    return Instrument(
        name,
        measure,
        dims=("band",),
        coords={"band": list(bands)},
        long_name="relative error of the Fourier coefficient",
    )


def own_error(target: xr.DataArray, name: str = "error") -> Instrument:
    """Error of each network's own component, |sum_j (f_j - y_j) y_j| / sum_j y_j^2. Unit 1.

    `target` has dimensions (*lanes, sample, feature). For y_j = A cos(2 pi k j / n) this is the
    relative error of one Fourier coefficient, whatever leaks into others; 1 where nothing of it has
    been learnt. Shape: (lane,). Cost: two sums a lane and recording. Memory: the targets. Error:
    rounding. Source: none; a projection.

    Raises:
        CannotMeasure: the target has no samples, or is zero everywhere.

    >>> from chymist.bench import samples
    >>> own_error(samples(np.ones(4))).dims
    ()
    """
    _samples(target)
    if np.any((target**2).sum(("sample", "feature")) == 0):
        raise CannotMeasure(
            "a target that is zero everywhere has no component to learn", "leave it out"
        )

    def of_target(snapshot: Snapshot) -> Tensor:
        return snapshot.place(target).square().sum((-2, -1))

    def measure(snapshot: Snapshot) -> Tensor:
        goal = snapshot.place(target)
        overlap = ((snapshot.prediction - goal) * goal).sum((-2, -1))
        return overlap.abs() / snapshot.once(of_target)

    return Instrument(name, measure, long_name="relative error of the network's own component")


def spectral_peaks(target: Float[np.ndarray, " sample"], highest: int) -> list[int]:
    """Return the frequencies k in 1..highest at which |hat y| has a local peak.

    A peak exceeds both neighbours and a tenth of the largest coefficient in the range; a signal
    that stands on its mean alone has none. Unit: cycles per period.

    >>> x = 2 * np.pi * np.arange(64) / 64
    >>> spectral_peaks(np.sin(x) + np.sin(5 * x), 16)
    [1, 5]
    """
    spectrum = np.abs(np.fft.rfft(target - np.mean(target)))
    highest = min(highest, len(spectrum) - 1)
    padded = np.append(spectrum, 0.0)
    floor = 0.1 * spectrum[1 : highest + 1].max(initial=0.0)
    return [
        k
        for k in range(1, highest + 1)
        if padded[k] > max(padded[k - 1] if k > 1 else 0.0, padded[k + 1]) and padded[k] > floor
    ]


def radial_bands(size: int, edges: Sequence[float]) -> Float[Tensor, "band size half"]:
    """Masks of the radial frequency bands edges[j] <= |k| < edges[j+1] on the rfft2 grid.

    Unit of |k|: cycles per image. The mean (k = 0) is in a band only if an edge is <= 0.

    >>> radial_bands(4, [0.0, 1.0, 4.0]).sum((1, 2)).tolist()
    [1.0, 11.0]
    """
    rows = torch.fft.fftfreq(size, 1 / size)
    columns = torch.fft.rfftfreq(size, 1 / size)
    radius = torch.sqrt(rows[:, None] ** 2 + columns[None, :] ** 2)
    return torch.stack([(radius >= a) & (radius < b) for a, b in pairwise(edges)]).float()


def band_error(
    residual: Float[Tensor, "*lane size size"], masks: Float[Tensor, "band size half"]
) -> Float[Tensor, "*lane band"]:
    """Root of the residual's energy in each radial band, sqrt(sum_{k in band} |hat r(k)|^2).

    The half plane of rfft2 counts once each column that stands for itself and twice the others.
    Divide by the same of the target for the relative error e_j. Shapes: (*lane, band). Unit: the
    residual's. Cost: one 2-D FFT a lane, and pixels times bands. Memory: the transform. Error:
    rounding. Source: none; Parseval's identity over a band.

    >>> r = torch.ones(1, 4, 4)
    >>> band_error(r, radial_bands(4, [0.0, 1.0, 4.0])).tolist()
    [[16.0, 0.0]]
    """
    size = residual.shape[-1]
    power = torch.fft.rfft2(residual).abs() ** 2
    twice = torch.full((power.shape[-1],), 2.0, dtype=power.dtype, device=power.device)
    twice[0] = 1.0
    if size % 2 == 0:
        twice[-1] = 1.0
    weighted = power * twice
    return torch.einsum("...hw,bhw->...b", weighted, masks.to(weighted)).sqrt()


def _samples(target: xr.DataArray) -> None:
    if not target.size:
        raise CannotMeasure("the target has no samples", "give at least one")

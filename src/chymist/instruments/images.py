"""Instruments for networks that draw a picture, for all lanes at once.

A picture is recorded as samples in row-major order over a square grid of pixels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import xarray as xr
from jaxtyping import Float
from torch import Tensor

from chymist.instruments.frequency import band_error, radial_bands
from chymist.instruments.quality import psnr
from chymist.instruments.snapshot import Instrument, Snapshot


def picture_band_error(edges: Sequence[float], name: str = "band_error") -> Instrument:
    """Relative error e_j = ||DFT(f - I)||_j / ||DFT(I)||_j of the training picture I in bands.

    Band j is edges[j] <= |k| < edges[j+1], in cycles per picture; its coordinate is edges[j]. Unit
    1: 1 where nothing of the band has been learnt. Where the picture has no content e_j is
    infinite. Cost: one 2-D FFT a lane; no forward pass of its own in full-batch training.
    """

    def measure(snapshot: Snapshot) -> Tensor:
        goal = _square(snapshot.y)
        masks = radial_bands(goal.shape[-1], edges)
        residual = _square(snapshot.prediction) - goal
        return band_error(residual, masks) / band_error(goal, masks)

    return Instrument(
        name, measure, ("band",), {"band": list(edges[:-1])}, long_name="relative error of the band"
    )


def picture_band_psnr(edges: Sequence[float], name: str = "band_psnr") -> Instrument:
    """Band PSNR, -10 log10(sum over the band of |DFT(f - I)|^2 / n^4), of an n x n picture.

    By Parseval's identity the sum over all k divided by n^4 is the mean squared error, so the bands
    split the PSNR; unit dB, peak value 1. An absolute error, unlike `picture_band_error`: a band
    in which the picture is weak starts high. Cost as there.
    """

    def measure(snapshot: Snapshot) -> Tensor:
        goal = _square(snapshot.y)
        size = goal.shape[-1]
        energy = band_error(_square(snapshot.prediction) - goal, radial_bands(size, edges)) ** 2
        return psnr(energy / size**4)

    return Instrument(
        name,
        measure,
        ("band",),
        {"band": list(edges[:-1])},
        units="dB",
        long_name="peak signal-to-noise ratio of the band",
    )


def training_psnr(name: str = "train_psnr") -> Instrument:
    """PSNR on the training samples, 10 log10(1 / mse) with peak value 1; unit dB."""
    return Instrument(
        name,
        lambda snapshot: psnr(((snapshot.prediction - snapshot.y) ** 2).mean((-2, -1))),
        units="dB",
        long_name="PSNR on the training pixels",
    )


def held_out_psnr(
    x: Tensor | xr.DataArray, y: Tensor | xr.DataArray, name: str = "test_psnr"
) -> Instrument:
    """PSNR on samples that were not trained on; unit dB, peak value 1. Cost: one forward pass."""

    def measure(snapshot: Snapshot) -> Tensor:
        out = snapshot.predict(snapshot.place(x).to(snapshot.x))
        return psnr(((out - snapshot.place(y)) ** 2).mean((-2, -1)))

    return Instrument(name, measure, units="dB", long_name="PSNR on held-out pixels")


def reconstruction(x: Float[Tensor, "pixel axis"], name: str = "picture") -> Instrument:
    """What the network draws on a square grid of coordinates x, (row, column). Unit 1.

    Cost: one forward pass.
    """

    def measure(snapshot: Snapshot) -> Tensor:
        return _square(snapshot.predict(x.to(snapshot.x)))

    side = math.isqrt(len(x))
    places = {"row": np.arange(side).tolist(), "column": np.arange(side).tolist()}
    return Instrument(name, measure, ("row", "column"), places, long_name="picture drawn")


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


def _square(values: Float[Tensor, "*lane pixel 1"]) -> Float[Tensor, "*lane size size"]:
    side = math.isqrt(values.shape[-2])
    if side**2 != values.shape[-2]:
        raise ValueError(f"{values.shape[-2]} samples do not fill a square picture")
    return values[..., 0].reshape(*values.shape[:-2], side, side)

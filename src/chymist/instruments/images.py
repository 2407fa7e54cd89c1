"""Instruments for networks that draw a picture, for all lanes at once.

A picture is recorded as samples in row-major order over a square grid of pixels; its channels, one
or three, are features.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from jaxtyping import Float
from torch import Tensor

from chymist.errors import CannotMeasure
from chymist.instruments.frequency import band_error, radial_bands
from chymist.instruments.quality import psnr
from chymist.instruments.snapshot import Instrument, Snapshot


def picture_band_error(edges: Sequence[float], name: str = "band_error") -> Instrument:
    """Relative error e_j = ||DFT(f - I)||_j / ||DFT(I)||_j of the training picture I in bands.

    Band j is edges[j] <= |k| < edges[j+1], in cycles per picture; its coordinate is edges[j]. The
    squared norm sums over the band and over channels, so that a colour counts by its energy. 1
    where nothing of the band has been learnt; where the picture has no content e_j is infinite.
    Shape: (lane, band). Unit: 1. Cost: one 2-D FFT a lane and channel; no forward pass of its own
    in full-batch training. Memory: the transform, and a mask a band. Error: rounding. Source:
    Tancik et al. (2020), arXiv:2006.10739.

    >>> picture_band_error([0, 1, 4]).coords
    {'band': [0, 1]}
    """
    masks = _masks(edges)

    def of_target(snapshot: Snapshot) -> Tensor:
        return band_error(_square(snapshot.y), snapshot.once(masks)).square().sum(-2)

    def measure(snapshot: Snapshot) -> Tensor:
        error = _square(snapshot.prediction) - _square(snapshot.y)
        left = band_error(error, snapshot.once(masks)).square().sum(-2)
        return (left / snapshot.once(of_target)).sqrt()

    return Instrument(
        name, measure, ("band",), {"band": list(edges[:-1])}, long_name="relative error of the band"
    )


def picture_band_psnr(edges: Sequence[float], name: str = "band_psnr") -> Instrument:
    """Band PSNR, -10 log10(sum over the band of |DFT(f - I)|^2 / n^4), of an n x n picture.

    Of several channels the mean of the sum is taken. By Parseval's identity the sum over all k
    divided by n^4 is the mean squared error, so the bands split the PSNR; peak value 1. An absolute
    error, unlike `picture_band_error`: a band in which the picture is weak starts high. Shape:
    (lane, band). Unit: dB. Cost, memory, error, source: as there.

    >>> picture_band_psnr([0, 1, 4]).units
    'dB'
    """
    masks = _masks(edges)

    def measure(snapshot: Snapshot) -> Tensor:
        goal = _square(snapshot.y)
        error = band_error(_square(snapshot.prediction) - goal, snapshot.once(masks))
        return psnr(error.square().mean(-2) / goal.shape[-1] ** 4)

    return Instrument(
        name,
        measure,
        ("band",),
        {"band": list(edges[:-1])},
        units="dB",
        long_name="peak signal-to-noise ratio of the band",
    )


def reconstruction(
    x: Float[Tensor, "pixel axis"], channels: Sequence[str] = ("grey",), name: str = "picture"
) -> Instrument:
    """What the network draws on a square grid of coordinates x, (row, column, channel).

    Shape: (lane, row, column, channel). Unit: 1. Cost: one forward pass. Memory: the outputs.
    Error: none. Source: none; the outputs themselves.

    >>> import torch
    >>> reconstruction(torch.zeros(4, 2)).dims
    ('row', 'column', 'channel')
    """

    def measure(snapshot: Snapshot) -> Tensor:
        return _square(snapshot.predict(x.to(snapshot.x))).movedim(-3, -1)

    place = list(range(math.isqrt(len(x))))
    places: dict[str, Sequence[Any]] = {"row": place, "column": place, "channel": list(channels)}
    return Instrument(name, measure, tuple(places), places, long_name="picture drawn")


def _masks(edges: Sequence[float]) -> Callable[[Snapshot], Tensor]:
    """Return what makes the masks of the bands for the training picture."""
    return lambda snapshot: radial_bands(_square(snapshot.y).shape[-1], edges).to(snapshot.y)


def _square(
    values: Float[Tensor, "*lane pixel channel"],
) -> Float[Tensor, "*lane channel size size"]:
    side = math.isqrt(values.shape[-2])
    if side**2 != values.shape[-2]:
        raise CannotMeasure(
            f"{values.shape[-2]} samples do not fill a square picture", "give n x n pixels"
        )
    return values.mT.reshape(*values.shape[:-2], values.shape[-1], side, side)

"""The discrete Fourier transform of values at any places, by its sum.

Convention: without a factor, hat y(k) = sum_j y_j exp(-2 pi i k u_j), as in `frequency`; for even
places u_j = j / n and whole k it is the discrete Fourier transform.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from chymist.errors import CannotMeasure
from chymist.instruments import checks

BLOCK, LEAST = 2**15, 16
"""Angles of a block, few enough to stay in a core's cache, and its least samples."""


def nudft(
    places: Float[Tensor, "*lane sample"],
    values: Float[Tensor, "*lane sample feature"],
    frequencies: Sequence[float],
) -> Complex[Tensor, "*lane band feature"]:
    """Non-uniform discrete Fourier transform, sum_j y_j exp(-2 pi i k u_j), for each feature.

    Places u are in periods, frequencies k in cycles per period: any real numbers. Places (sample,)
    are shared by all lanes of the values.

    Shapes: (*lane, band, feature), complex, of the values' precision. Unit: the values'. Cost:
    exact, samples x frequencies sines and cosines and two products of matrices. Memory: waves of
    16 samples or 512 KiB at a time, whatever the samples, and the result. Error: rounding; angles
    are reduced to one turn before they are multiplied by 2 pi, so that it grows with k u by that of
    k u alone. Source: Xu, Zhang, Luo, Xiao, Ma (2020), arXiv:1901.06523, without their factor 1/n.

    Raises:
        BadParameter: no frequencies, or one that is not finite.
        CannotMeasure: places and values differ in samples, or are not finite.

    A cosine of 3 cycles at places that are not even, halves of which lie at k = 3 and -3:

    >>> u = torch.tensor([0.0, 1 / 3, 2 / 3], dtype=torch.float64)
    >>> nudft(u, torch.cos(6 * torch.pi * u)[:, None], [0, 3]).real.round(decimals=9).flatten()
    tensor([3., 3.], dtype=torch.float64)
    """
    k = checked_frequencies(frequencies).to(places.device)
    samples = values.shape[-2] if values.ndim > 1 else 0
    if not samples or places.shape[-1] != samples:
        raise CannotMeasure(
            f"values of shape {tuple(values.shape)} at places of shape {tuple(places.shape)}",
            "give places (sample,) and values (sample, feature), one sample or more",
        )
    if not bool(places.isfinite().all()) or not bool(values.isfinite().all()):
        raise CannotMeasure("a place or a value is not finite", "leave out those samples")
    lanes = max(places[..., 0].numel(), 1)
    step = max(LEAST, BLOCK // (len(k) * lanes))
    total: Tensor | None = None
    for first in range(0, samples, step):
        part = slice(first, first + step)
        found = waves(places[..., part], k).to(values) @ values[..., part, :]
        total = found if total is None else total + found
    assert total is not None  # noqa: S101
    return _complex(total)


def waves(
    places: Float[Tensor, "*lane sample"], frequencies: Float[Tensor, " band"]
) -> Float[Tensor, "*lane two_bands sample"]:
    """Return cos 2 pi k u for all frequencies k, and below it -sin 2 pi k u, in float64."""
    turns = frequencies.double()[:, None] * places.double()[..., None, :]
    angle = 2 * torch.pi * (turns - turns.round())
    return torch.cat([angle.cos(), -angle.sin()], dim=-2)


def magnitude(
    both: Float[Tensor, "*lane two_bands feature"],
) -> Float[Tensor, "*lane band"]:
    """Return the norm over features of each band's coefficient, its parts as of `waves`."""
    squares = both.square().sum(-1)
    real, imaginary = squares.chunk(2, dim=-1)
    return torch.sqrt(real + imaginary)


def checked_frequencies(frequencies: Sequence[float]) -> Float[Tensor, " band"]:
    """Return frequencies in float64.

    Raises:
        BadParameter: there are none, or one is not finite.
    """
    return torch.tensor(checks.numbers("frequencies", frequencies), dtype=torch.float64)


def _complex(both: Tensor) -> Tensor:
    real, imaginary = both.chunk(2, dim=-2)
    return torch.complex(real.contiguous(), imaginary.contiguous())

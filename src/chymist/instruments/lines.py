"""Instruments for networks that draw a line, a signal over one period, for all lanes at once.

A line is recorded as samples evenly spaced over the period, the endpoint left out.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from chymist.instruments.snapshot import Instrument, Snapshot


def line_band_error(
    bands: Sequence[tuple[int, int]], unit: float = 1.0, name: str = "band_error"
) -> Instrument:
    """Relative error e_j = ||DFT(f - y)||_j / ||DFT(y)||_j of the training line y in bands.

    Band j is bands[j][0] <= k < bands[j][1], in cycles per period; its coordinate is the lower edge
    times `unit`, the frequency of one cycle. 1 where nothing of the band has been learnt; where the
    line has no content e_j is infinite. Shape: (lane, band). Unit: 1. Cost: one FFT a lane; no
    forward pass of its own in full-batch training. Memory: the transform. Error: rounding. Source:
    Rahaman et al. (2019), arXiv:1806.08734.

    >>> line_band_error([(1, 4), (4, 8)], 32.0).coords
    {'band': [32.0, 128.0]}
    """

    def energy(line: Tensor) -> Tensor:
        power = _power(line)
        return torch.stack([power[..., a:b].sum(-1) for a, b in bands], -1)

    def of_target(snapshot: Snapshot) -> Tensor:
        return energy(snapshot.y)

    def measure(snapshot: Snapshot) -> Tensor:
        return (energy(snapshot.prediction - snapshot.y) / snapshot.once(of_target)).sqrt()

    edges = [low * unit for low, _ in bands]
    return Instrument(
        name, measure, ("band",), {"band": edges}, long_name="relative error of the band"
    )


def line_drawn(x: Float[Tensor, "point axis"], name: str = "drawn") -> Instrument:
    """What the network draws at the coordinates x, its first output (point).

    Shape: (lane, point). Unit: 1. Cost: one forward pass. Memory: the outputs. Error: none. Source:
    none; the outputs themselves.

    >>> line_drawn(torch.zeros(3, 1)).coords
    {'point': [0, 1, 2]}
    """

    def measure(snapshot: Snapshot) -> Tensor:
        return snapshot.predict(x.to(snapshot.x))[..., 0]

    return Instrument(
        name, measure, ("point",), {"point": list(range(len(x)))}, long_name="line drawn"
    )


def _power(line: Float[Tensor, "*lane sample feature"]) -> Float[Tensor, "*lane band"]:
    power: Tensor = torch.fft.rfft(line[..., 0], dim=-1).abs() ** 2
    return power

"""How good a reconstruction is."""

from __future__ import annotations

import torch
import xarray as xr
from torch import Tensor

from chymist.instruments.snapshot import Instrument, Snapshot


def psnr(mean_squared_error: Tensor, peak: float = 1.0) -> Tensor:
    """Peak signal-to-noise ratio, 10 log10(peak^2 / mse), in decibels (higher is better).

    >>> psnr(torch.tensor(0.01))
    tensor(20.)
    """
    return 10 * torch.log10(peak**2 / mean_squared_error)


def training_psnr(name: str = "train_psnr") -> Instrument:
    """PSNR on the training samples and channels, 10 log10(1 / mse) with peak value 1.

    Shape: (lane,). Unit: dB. Cost: no forward pass in full-batch training. Memory: the outputs.
    Error: rounding. Source: none; the definition.

    >>> training_psnr().units
    'dB'
    """
    return Instrument(
        name,
        lambda snapshot: psnr(((snapshot.prediction - snapshot.y) ** 2).mean((-2, -1))),
        units="dB",
        long_name="PSNR on the training samples",
    )


def held_out_psnr(
    x: Tensor | xr.DataArray, y: Tensor | xr.DataArray, name: str = "test_psnr"
) -> Instrument:
    """PSNR on samples that were not trained on, over all channels; peak value 1.

    Shape: (lane,). Unit: dB. Cost: one forward pass. Memory: the outputs. Error: rounding. Source:
    none; the definition.

    >>> held_out_psnr(torch.zeros(1, 1), torch.zeros(1, 1)).name
    'test_psnr'
    """

    def measure(snapshot: Snapshot) -> Tensor:
        out = snapshot.predict(snapshot.place(x).to(snapshot.x))
        return psnr(((out - snapshot.place(y)) ** 2).mean((-2, -1)))

    return Instrument(name, measure, units="dB", long_name="PSNR on held-out samples")

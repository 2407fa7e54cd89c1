"""How good a reconstruction is."""

from __future__ import annotations

import torch
from torch import Tensor


def psnr(mean_squared_error: Tensor, peak: float = 1.0) -> Tensor:
    """Peak signal-to-noise ratio, 10 log10(peak^2 / mse), in decibels (higher is better).

    >>> psnr(torch.tensor(0.01))
    tensor(20.)
    """
    return 10 * torch.log10(peak**2 / mean_squared_error)

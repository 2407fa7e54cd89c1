"""Errors by sine mode, for functions that vanish at the ends of a line or on a square's border.

The mode k of N - 1 inner points, N intervals a side, is sin(k pi j / N), in each direction.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float
from numpy import ndarray
from scipy.fft import dstn
from torch import Tensor

from chymist.errors import CannotMeasure
from chymist.instruments.snapshot import Instrument, Snapshot


def dst_modes(values: Float[ndarray, "*lane *point"], dims: int = 1) -> Float[ndarray, "*lane *k"]:
    """Return the coefficients c(k) of sum_k c(k) sin(k pi j / N) over the last `dims` axes.

    The discrete sine transform of type I divided by N a direction; k = 1, ..., N - 1. Shape: that
    of the values. Unit: that of the values. Cost: n log n. Memory: one copy. Error: rounding.
    Source: none; the definition.

    >>> dst_modes(3 * np.sin(2 * np.pi * np.arange(1, 8) / 8))[:3].round(12) + 0.0
    array([0., 3., 0.])
    """
    axes = tuple(range(values.ndim - dims, values.ndim))
    scale = float(np.prod([values.shape[axis] + 1 for axis in axes]))
    coefficients: ndarray = dstn(values, type=1, axes=axes) / scale
    return coefficients


def sine_error(target: xr.DataArray, modes: Sequence[int], name: str = "error") -> Instrument:
    """Relative error |hat(f - u)(k)| / |hat u(k)| of the outputs at sine modes k of a line.

    `target`, dims (*lanes, sample), holds u on the inner points in order, on which the
    networks are trained, whatever their targets are. 1 where nothing of the mode has been learnt.
    Shape: (lane, mode). Unit: 1. Cost: a product with len(modes) sines a lane and recording.
    Memory: those sines. Error: rounding. Source: as for `spectral_error`.

    Raises:
        CannotMeasure: the target has nothing at one of the modes.

    >>> line = xr.DataArray(np.sin(np.pi * np.arange(1, 8) / 8), dims="sample")
    >>> sine_error(line, [1]).dims
    ('mode',)
    """
    n = target.shape[-1] + 1
    content = abs(dst_modes(np.asarray(target, dtype=float)))[..., [k - 1 for k in modes]]
    if (content < 1e-9 * abs(np.asarray(target)).max()).any():
        raise CannotMeasure(
            f"the target has no content at one of the modes {list(modes)}", "name modes that it has"
        )
    sines = np.sin(np.pi * np.outer(np.arange(1, n), list(modes)) / n)

    def measure(snapshot: Snapshot) -> Tensor:
        out = snapshot.prediction[..., 0]
        wave = torch.as_tensor(sines, dtype=out.dtype, device=out.device)
        goal = snapshot.place(target)
        return ((out - goal) @ wave).abs() / (goal @ wave).abs()

    return Instrument(
        name, measure, ("mode",), {"mode": list(modes)}, long_name="relative error of the sine mode"
    )

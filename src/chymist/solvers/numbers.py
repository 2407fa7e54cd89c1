"""Numbers of an update rule: one for all lanes, or one a lane."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import xarray as xr
from torch import Tensor

Number = float | xr.DataArray
"""As it is given: a float, or an array whose dimensions are lanes'."""
Numbers = Mapping[str, Any]
"""As `Solver.update` has them, by name: floats, or double-precision tensors of one value a lane."""


def wide(number: Any, like: Tensor) -> Any:
    """Let a number a lane meet stacked parameters: (lane,) to (lane, 1, ..., 1), in their dtype."""
    if isinstance(number, Tensor):
        return number.to(like.dtype).reshape(-1, *(1,) * (like.ndim - 1))
    return number

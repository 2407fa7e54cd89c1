"""Where norms stand in the transformers of `transformer-initialisation`, and names of its data."""

from __future__ import annotations

from typing import Any

import xarray as xr

from chymist.theory import residual_streams

ARRANGEMENTS = ("pre", "post", "deep")
"""Pre-Norm, Post-Norm, and DeepNorm, which is Post-Norm with constants."""


def constants(p: Any, name: str, blocks: int) -> tuple[float, float]:
    """Return alpha and beta: what the stream and the weights of branches are multiplied by."""
    if name == "deep" and p.constants == "deep-norm":
        return residual_streams.deep_norm_constants(blocks)
    return 1.0, 1.0


def apart(p: Any) -> tuple[str, ...]:
    """Return the arrangements to measure: without its constants DeepNorm is Post-Norm, all bits."""
    return ARRANGEMENTS if p.constants == "deep-norm" else ARRANGEMENTS[:2]


def all_three(found: xr.DataArray) -> xr.DataArray:
    """Give DeepNorm the values of Post-Norm where it was not measured."""
    return found.isel(norm=[0, 1, found.sizes["norm"] - 1]).assign_coords(norm=list(ARRANGEMENTS))


def named(variables: dict[str, xr.DataArray], names: dict[str, str]) -> xr.Dataset:
    """Say of each variable what it is; all are pure numbers."""
    for name, variable in variables.items():
        variable.attrs = {"long_name": names[name], "units": "1"}
    return xr.Dataset(variables)

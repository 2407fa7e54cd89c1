"""Values at points of a line or a plane, from a user's table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr
from jaxtyping import Float
from numpy import ndarray

from chymist.data.tables import table
from chymist.errors import BadInput

FEWEST, MOST = 16, 4096
"""Points of a field."""


def field(path: Path | str) -> xr.Dataset:
    """Read values at points of a line or plane: `point` (sample, axis) and `value` (sample).

    From a table as `table` reads it, of one or two features and one target. Each coordinate is
    mapped onto [-1, 1]; values have their mean removed and root mean square 1. `spacing` (a number)
    is the finest regular distance between points there: the median one on a line, on a plane the
    root of area over points.

    Raises:
        BadInput: as `table`; more than two features or one target, fewer than 16 points or more
            than 4096, a coordinate that never changes, or a point that stands twice.
    """
    path = Path(path)
    given = table(path)
    x, y = given.x.values, given.y.values
    axes, outputs = x.shape[1], y.shape[1]
    if axes > 2 or outputs != 1:
        raise BadInput(f"{path.name} has {axes} coordinates and {outputs} values a point",
                       "needed: one or two coordinates, then one value")  # fmt: skip
    if not FEWEST <= len(x) <= MOST:
        raise BadInput(f"{path.name} has {len(x)} points", f"allowed: {FEWEST} to {MOST}")
    low, high = x.min(axis=0), x.max(axis=0)
    if (low == high).any():
        raise BadInput(f"{path.name}: coordinate {int(np.argmin(high - low)) + 1} never changes",
                       "leave it out")  # fmt: skip
    if len(np.unique(x, axis=0)) < len(x):
        raise BadInput(f"{path.name} has a point twice", "give each point once")
    points = 2 * (x - low) / (high - low) - 1
    values = y[:, 0] - y.mean()
    values = values / np.sqrt((values**2).mean())
    made = xr.Dataset(
        {"point": (("sample", "axis"), points), "value": ("sample", values)},
        attrs={"name": path.stem, "spacing": spacing(points)},
    )
    made["point"].attrs = {"long_name": f"places in {path.name}", "units": "1"}
    made["value"].attrs = {"long_name": f"values of {path.name}, standardised", "units": "1"}
    return made


def spacing(points: Float[ndarray, "sample axis"]) -> float:
    """Return the distance between neighbours: pi over it is the highest frequency to be seen.

    On a line the median, on a plane the root of the area of the box [-1, 1]^2 over the points.

    >>> spacing(np.linspace(-1, 1, 5)[:, None])
    0.5
    """
    if points.shape[1] == 1:
        return float(np.median(np.diff(np.sort(points[:, 0]))))
    return float(2.0 / np.sqrt(len(points)))

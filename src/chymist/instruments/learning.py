"""When something was learnt: first crossings, areas and plateaus of recorded curves."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from chymist.errors import CannotMeasure


def time_to(error: xr.DataArray, threshold: float) -> xr.DataArray:
    """First recorded step at which the error is below the threshold; NaN if never. Unit: step.

    First crossing rather than last: adaptive optimizers spike late in training. Where what was not
    seen should count, as in a rate over frequencies: `first_crossing`.

    >>> e = xr.DataArray([1.0, 0.5, 0.05, 0.2], coords={"step": [0, 10, 20, 30]})
    >>> float(time_to(e, 0.1))
    20.0
    """
    below = error < threshold
    first = below.argmax("step")
    steps = error["step"].astype(float)[first].drop_vars("step")
    time: xr.DataArray = steps.where(below.any("step"))
    time.attrs = {"long_name": f"first step with error below {threshold}", "units": "step"}
    return time


def area_under(error: xr.DataArray, ceiling: float = 2.0) -> xr.DataArray:
    """Mean over training of min(error, ceiling): small if learnt early. Unit of the error.

    The trapezoidal rule over the recorded steps, divided by their span; NaN if any value is.

    Raises:
        CannotMeasure: fewer than two steps were recorded.

    >>> e = xr.DataArray([1.0, 0.0, 0.0], coords={"step": [0, 10, 20]})
    >>> float(area_under(e))
    0.25
    """
    if error.sizes["step"] < 2:
        raise CannotMeasure("an area under a curve needs two recorded steps", "record more often")
    span = float(error["step"][-1] - error["step"][0])
    capped = error.clip(max=ceiling)
    area: xr.DataArray = capped.integrate("step") / span
    area.attrs = {"long_name": "mean error over training", "units": error.attrs.get("units", "1")}
    return area


def plateaus(curve: xr.DataArray, flatness: float = 0.1, decades: float = 0.5) -> xr.DataArray:
    """Number, from 1, of the plateau of a positive curve that each recorded step lies on; else 0.

    A plateau is a run of recorded steps, from step 1 on, between which |d log curve / d log step|
    is below `flatness`, and which spans more than `decades` powers of ten. A value that is not
    finite or not positive ends one. Record at steps evenly spaced on a logarithmic scale, so that
    slopes are taken over like spans. Unit: 1.

    >>> steps = [0, 1, 3, 10, 20, 30, 100, 300]
    >>> loss = xr.DataArray([1.0, 1.0, 1.0, 1.0, 0.5, 0.1, 0.1, 0.1], coords={"step": steps})
    >>> plateaus(loss).values.tolist()
    [0, 1, 1, 1, 0, 2, 2, 2]
    """
    steps = curve["step"].values.astype(float)

    def numbered(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        found = np.zeros(len(values), dtype=np.int64)
        good = (steps >= 1) & np.isfinite(values) & (values > 0)
        at, height = np.log(np.where(good, steps, 1.0)), np.log(np.where(good, values, 1.0))
        flat = good[1:] & good[:-1] & (abs(np.diff(height)) < flatness * abs(np.diff(at)))
        edges = np.flatnonzero(np.diff(np.concatenate([[False], flat, [False]])))
        number = 0
        for first, last in edges.reshape(-1, 2):
            if at[last] - at[first] > decades * np.log(10):
                number += 1
                found[first : last + 1] = number
        return found

    found: xr.DataArray = xr.apply_ufunc(
        numbered, curve, input_core_dims=[["step"]], output_core_dims=[["step"]], vectorize=True
    )
    found.attrs = {"long_name": "number of the plateau", "units": "1"}
    return found

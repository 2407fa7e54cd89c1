"""When something was learnt: first crossings and areas of recorded curves."""

from __future__ import annotations

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

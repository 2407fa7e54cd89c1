"""How far networks' outputs are from a known function, on points of one's own choosing."""

from __future__ import annotations

import torch
import xarray as xr
from torch import Tensor

from chymist.instruments.snapshot import Instrument, Snapshot


def relative_distance(
    points: xr.DataArray, truth: xr.DataArray, name: str = "error", *, total: bool = False
) -> Instrument:
    """Relative L2 distance |f - u| / |u| of the first output from u on the given points.

    `points`, dims (sample, feature), are no training samples, or need not be; `truth`, dims
    (*lanes, sample), holds u on them. Further outputs, such as derivatives, do not count; with
    `total` f is the sum of all outputs. 1 for the network that is zero. Shape: (lane). Unit: 1.
    Cost: a forward pass on the points. Memory: their outputs. Error: rounding. Source: none; the
    definition.

    >>> from chymist.bench import samples
    >>> line = samples([[0.0], [0.5]])
    >>> relative_distance(line, xr.DataArray([1.0, 2.0], dims="sample")).dims
    ()
    """

    def measure(snapshot: Snapshot) -> Tensor:
        place = torch.as_tensor(points.values, dtype=snapshot.x.dtype, device=snapshot.x.device)
        goal = snapshot.place(truth)
        out = snapshot.predict(place)
        out = out.sum(-1) if total else out[..., 0]
        apart: Tensor = (out - goal).norm(dim=-1) / goal.norm(dim=-1)
        return apart

    return Instrument(name, measure, long_name="relative L2 error")

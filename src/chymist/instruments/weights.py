"""All weights of each lane as one row: for distances between trainings, and paths."""

from __future__ import annotations

import torch
from torch import Tensor

from chymist.instruments.snapshot import Instrument, Snapshot


def training_weights(parameters: int, name: str = "weights") -> Instrument:
    """Return an instrument that records every parameter, in the order of the module.

    `parameters` is how many the network has. Shape: (lane, parameter). Unit: 1. Cost: a copy.
    Memory: all of them at every recording: for small networks, or few recordings. Error: none.
    Source: none; what is trained.

    >>> training_weights(7).dims
    ('parameter',)
    """

    def measure(snapshot: Snapshot) -> Tensor:
        return torch.cat([p.flatten(1) for p in snapshot.parameters.values()], dim=1)

    return Instrument(
        name, measure, dims=("parameter",), coords={"parameter": list(range(parameters))},
        long_name="parameters",
    )  # fmt: skip

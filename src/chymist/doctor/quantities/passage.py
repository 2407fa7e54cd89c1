"""How the passage of the first batch through the layers changes along a training."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from chymist.doctor.patient import Patient
from chymist.doctor.quantity import Quantity, Values
from chymist.instruments import effective_rank
from chymist.instruments.moments import forward_moments
from chymist.instruments.passing import one_network

ROWS = 64
"""Samples whose features' rank is taken."""


def measure(patient: Patient) -> Values:
    """Enter by module `signal`, `signal_spread` and `feature_rank`, as `signals` does at the start.

    `feature_rank` is the participation ratio of a layer's centred features over at most 64 samples:
    one where samples differ along a line. All of the batch of the step.
    """
    if patient.samples < 3:
        return {}
    made = one_network(patient.model, patient.x, y=patient.y)
    forward = forward_moments(made)
    found = made.statistics(_spread(made.samples))
    spread = {n: float(v[0, 0]) for n, v in found.items()}
    rank = {n: float(v[0, 1]) for n, v in found.items()}
    return {
        "signal": dict(zip(forward.layers, forward.leaving[0].tolist(), strict=True)),
        "signal_spread": {n: v for n, v in spread.items() if v == v},
        "feature_rank": {n: v for n, v in rank.items() if v == v},
    }


def _spread(samples: int) -> Any:
    def two(tensor: Tensor) -> Tensor | None:
        if tensor.ndim < 2 or len(tensor) != samples or not tensor.is_floating_point():
            return None
        rows = tensor.detach().double().flatten(1)
        apart = rows - rows.mean(0)
        share = apart.square().mean() / rows.square().mean()
        few = apart[:ROWS]
        return torch.stack([share, effective_rank(few @ few.T, "entropy")])

    return two


PASSAGE = Quantity("passage", measure, price=2, moments=("during",), needs="inputs")

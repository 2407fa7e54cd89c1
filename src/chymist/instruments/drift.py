"""How far training takes the weights: lazy or rich."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor


def relative_drift(
    start: Mapping[str, Tensor], end: Mapping[str, Tensor]
) -> Float[Tensor, " lane"]:
    """Distance of the weights from their start, relative to their size there: ||w - w0|| / ||w0||.

    Euclidean norm over all stacked parameters (lane, ...). Unit 1; small in the lazy regime. Cost:
    one pass over the parameters.

    >>> relative_drift({"w": torch.tensor([[3.0, 4.0]])}, {"w": torch.tensor([[3.0, 3.0]])})
    tensor([0.2000])
    """
    far = sum((end[n] - w).reshape(len(w), -1).square().sum(1) for n, w in start.items())
    size = sum(w.reshape(len(w), -1).square().sum(1) for w in start.values())
    return torch.as_tensor(far / size).sqrt()

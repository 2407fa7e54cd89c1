"""Networks that vanish on the border of a box, as solutions of boundary-value problems must."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn


class BoxAnsatz(nn.Module):
    """A network times prod_i (1 - x_i^2): zero on the border of the box from -1 to 1.

    >>> import torch
    >>> BoxAnsatz(nn.Linear(2, 1))(torch.tensor([[1.0, 0.3], [-0.5, -1.0]])).abs().max().item()
    0.0
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Float[Tensor, "sample feature"]) -> Float[Tensor, "sample output"]:
        """Map points of the box to values that vanish on its border."""
        out: Tensor = self.network(x)
        for i in range(x.shape[-1]):
            out = out * (1.0 - x[:, i : i + 1] * x[:, i : i + 1])
        return out

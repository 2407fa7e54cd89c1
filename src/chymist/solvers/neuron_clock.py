"""A flow in which every neuron of a two-layer network moves by its own clock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from chymist.solvers.first_order import Solver, State, Tensors
from chymist.solvers.numbers import Number, Numbers


@dataclass(frozen=True, eq=False)
class NeuronClock(Solver):
    """theta_j <- theta_j - step |(w_j, b_j)| g_j / |g_j|, then back to the norm it started with.

    theta_j = (a_j, w_j, b_j) is a neuron, g_j its gradient. Where a loss is a sum over neurons of
    functions homogeneous in theta_j, the orbit of theta_j / |theta_j| is that of gradient flow; a
    neuron ten times smaller than another, which under gradient flow would wait for it, turns as
    fast. The step is measured by the input weights, so that a neuron whose input weights fade keeps
    their direction and does not jump across 0. A neuron without gradient rests. Layers are found by
    their names, those of a `models.TwoLayer`. `step` is in radians, about.
    """

    elementwise: ClassVar[bool] = False
    step: Number = 0.05
    inner: str = "inner"
    outer: str = "outer"

    def start(self, parameters: Tensors) -> dict[str, Any]:
        """Keep the neurons' norms."""
        return {"norms": self._rows(parameters).norm(dim=2, keepdim=True)}

    def update(
        self, parameters: Tensors, gradients: Tensors, state: State, step: int, numbers: Numbers
    ) -> None:
        """Take one step."""
        rows, slopes = self._rows(parameters), self._rows(gradients)
        rate = torch.as_tensor(numbers["step"], dtype=rows.dtype, device=rows.device)
        sizes = slopes.norm(dim=2, keepdim=True)
        reach = rate.reshape(-1, 1, 1) * rows[..., 1:].norm(dim=2, keepdim=True)
        along = torch.where(sizes > 0, slopes / sizes, 0.0)
        moved = rows - reach * along
        # A neuron of zero has no direction to keep.
        length = moved.norm(dim=2, keepdim=True)
        moved = torch.where(length > 0, moved * (state["norms"] / length), moved)
        parameters[f"{self.outer}.weight"].copy_(moved[..., 0][:, None, :])
        weight = parameters[f"{self.inner}.weight"]
        weight.copy_(moved[..., 1 : 1 + weight.shape[2]])
        if f"{self.inner}.bias" in parameters:
            parameters[f"{self.inner}.bias"].copy_(moved[..., -1])

    def _rows(self, tensors: Tensors) -> Tensor:
        """Return every neuron as a row (lane, neuron, number): output, inputs, bias."""
        parts = [tensors[f"{self.outer}.weight"].movedim(1, 2), tensors[f"{self.inner}.weight"]]
        if f"{self.inner}.bias" in tensors:
            parts.append(tensors[f"{self.inner}.bias"][..., None])
        return torch.cat(parts, dim=2)

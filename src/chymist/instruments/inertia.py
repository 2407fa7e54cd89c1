"""Exact inertia: how many eigenvalues of the Hessian are positive, zero and negative."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from chymist.errors import CannotMeasure
from chymist.instruments.matrices import curvature
from chymist.instruments.objective import Data, Loss
from chymist.instruments.one_network import objective
from chymist.instruments.operators import dense

LIMIT = 4000
"""Parameters up to which the whole Hessian is made: 128 MB in float64."""


@dataclass(frozen=True, eq=False)
class Inertia:
    """Counts of eigenvalues, those within `threshold` of zero counting as zero.

    `gap` is the decades between the smallest that counts as non-zero and the largest that counts
    as zero: infinite if there is none of one kind. Below 3 the counts are not `decided`: zero and
    non-zero are not apart.
    """

    positive: int
    zero: int
    negative: int
    threshold: float
    gap: float
    gradients: int
    eigenvalues: Float[Tensor, " parameter"] = field(repr=False)

    @property
    def decided(self) -> bool:
        """Whether zero and non-zero eigenvalues are three decades apart."""
        return self.gap >= 3


def inertia(
    model: nn.Module,
    loss: Loss,
    data: Data,
    *,
    tolerance: float = 1e-9,
    matrix: str = "hessian",
    **options: Any,
) -> Inertia:
    """Count the positive, zero and negative eigenvalues of a small network's whole Hessian.

    An eigenvalue counts as zero if its magnitude is at most `tolerance` times the largest. Computed
    in float64 whatever the model's dtype. Shapes: three integers. Unit: 1. `options` go to
    `objective`. Cost: two gradient evaluations a parameter, and one. Memory: parameters squared
    (8 bytes each), up to 4,000. Error: eigenvalues are exact to about 1e-15 of the largest; the
    gap says how safe the counts are. Source: Sylvester's law of inertia; Zhang, Zhang, Luo, Xu
    (2021), arXiv:2105.14573, for its use.

    Raises:
        CannotMeasure: there are more than 4,000 parameters; see `objective`.

    Inputs that are all equal leave one direction of (w, b) flat:

    >>> x = torch.tensor([[2.0], [2.0]])
    >>> half = lambda out, y: 0.5 * (out - y).square().mean()
    >>> found = inertia(nn.Linear(1, 1), half, (x, x))
    >>> found.positive, found.zero, found.negative
    (1, 1, 0)
    """
    made = objective(model, loss, data, **{**options, "dtype": torch.float64})
    if made.size > LIMIT:
        raise CannotMeasure(
            f"{made.size} parameters are too many for the whole Hessian",
            f"at most {LIMIT}; spectral_density or only=[...] take more",
        )
    operator = curvature(made, matrix)
    values = torch.linalg.eigvalsh(dense(operator)[0]).cpu()
    magnitude = values.abs()
    threshold = tolerance * float(magnitude.max())
    zeros = magnitude <= threshold
    gap = math.inf
    if bool(zeros.any()) and not bool(zeros.all()):
        floor = max(float(magnitude[zeros].max()), 1e-300)
        gap = math.log10(float(magnitude[~zeros].min()) / floor)
    return Inertia(
        int(((values > 0) & ~zeros).sum()), int(zeros.sum()), int(((values < 0) & ~zeros).sum()),
        threshold, gap, operator.gradients, values,
    )  # fmt: skip

"""Preconditioned sharpness along a training: what the stability of adaptive methods depends on."""

from __future__ import annotations

import torch
from torch import Tensor

from chymist.errors import BadParameter, CannotMeasure
from chymist.instruments.eigenpairs import End, eigenpairs
from chymist.instruments.matrices import curvature
from chymist.instruments.objective import Objective, snapshot_objective
from chymist.instruments.operators import preconditioned
from chymist.instruments.snapshot import Instrument, Snapshot


def training_preconditioned_sharpness(
    k: int = 1,
    *,
    end: End = "top",
    matrix: str = "hessian",
    tolerance: float = 0.01,
    guard: int = 1,
    name: str = "preconditioned_sharpness",
) -> Instrument:
    """Return an instrument that records the k largest eigenvalues of P^-1 H along a training.

    H is the Hessian of the training loss over all samples (or another `matrix`), P the positive
    diagonal by which the update rule's last update, w <- w - lr P^-1 m, was divided: for Adam
    P = (1 - beta1^t) (sqrt(v / (1 - beta2^t)) + eps), for RMSProp P = sqrt(v) + eps, v the average
    of squared gradients after t updates. m is an average of gradients whose weights (1 - beta1)
    beta1^j are not corrected for the start: the correction is in P. On a quadratic and with P held
    fixed the method is stable while the largest eigenvalue is below (2 + 2 beta1)/((1 - beta1) lr):
    38/lr for Adam at beta1 = 0.9, 2/lr at beta1 = 0 and for RMSProp. Before the first update there
    is no P, and step 0 is NaN. `guard` and the start from the last eigenvectors are as in
    `training_sharpness`.

    Shapes: (lane,) for k = 1, else (lane, eigen), dimension `eigen` 0..k-1 from the end inwards.
    Unit: of 1/lr. Cost: two gradient evaluations a product, and one a measurement. Memory: that of
    `training_sharpness`, and P. Error: `tolerance` of the value is the goal of an estimate. A lane
    whose matrix is not finite, or whose P is not finite and positive, is NaN. Source: Cohen et al.
    (2022), arXiv:2207.14484.

    Raises:
        BadParameter: k or the tolerance is not positive, or the guard negative.
        CannotMeasure: at the recording, if the update rule has no P; see `training_sharpness`.

    >>> training_preconditioned_sharpness(3).dims
    ('eigen',)
    """
    if k < 1 or guard < 0 or not tolerance > 0:
        raise BadParameter(
            f"k is {k}, guard {guard} and tolerance {tolerance}", "at least 1, 0, and positive"
        )

    def measure(snapshot: Snapshot) -> Tensor:
        made = snapshot_objective(snapshot)
        diagonal, known = _diagonal(snapshot, made)
        if not bool(known.any()):
            return torch.full((made.lanes, k)[: 1 + many], torch.nan, dtype=torch.float64)
        found = eigenpairs(
            preconditioned(curvature(made, matrix), diagonal), k, end=end, tolerance=tolerance,
            block=min(k + guard, made.size), start=snapshot.memory.get(name),
        )  # fmt: skip
        snapshot.memory[name] = found.next_start
        values = found.values.masked_fill(~known[:, None].to(found.values.device), torch.nan)
        return values if many else values[:, 0]

    many = k > 1
    which = {"top": "largest", "bottom": "smallest", "magnitude": "largest in magnitude"}[end]
    return Instrument(
        name,
        measure,
        dims=("eigen",) if many else (),
        coords={"eigen": list(range(k))} if many else {},
        long_name=f"{which} eigenvalue{'s' if many else ''} of the preconditioned {matrix}",
    )


def _diagonal(snapshot: Snapshot, made: Objective) -> tuple[Tensor, Tensor]:
    """Return P in rows, with ones in the lanes that have none, and which have."""
    solver = snapshot.solver
    if solver.preconditioner is None:
        raise CannotMeasure(
            f"the update rule {solver.rule} divides by no preconditioner",
            "record training_sharpness, or train by Adam or RMSProp",
        )
    diagonal = made.rows(solver.preconditioner)
    known = ((diagonal > 0) & diagonal.isfinite()).all(1)
    return torch.where(known[:, None], diagonal, 1.0), known

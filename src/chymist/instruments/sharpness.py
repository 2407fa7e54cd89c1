"""Sharpness: the largest eigenvalues of the curvature, of one network or along a training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from chymist.errors import BadParameter
from chymist.instruments.eigenpairs import Eigenpairs, End, eigenpairs
from chymist.instruments.matrices import curvature
from chymist.instruments.objective import Data, Loss, snapshot_objective
from chymist.instruments.one_network import objective
from chymist.instruments.operators import preconditioned
from chymist.instruments.snapshot import Instrument, Snapshot


def sharpness(
    model: nn.Module,
    loss: Loss,
    data: Data,
    k: int = 1,
    *,
    end: End = "top",
    matrix: str = "hessian",
    preconditioner: Mapping[str, Tensor] | None = None,
    tolerance: float = 1e-5,
    block: int | None = None,
    products: int = 1000,
    **options: Any,
) -> Eigenpairs:
    """Return the k largest eigenvalues of the Hessian of `loss(model(x), y)`, data (x, y).

    Normalised as the loss is: of half the mean squared error, 1 is the threshold 2/lr of gradient
    descent at lr = 2. `end` gives the smallest ("bottom") or those of largest magnitude instead,
    `matrix` another curvature ("gauss-newton", "empirical-fisher"). With `preconditioner`, a
    positive diagonal P by parameter name, the eigenvalues are those of P^-1 H, on which the
    stability of adaptive methods depends (see `operators.preconditioned`). `options` go to
    `objective`: `only` (some parameters), `samples_at_once` (bounded memory), `dtype`.

    Shapes: values (k,), float64; vectors (k, parameter). Unit: of the loss over the parameters'
    squared (with P, over P's). Cost: two gradient evaluations for each product with a vector (some
    7 for k = 1, 13 to 18 for k = 5) and one; a forward pass of checks. For k > 1 two to four of the
    products look whether an eigenvalue occurs again: `block=1` leaves that out, `block=k` finds an
    eigenvalue up to k times in any case (see `eigenpairs`). Memory: 2 k + 4 block or 20 + k + block
    vectors, three times what a gradient holds. Error: estimated, with the residuals, in the result.
    Source: Cohen et al. (2021), arXiv:2103.00065; the method: see `eigenpairs`.

    Raises:
        BadParameter: k is larger than the number of parameters; see `eigenpairs`, `objective`.
        CannotMeasure: the model, the loss or the data cannot be measured: see `objective`.
        MovingTarget: dropout or batch normalisation in training mode; call `model.eval()`.

    Half the squared error of w x + b has the Hessian [[mean x^2, mean x], [mean x, 1]]:

    >>> import torch
    >>> x = torch.tensor([[2.0], [-2.0]])
    >>> half = lambda out, y: 0.5 * (out - y).square().mean()
    >>> sharpness(nn.Linear(1, 1), half, (x, x), k=2).values.round(decimals=4)
    tensor([4., 1.], dtype=torch.float64)
    """
    made = objective(model, loss, data, **options)
    operator = curvature(made, matrix)
    if preconditioner is not None:
        operator = preconditioned(operator, made.rows(preconditioner))
    found = eigenpairs(
        operator, k, end=end, tolerance=tolerance, block=block, products=products
    )  # fmt: skip
    return found.lane(0)


def training_sharpness(
    k: int = 1,
    *,
    end: End = "top",
    matrix: str = "hessian",
    tolerance: float = 0.01,
    guard: int = 1,
    guard_every: int = 1,
    name: str = "sharpness",
) -> Instrument:
    """Return an instrument that records the k largest eigenvalues of the training loss's Hessian.

    The loss is that of the training, over all its samples. All lanes are measured at once, each to
    its own tolerance and until the last has reached it; a convolutional network's lanes are
    differentiated one after another. Every measurement starts from the eigenvectors of the last,
    and from `guard` more, so that an eigenvalue that overtakes is seen: without a guard it can be
    missed for long. With `guard_every` > 1 only every so many measurements take the guard along:
    what overtakes is seen that much later. The first starts from the same random vectors in every
    lane.

    Shapes: (lane,) for k = 1, else (lane, eigen), dimension `eigen` 0..k-1 from the end inwards.
    Unit: of the loss over the parameters' squared. Cost, measured every 20 steps of full-batch
    training on digits with k = 1: 3 products a lane on average, 8 far beyond the edge of stability,
    about 12 at the first measurement. Three products are 7 gradient evaluations by arithmetic and
    took the time of 6 at width 256, of 10 at width 32. With `guard_every=4` 2 products do, 4.7 to
    5.4 gradient evaluations, at errors (95 of 100 measurements) of 0.3 % before the edge of
    stability and of 3 % beyond it, where several eigenvalues are about as large. Memory: 22 + k +
    guard vectors a lane, three times what a gradient holds. Error: `tolerance` of the value is the
    goal of an estimate; measured there, at 0.01: median 0.1 to 0.3 %, at most 1.2 %. A lane whose
    matrix is not finite is NaN. Source: Cohen et al. (2021), arXiv:2103.00065.

    Raises:
        BadParameter: k, guard_every or the tolerance is not positive, or the guard negative.
        CannotMeasure: at the recording, if the loss has no second derivative or k is too large.

    >>> training_sharpness(3).dims
    ('eigen',)
    """
    if k < 1 or guard < 0 or guard_every < 1 or not tolerance > 0:
        raise BadParameter(
            f"k is {k}, guard {guard}, guard_every {guard_every} and tolerance {tolerance}",
            "at least 1, 0, 1, and positive",
        )

    def measure(snapshot: Snapshot) -> Tensor:
        made = snapshot_objective(snapshot)
        start, taken = snapshot.memory.get(name, (None, 0))
        known = start
        if start is not None and taken % guard_every:
            start = start[:, :k]
        found = eigenpairs(
            curvature(made, matrix), k, end=end, tolerance=tolerance,
            block=min(k + guard, made.size), start=start,
        )  # fmt: skip
        kept = found.next_start
        if known is not None:
            # A guard that stayed behind waits for its turn.
            kept = torch.cat([kept, known[:, kept.shape[1] :]], dim=1)
        snapshot.memory[name] = (kept, taken + 1)
        return found.values[:, 0] if k == 1 else found.values

    many = k > 1
    which = {"top": "largest", "bottom": "smallest", "magnitude": "largest in magnitude"}[end]
    return Instrument(
        name,
        measure,
        dims=("eigen",) if many else (),
        coords={"eigen": list(range(k))} if many else {},
        long_name=f"{which} eigenvalue{'s' if many else ''} of the {matrix}",
    )

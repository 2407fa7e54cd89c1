"""Singular values of Jacobians: of the output by the input, and from layer to layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from chymist.errors import BadParameter, CannotMeasure
from chymist.instruments.eigenpairs import eigenpairs
from chymist.instruments.jacobian import Jacobian, between
from chymist.instruments.operators import Operator
from chymist.instruments.passing import one_network
from chymist.instruments.snapshot import Instrument, Snapshot

EXACT = 256
"""Size of the smaller side up to which the whole Jacobian is computed."""
ENTRIES = 10**8
"""Entries of all samples' Jacobians beyond which they are not computed whole."""


@dataclass(frozen=True, eq=False)
class Singular:
    """Singular values of every sample's Jacobian, the largest first, with how far to trust them.

    `residuals` are ||J^T u - s v|| for v and u = J v / s: a singular value lies within that
    distance of each s. `errors` are estimates of |s - singular value|. Both are zero where the
    whole Jacobian was computed (`exact`): to rounding. `gradients` is the cost in gradient
    evaluations of the batch.
    """

    values: Float[Tensor, "sample singular"]
    residuals: Float[Tensor, "sample singular"]
    errors: Float[Tensor, "sample singular"]
    converged: Tensor
    exact: bool
    gradients: int


def jacobian_singular_values(
    model: nn.Module,
    x: Any,
    k: int | None = None,
    *,
    start: str | None = None,
    end: str | None = None,
    tolerance: float = 1e-6,
    exact: bool | None = None,
    products: int = 1000,
) -> Singular:
    """Singular values of d out / d in at every sample, all of them or the k largest.

    From what layer `start` hands on (None: the input x) to what layer `end` does (None: the
    output), each flattened; along all ways between them. Layers are named as in `second_moments`.
    The whole Jacobian is computed where its smaller side is at most `EXACT` or k is None (`exact`
    decides otherwise), else the k largest values by block Lanczos on J^T J or J J^T, whichever is
    smaller, of all samples at once. Samples must not touch each other, which is checked.

    Shapes: (sample, k), float64; k None: the smaller side. Unit: of `end`'s activations over
    `start`'s. Cost: two forward passes of checks and one; whole: a gradient evaluation a row, or
    two a column, whichever side is smaller; Lanczos: three a product, of which random dense
    networks with sides of 150 to 1000 took 19 to 31 for k = 1, and 52 to 104 for k = 4. Memory: the
    graph of one forward pass twice, and the Jacobians, or (20 + 6 k) vectors a sample. Error:
    whole: rounding; Lanczos: estimated in the result, goal `tolerance` of the value. Source:
    Pennington, Schoenholz, Ganguli (2017), arXiv:1711.04735; the method: see `eigenpairs`.

    Raises:
        BadParameter: k is larger than the Jacobian's smaller side; there is no such layer.
        MovingTarget: dropout or batch normalisation in training mode; a model that draws.
        CannotMeasure: `end` does not depend on `start`; samples touch each other; the input is not
            of real numbers; a tensor is not finite; dtypes or devices are mixed; no samples.

    >>> line = nn.Linear(2, 2)
    >>> with torch.no_grad():
    ...     _ = line.weight.copy_(torch.tensor([[0.0, 3.0], [2.0, 0.0]]))
    >>> jacobian_singular_values(line, torch.ones(1, 2)).values.round(decimals=4)
    tensor([[3., 2.]], dtype=torch.float64)
    """
    made = one_network(model, x)
    jacobian = between(made, start, end)
    small = min(jacobian.inputs, jacobian.outputs)
    if k is not None and not 1 <= k <= small:
        raise BadParameter(f"k is {k}", f"the Jacobian has {small} singular values: 1 to {small}")
    if exact is False and k is None:
        raise BadParameter("k is None where the Jacobian is not to be computed", "give k")
    whole = (k is None or small <= EXACT) if exact is None else exact
    jacobian.check_apart()
    if not whole:
        assert k is not None  # noqa: S101
        return _iterated(jacobian, k, tolerance, products)
    if made.samples * jacobian.inputs * jacobian.outputs > ENTRIES:
        raise CannotMeasure(
            f"{made.samples} Jacobians of {jacobian.outputs} x {jacobian.inputs} are too large",
            "give k, the number of largest singular values, or fewer samples",
        )
    values = torch.linalg.svdvals(jacobian.whole().double())[:, :k]
    zero = torch.zeros_like(values)
    done = torch.ones_like(values, dtype=torch.bool)
    return Singular(values, zero, zero, done, True, jacobian.gradients)


def training_jacobian(
    k: int = 1, *, samples: int | None = None, name: str = "jacobian"
) -> Instrument:
    """Return an instrument that records the k largest singular values of d output / d input.

    Of the first `samples` training samples (None: all), of all lanes at once, whole Jacobians: the
    numbers are those of `jacobian_singular_values`. Shape: (lane, sample, singular). Unit: of the
    output over the input. Cost: one forward pass, a gradient evaluation an output, or two an input
    where these are fewer. Memory: a graph of the forward pass, and the Jacobians. Error: rounding.
    Source: Pennington, Schoenholz, Ganguli (2017), arXiv:1711.04735.

    Raises:
        BadParameter: k or samples is not positive; at the recording, k is too large.

    >>> training_jacobian(2, samples=4).dims
    ('sample', 'singular')
    """
    if k < 1 or (samples is not None and samples < 1):
        raise BadParameter(f"k is {k} and samples {samples}", "both must be 1 or more")

    def measure(snapshot: Snapshot) -> Tensor:
        lanes = len(next(iter(snapshot.parameters.values())))
        x = snapshot.x[..., :samples, :] if samples else snapshot.x
        leaf = x.detach().expand(lanes, *x.shape[-2:]).clone().requires_grad_()
        parameters = {n: p.detach() for n, p in snapshot.parameters.items()}
        with torch.enable_grad():
            out = snapshot.forward(parameters, leaf)
        count = leaf.shape[1]
        made = Jacobian(leaf, out, lanes * count)
        small = min(made.inputs, made.outputs)
        if k > small:
            raise BadParameter(f"k is {k}", f"the Jacobian has {small} singular values")
        whole = made.whole(may_lose=True).double()
        finite = whole.isfinite().flatten(1).all(1)
        values: Tensor = torch.linalg.svdvals(whole.masked_fill(~finite[:, None, None], 0.0))[:, :k]
        return values.masked_fill(~finite[:, None], torch.nan).reshape(lanes, count, k)

    return Instrument(
        name, measure, dims=("sample", "singular"), coords={"singular": list(range(k))},
        long_name="largest singular values of the Jacobian of output by input",
    )  # fmt: skip


def _iterated(jacobian: Jacobian, k: int, tolerance: float, products: int) -> Singular:
    wide = jacobian.outputs <= jacobian.inputs
    size = min(jacobian.inputs, jacobian.outputs)

    def squared(vectors: Tensor) -> Tensor:
        def one(v: Tensor) -> Tensor:
            return jacobian.right(jacobian.left(v)) if wide else jacobian.left(jacobian.right(v))

        return torch.stack([one(v) for v in vectors.unbind(1)], dim=1)

    operator = Operator(squared, jacobian.rows, size, jacobian.out.detach())
    found = eigenpairs(operator, k, tolerance=2 * tolerance, products=products)
    values = found.values.clamp(min=0).sqrt()
    floor = values.clamp(min=torch.finfo(torch.float64).tiny)
    # s' - s = (s'^2 - s^2) / (s' + s); next to zero the root of the difference is the bound.
    error = torch.minimum(found.errors / (2 * floor), found.errors.sqrt())
    return Singular(
        values, found.residuals / floor, error, found.converged, False, jacobian.gradients
    )

"""How training would go if the kernel stayed what it is."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from chymist.errors import BadParameter, CannotMeasure
from chymist.instruments.kernel_spectrum import checked_kernel


def predicted_residuals(
    kernel: Tensor,
    residual: Float[Tensor, "*lane sample output"],
    times: Sequence[float],
    *,
    lr: float | None = None,
    curvature: float | None = None,
) -> Float[Tensor, "time *lane sample output"]:
    """Residuals f - y in training by the kernel K of its start, as if it did not change.

    Under gradient flow r(t) = exp(-c K t) r(0); with a learning rate `lr`, after t steps of
    gradient descent, r(t) = (1 - lr c K)^t r(0). c is the second derivative of the loss by one
    output of one sample, by default 1 / samples: that of half the squared error summed over
    outputs, mean over samples (`nn.MSELoss` has 2 / (samples x outputs)). Exact for a model linear
    in its parameters, and for wide networks as far as the kernel stays; other losses than squared
    error it does not describe. `kernel` is one of all outputs alike (*lane, sample, sample), the
    trace over the number of outputs, say; one for each, (*lane, output, sample, sample); or the
    full one (*lane, sample, output, sample, output). The loss's curve is c / 2 times the sum of
    squares.

    Shapes: a residual for each time, float64; `residual` (*lane, sample) has one output. Unit: the
    outputs'. Cost: an eigenvalue problem in samples (x outputs, if full), cubed. Memory: the
    kernel's eigenvectors in float64 and the result. Error: rounding. Source: Jacot, Gabriel,
    Hongler (2018), arXiv:1806.07572; Lee et al. (2019), arXiv:1902.06720.

    Raises:
        BadParameter: a time is negative, or is no whole number of steps under gradient descent;
            lr or curvature is not positive.
        CannotMeasure: kernel and residual do not fit, or are not finite.

    One parameter, one sample, f = w: every step with lr = 1/2 halves the residual:

    >>> one = torch.ones(1, 1)
    >>> predicted_residuals(one, one, [0, 1, 2], lr=0.5).flatten().tolist()
    [1.0, 0.5, 0.25]
    """
    if not bool(residual.isfinite().all()) or residual.numel() == 0 or residual.ndim < 1:
        raise CannotMeasure(
            f"the residual, of shape {tuple(residual.shape)}, is empty or not finite",
            "give outputs less targets, (sample, output)",
        )
    matrix, rows, shape = _as_matrices(kernel, residual.detach().double())
    samples = shape[-2] if len(shape) > 1 else shape[0]
    c = 1 / samples if curvature is None else curvature
    _check(times, lr, c)
    values, vectors = torch.linalg.eigh(0.5 * (matrix + matrix.mT))
    parts = vectors.mT @ rows
    made = []
    for time in times:
        left = torch.exp(-c * values * time) if lr is None else (1 - lr * c * values) ** int(time)
        made.append(vectors @ (left[..., None] * parts))
    return torch.stack([_as_residual(r, shape, kernel) for r in made])


def _check(times: Sequence[float], lr: float | None, c: float) -> None:
    for name, value in (("lr", lr), ("curvature", c)):
        if value is not None and not value > 0:
            raise BadParameter(f"{name} is {value}", "it must be positive")
    for time in times:
        if not time >= 0 or (lr is not None and time != int(time)):
            what = "a whole number of steps" if lr is not None else "a number"
            raise BadParameter(f"a time is {time}", f"it must be {what}, 0 or more")


def _form(kernel: Tensor, shape: torch.Size) -> str:
    """Return how a kernel treats outputs: "full", "each" or "alike"."""
    if len(shape) >= 2:
        n, o = shape[-2:]
        lanes = tuple(shape[:-2])
        forms = {"full": (n, o, n, o), "each": (o, n, n), "alike": (n, n)}
    else:
        lanes, forms = (), {"alike": (shape[0], shape[0])}
    for name, own in forms.items():
        if tuple(kernel.shape) in (own, (*lanes, *own)):
            return name
    raise CannotMeasure(
        f"a kernel of shape {tuple(kernel.shape)} does not fit a residual of {tuple(shape)}",
        "they need (sample, sample), (output, sample, sample) or (sample, output, sample, output) "
        "for (sample, output), after the lanes of the residual",
    )


def _as_matrices(kernel: Tensor, residual: Tensor) -> tuple[Tensor, Tensor, torch.Size]:
    shape = residual.shape
    form = _form(kernel, shape)
    if form == "full":
        matrix = checked_kernel(kernel.flatten(-4, -3).flatten(-2))
        return matrix, residual.flatten(-2)[..., None], shape
    matrix = checked_kernel(kernel)
    if form == "each":
        return matrix, residual.mT[..., None], shape
    return matrix, residual if residual.ndim > 1 else residual[:, None], shape


def _as_residual(rows: Tensor, shape: torch.Size, kernel: Tensor) -> Tensor:
    if _form(kernel, shape) == "each":
        return rows[..., 0].mT
    return rows.reshape(shape)

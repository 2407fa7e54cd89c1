"""How a kernel lies to the labels, and how far it has moved."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from chymist.errors import CannotMeasure
from chymist.instruments.kernel_spectrum import checked_kernel


def kernel_alignment(
    kernel: Float[Tensor, "*lane sample sample"],
    y: Tensor,
    *,
    centred: bool = True,
) -> Float[Tensor, "*lane"]:
    """Kernel-target alignment <K, Y Y^T> / (||K|| ||Y Y^T||), Frobenius products and norms.

    Labels y: numbers (sample,) or (*lane, sample, output), or classes (sample,) as integers, which
    become indicators. With `centred` both matrices are centred first, H K H with H = 1 - 1 1^T / n,
    so that a kernel's constant part, which says nothing of the labels, does not count (Cortes,
    Mohri, Rostamizadeh); without, as Cristianini and others define it. Between 0 and 1 for a
    positive semi-definite kernel; 1 if K is proportional to Y Y^T. NaN where K or Y is zero, or
    centred the same for all samples. Shape: (*lane,), float64. Unit: 1. Cost: samples^2 times
    outputs. Memory: three kernels in float64. Error: rounding. Source: Cortes, Mohri, Rostamizadeh
    (2012), JMLR 13; Cristianini et al. (2001), NeurIPS.

    Raises:
        CannotMeasure: the kernel is not square or not finite, or the labels do not fit.

    >>> y = torch.tensor([1.0, 1.0, -1.0, -1.0])
    >>> kernel_alignment(torch.outer(y, y) + 3, y), kernel_alignment(torch.eye(4), y, centred=False)
    (tensor(1., dtype=torch.float64), tensor(0.5000, dtype=torch.float64))
    """
    matrix = checked_kernel(kernel)
    target = _labels(y, matrix.shape[-1])
    scale = matrix.square().sum((-2, -1)).sqrt()
    level = target.square().sum((-2, -1)).sqrt()
    if centred:
        rows = matrix - matrix.mean(-1, keepdim=True)
        matrix = rows - rows.mean(-2, keepdim=True)
        target = target - target.mean(-2, keepdim=True)
    between = (target * (matrix @ target)).sum((-2, -1))
    gram = target.mT @ target
    size = matrix.square().sum((-2, -1)).sqrt()
    found = between / (size * gram.square().sum((-2, -1)).sqrt())
    # What centring leaves of a constant is rounding, of which a share would mean nothing.
    few = 1e3 * torch.finfo(kernel.dtype).eps if kernel.is_floating_point() else 1e-12
    empty = (size <= few * scale) | (target.square().sum((-2, -1)).sqrt() <= few * level)
    return found.masked_fill(empty, torch.nan)


@dataclass(frozen=True, eq=False)
class KernelDrift:
    """How far a kernel moved: its change, relative to its size, and how far it turned.

    `relative` is ||K - K0|| / ||K0||, `turned` 1 - <K, K0> / (||K|| ||K0||), which does not feel a
    kernel that grows as a whole; both Frobenius.
    """

    relative: Float[Tensor, "*lane"]
    turned: Float[Tensor, "*lane"]


def kernel_drift(
    before: Float[Tensor, "*lane sample other"], after: Float[Tensor, "*lane sample other"]
) -> KernelDrift:
    """How far a kernel has moved between two moments; both zero in the lazy regime.

    Shapes: (*lane,), float64. Unit: 1. NaN where the kernel was zero. Cost: three sums over the
    kernels. Memory: both in float64. Error: rounding. Source: Fort et al. (2020), arXiv:2010.15110
    (the cosine distance); Chizat, Oyallon, Bach (2019), arXiv:1812.07956.

    Raises:
        CannotMeasure: the kernels differ in shape, or are not finite.

    >>> found = kernel_drift(torch.eye(2), 3 * torch.eye(2))
    >>> found.relative.item(), abs(found.turned.round(decimals=9).item())
    (2.0, 0.0)
    """
    if before.shape != after.shape:
        raise CannotMeasure(
            f"the kernels have shapes {tuple(before.shape)} and {tuple(after.shape)}",
            "a drift is between kernels of the same samples",
        )
    one, two = (checked_kernel(k, square=False) for k in (before, after))
    size = one.square().sum((-2, -1)).sqrt()
    between = (one * two).sum((-2, -1))
    turned = 1 - between / (size * two.square().sum((-2, -1)).sqrt())
    return KernelDrift((two - one).square().sum((-2, -1)).sqrt() / size, turned)


def _labels(y: Tensor, samples: int) -> Tensor:
    if y.ndim == 1 and not y.is_floating_point():
        y = torch.nn.functional.one_hot(y.long() - y.long().min()) if len(y) else y[:, None]
    target = (y[:, None] if y.ndim == 1 else y).detach().double()
    if target.ndim < 2 or target.shape[-2] != samples:
        raise CannotMeasure(
            f"the labels have shape {tuple(y.shape)} for {samples} samples",
            "give (sample,) or (sample, output)",
        )
    if not bool(target.isfinite().all()):
        bad = int((~target.isfinite()).sum())
        raise CannotMeasure(
            f"the labels have {bad} of {target.numel()} values that are not finite",
            "leave out those samples",
        )
    return target

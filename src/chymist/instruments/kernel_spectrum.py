"""Spectra of kernels: eigenvalues, how many of them count, and how far they are apart."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from chymist.errors import CannotMeasure


@dataclass(frozen=True, eq=False)
class KernelSpectrum:
    """Eigenvalues of a kernel's matrix, the largest first, in float64.

    `resolution` is the size below which an eigenvalue is rounding: samples times the precision of
    the kernel's numbers times the largest.
    """

    values: Float[Tensor, "*lane eigen"]
    resolution: Float[Tensor, "*lane"]

    @property
    def trace(self) -> Float[Tensor, "*lane"]:
        """The sum of the eigenvalues."""
        return self.values.sum(-1)

    @property
    def effective_rank(self) -> Float[Tensor, "*lane"]:
        """The exponential of the entropy of the eigenvalues' shares: 1 to the number of samples.

        Negative eigenvalues are rounding and count as zero. Source: Roy, Vetterli (2007), EUSIPCO.
        """
        positive = self.values.clamp(min=0)
        shares = positive / positive.sum(-1, keepdim=True)
        rank: Tensor = torch.special.entr(shares).sum(-1).exp()
        return rank

    @property
    def participation_ratio(self) -> Float[Tensor, "*lane"]:
        """The squared sum of the eigenvalues over the sum of their squares: 1 to the samples."""
        return self.trace.square() / self.values.square().sum(-1)

    @property
    def condition(self) -> Float[Tensor, "*lane"]:
        """The largest over the smallest eigenvalue; infinite if that is not above rounding."""
        smallest = self.values[..., -1]
        return torch.where(smallest > self.resolution, self.values[..., 0] / smallest, torch.inf)


def kernel_spectrum(kernel: Float[Tensor, "*lane sample sample"]) -> KernelSpectrum:
    """Return the eigenvalues of a kernel's matrix K, and with them effective rank and condition.

    Of K itself: divide by the samples for the eigenvalues of the kernel as an operator on the
    data's distribution. Full kernels of several outputs are matrices when they are flattened:
    `full.flatten(0, 1).flatten(1)`. Shapes: (*lane, eigen), and a number a lane. Unit: the
    kernel's; ranks and condition 1. Cost: a symmetric eigenvalue problem, samples^3, in float64.
    Memory: twice the kernel in float64. Error: rounding, `resolution`. Source: definitions.

    Raises:
        CannotMeasure: the matrix is not square, not symmetric to rounding, or not finite.

    >>> found = kernel_spectrum(torch.diag(torch.tensor([1.0, 3.0])))
    >>> found.values.tolist(), found.condition.item(), found.participation_ratio.item()
    ([3.0, 1.0], 3.0, 1.6)
    """
    matrix = checked_kernel(kernel)
    turned = float((matrix - matrix.mT).abs().max())
    precision = torch.finfo(kernel.dtype).eps if kernel.is_floating_point() else 2**-52
    if turned > 1000 * precision * float(matrix.abs().max()):
        raise CannotMeasure(
            f"the kernel differs from its transpose by up to {turned:.6g}",
            "a spectrum needs the kernel of one set of samples with itself",
        )
    values = torch.linalg.eigvalsh(0.5 * (matrix + matrix.mT)).flip(-1)
    return KernelSpectrum(values, matrix.shape[-1] * precision * values.abs().amax(-1))


def checked_kernel(kernel: Tensor, *, square: bool = True) -> Tensor:
    """Return a kernel in float64.

    Raises:
        CannotMeasure: it is no matrix of finite numbers with samples, or not square.
    """
    shape = tuple(kernel.shape)
    if kernel.ndim < 2 or kernel.numel() == 0 or (square and shape[-1] != shape[-2]):
        raise CannotMeasure(
            f"the kernel has shape {shape}",
            "it needs (..., sample, sample); flatten a full kernel of several outputs",
        )
    if not bool(kernel.isfinite().all()):
        bad = int((~kernel.isfinite()).sum())
        raise CannotMeasure(
            f"the kernel has {bad} of {kernel.numel()} values that are not finite",
            "leave out the lanes that have diverged",
        )
    return kernel.detach().double()

"""Empirical neural tangent kernels, by Jacobians, for all lanes at once."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call, jacrev


def empirical_ntk(
    module: nn.Module,
    parameters: Mapping[str, Tensor],
    buffers: Mapping[str, Tensor],
    x: Float[Tensor, "sample feature"],
) -> Float[Tensor, "lane sample sample"]:
    """Empirical neural tangent kernel Theta_ij = sum_p (d f(x_i)/d w_p) (d f(x_j)/d w_p).

    Summed over all trainable parameters and over outputs, without a factor. `parameters` and
    `buffers` are stacked (lane, ...), as `Ensemble.measure` hands them over. Cost: one Jacobian a
    lane (samples x outputs gradient evaluations), lanes one after another to bound memory. Source:
    Jacot, Gabriel, Hongler (2018), arXiv:1806.07572.

    For a linear model f(x) = w x the kernel is x x^T:

    >>> x = torch.tensor([[1.0], [2.0]])
    >>> line = nn.Linear(1, 1, bias=False)
    >>> empirical_ntk(line, {"weight": torch.ones(1, 1, 1)}, {}, x).tolist()
    [[[1.0, 2.0], [2.0, 4.0]]]
    """
    lanes = len(next(iter(parameters.values())))

    def gram(lane: int) -> Tensor:
        fixed = {n: b[lane] for n, b in buffers.items()}

        def outputs(own: dict[str, Tensor]) -> Tensor:
            out: Tensor = functional_call(module, {**own, **fixed}, (x,))
            return out

        jacobians = jacrev(outputs)({n: p[lane].detach() for n, p in parameters.items()})
        flat = torch.cat([j.flatten(2) for j in jacobians.values()], dim=-1)
        return torch.einsum("ifp,jfp->ij", flat, flat)

    return torch.stack([gram(lane) for lane in range(lanes)])


def fourier_diagonal(
    kernel: Float[Tensor, "*lane sample sample"],
) -> Float[Tensor, "*lane band"]:
    """Diagonal of a kernel in the Fourier basis: lambda_k = sum_ij K_ij cos(2 pi k (i-j)/n) / n^2.

    For samples evenly spaced on a circle; k = 0..n/2. For a rotation-invariant kernel these are the
    eigenvalues of K / n, each cosine and sine sharing one.

    >>> fourier_diagonal(torch.eye(4))
    tensor([0.2500, 0.2500, 0.2500])
    """
    n = kernel.shape[-1]
    place = torch.arange(n, dtype=kernel.dtype, device=kernel.device)
    bands = torch.arange(n // 2 + 1, dtype=kernel.dtype, device=kernel.device)
    waves = torch.cos(2 * torch.pi * bands[:, None, None] * (place[:, None] - place) / n)
    return torch.einsum("...ij,kij->...k", kernel, waves) / n**2

"""Losses beyond the mean squared error, for one lane: (prediction, target) to a number."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def sobolev(
    prediction: Float[Tensor, "sample feature"],
    target: Float[Tensor, "sample feature"],
    s: Tensor | float = 0.0,
) -> Float[Tensor, ""]:
    """Half the squared Sobolev norm of the residual r, 1/2 sum_k (1 + k^2)^s |hat r(k)|^2.

    Over all n signed frequencies k of n samples evenly spaced on a period (the first dimension),
    with hat r(k) = (1/n) sum_j r_j exp(-2 pi i k j / n) and summed over features; at s = 0 this is
    half the mean squared error (Parseval). Negative s weighs low frequencies more, positive s high
    ones. Cost: one FFT. Source: Yu, Yang, Townsend (2023), arXiv:2205.14300.

    >>> wave = torch.cos(2 * 2 * torch.pi * torch.arange(16) / 16)[:, None]
    >>> sobolev(wave, torch.zeros(16, 1), s=1.0)  # 5 times the 1/4 of s = 0
    tensor(1.2500)
    """
    n = prediction.shape[-2]
    hat = torch.fft.rfft(prediction - target, dim=-2, norm="forward")
    power = (hat.real**2 + hat.imag**2).sum(-1)
    k = torch.arange(n // 2 + 1, dtype=power.dtype, device=power.device)
    # A real signal's half spectrum stands for both signs, but for k = 0 and k = n/2.
    both = torch.where((k == 0) | (2 * k == n), 1.0, 2.0).to(power)
    norm: Tensor = 0.5 * (both * (1 + k**2) ** s * power).sum(-1)
    return norm


def frozen_residual(
    prediction: Float[Tensor, "sample feature"], target: Float[Tensor, "sample feature"]
) -> Float[Tensor, ""]:
    """The loss's part of first order in f, -(1/n) sum_i y_i . f(x_i): the residual stays -y.

    Its gradient is that of half the mean squared error while f is small beside y: what acts on a
    small network at first. Cost: one product.

    >>> frozen_residual(torch.tensor([[1.0], [2.0]]), torch.tensor([[3.0], [1.0]]))
    tensor(-2.5000)
    """
    return -(prediction * target).sum(-1).mean(-1)


def penalised_error(
    parts: Float[Tensor, "sample neuron"], target: Float[Tensor, "sample 1"], keep: float = 1.0
) -> Float[Tensor, ""]:
    """Half the mean squared error of a sum of parts f = sum_j c_j, and dropout's mean penalty.

    The penalty, R1 = (1 - q) / (2 q n) sum_i sum_j c_j(x_i)^2, is by how much dropout that keeps
    each part with probability q raises the error on average; none at q = 1. For a network that puts
    out its neurons' parts (`models.Contributions`). Source: Zhang and Xu (2024), arXiv:2207.05952.

    >>> penalised_error(torch.tensor([[1.0, 2.0]]), torch.tensor([[1.0]]), keep=0.5)  # 2 + 5/2
    tensor(4.5000)
    """
    error = 0.5 * (parts.sum(-1, keepdim=True) - target) ** 2
    penalty = (1 - keep) / (2 * keep) * (parts * parts).sum(-1, keepdim=True)
    return (error + penalty).mean()


def dropout_error(
    parts: Float[Tensor, "sample neuron"],
    target: Float[Tensor, "sample 1+neuron"],
    keep: float = 1.0,
) -> Float[Tensor, ""]:
    """Half the mean squared error of the parts that a mask keeps, divided by their share `keep`.

    The mask, of zeros and ones, follows the target in its further columns: data, so that networks
    stay free of chance and minibatches of masks are drawn as samples are.

    >>> dropout_error(torch.tensor([[1.0, 2.0]]), torch.tensor([[1.0, 0.0, 1.0]]), keep=0.5)
    tensor(4.5000)
    """
    kept = (parts * target[..., 1:]).sum(-1, keepdim=True) / keep
    return (0.5 * (kept - target[..., :1]) ** 2).mean()


def ritz_discrete(
    prediction: Float[Tensor, "sample 1"], target: Float[Tensor, "sample 1"], dims: int = 1
) -> Float[Tensor, ""]:
    """Energy (1/2 u . A u - u . b) / n of Poisson's equation A u = b on the n inner points.

    A is the stencil (-1, 2, -1) on a line (`dims` 1) or (4; -1) on a square (2), with zeros on the
    border; the target is b = h^2 f. Up to a constant it is e . A e / 2n, e the distance from the
    solution: a sine of frequency k weighs as k^2. On a square it is the integral of
    |grad u|^2 / 2 - f u, times n. Source: E, Yu (2018), arXiv:1710.00211, discretised.

    >>> ritz_discrete(torch.tensor([[1.0], [2.0], [3.0]]), torch.tensor([[0.0], [0.0], [4.0]]))
    tensor(-2.)
    """
    u, b = _on_grid(prediction, dims), _on_grid(target, dims)
    return (0.5 * u * _stencil(u) - u * b).mean()


def residual_discrete(
    prediction: Float[Tensor, "sample 1"], target: Float[Tensor, "sample 1"], dims: int = 1
) -> Float[Tensor, ""]:
    """Half the mean squared residual |A u - b|^2 / 2n of the same equation: k weighs as k^4.

    The loss of physics-informed networks, with differences for derivatives.

    >>> residual_discrete(torch.tensor([[1.0], [2.0], [3.0]]), torch.tensor([[0.0], [0.0], [1.0]]))
    tensor(1.5000)
    """
    u, b = _on_grid(prediction, dims), _on_grid(target, dims)
    return 0.5 * ((_stencil(u) - b) ** 2).mean()


def _on_grid(values: Tensor, dims: int) -> Tensor:
    side = round(values.shape[0] ** (1 / dims))
    return values.reshape((side,) * dims)


def _stencil(u: Tensor) -> Tensor:
    """Apply A: 2 d u less the sum of the neighbours, zeros on the border."""
    wide = torch.nn.functional.pad(u, (1, 1) * u.ndim)
    n = u.shape[0]
    out = 2 * u.ndim * u
    for axis in range(u.ndim):
        inner = wide
        for other in range(u.ndim):
            if other != axis:
                inner = inner.narrow(other, 1, n)
        out = out - inner.narrow(axis, 0, n) - inner.narrow(axis, 2, n)
    return out

"""How gradient noise and curvature lie to each other, and how curvature differs between samples.

All from the matrix of inner products of the outputs' gradients, so that neither noise nor curvature
is ever a matrix over the parameters: both are brought to the coordinates of the space in which they
live, at most samples times outputs dimensions.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from chymist.errors import CannotMeasure
from chymist.instruments.objective import Data, Loss
from chymist.instruments.one_network import objective
from chymist.instruments.per_sample import Sampler
from chymist.instruments.sample_parts import Held, Made, Outer, SamplePart

LARGEST = 6000
"""Samples times outputs whose inner products are formed: 288 MB, and minutes of linear algebra."""


@dataclass(frozen=True, eq=False)
class NoiseAlignment:
    """Noise covariance Sigma beside the Gauss-Newton matrix G, at loss L.

    `factor` mu = tr(Sigma G) / (2 L ||G||_F^2) is the product of `direction`, tr(Sigma G) /
    (||Sigma||_F ||G||_F), and `magnitude`, ||Sigma||_F / (2 L ||G||_F). NaN where L or G is zero.
    """

    factor: Tensor
    direction: Tensor
    magnitude: Tensor
    trace: Tensor
    norm: Tensor
    sharpness: Tensor


@dataclass(frozen=True, eq=False)
class NonUniformity:
    """Scatter of curvature over samples: `value` s, beside the `sharpness` a of their mean."""

    value: Tensor
    sharpness: Tensor


def noise_alignment(model: nn.Module, loss: Loss, data: Data, **options: Any) -> NoiseAlignment:
    """Alignment factor mu = tr(Sigma G) / (2 L ||G||_F^2) of gradient noise and curvature.

    Sigma = (1/n) sum_i g_i g_i^T - g g^T is the covariance of single samples' gradients, G the
    Gauss-Newton matrix, the mean of its samples' own, and L the mean loss. Normalised for half the
    squared error of one output, where Sigma = 2 L G gives mu = 1. For other losses mu's size has no
    such meaning; its `direction`, a cosine, has.

    Shapes: numbers, float64 (`trace`, `norm`, `sharpness` are of G). Units: mu and its parts 1
    (given that normalisation), those of G the loss over the parameters' squared. `options` go to
    `objective`. Cost: a gradient evaluation an output and one more, (samples x outputs)^2 products
    of the layers' widths, (samples x outputs)^3 for coordinates. Memory: eight matrices (samples x
    outputs)^2. Error: rounding; use float64 near zero loss. Source: Wu, Wang, Su (2022),
    arXiv:2207.02628.

    Raises:
        CannotMeasure: there are more than 6,000 samples times outputs; see `objective`.

    Of a line w x with residuals of equal size and both signs, at x = 1: Sigma = 2 L G.

    >>> x, line = torch.ones(2, 1, dtype=torch.float64), nn.Linear(1, 1, bias=False).double()
    >>> _ = nn.init.zeros_(line.weight)
    >>> half = lambda out, y: 0.5 * (out - y).square().mean()
    >>> noise_alignment(line, half, (x, torch.tensor([[1.0], [-1.0]]).double())).factor
    tensor(1., dtype=torch.float64)
    """
    made = _reduced(model, loss, data, **options)
    noise, curvature = made.noise, made.curvature
    product = (noise * curvature).sum()
    size = 2 * made.loss * curvature.norm()
    return NoiseAlignment(
        factor=product / (size * curvature.norm()),
        direction=product / (noise.norm() * curvature.norm()),
        magnitude=noise.norm() / size,
        trace=curvature.trace(),
        norm=curvature.norm(),
        sharpness=torch.linalg.eigvalsh(curvature)[-1],
    )


def nonuniformity(model: nn.Module, loss: Loss, data: Data, **options: Any) -> NonUniformity:
    """Non-uniformity s = sqrt(lambda_max((1/n) sum_i G_i^2 - G^2)) of curvature over samples.

    G_i is sample i's own Gauss-Newton matrix, its Hessian where it is fitted exactly, and G their
    mean. Stochastic gradient descent with batches of B of n, drawn without replacement, at rate lr
    is stable at a minimum of sharpness a only if a <= 2 / lr and s <= sqrt(B (n - 1) / (n - B)) /
    lr; both necessary, to linear order and where the loss is (nearly) zero.

    Shapes: numbers, float64. Unit: of the loss over the parameters' squared. `options` go to
    `objective`. Cost and memory: as `noise_alignment`. Error: rounding. Source: Wu, Ma, E (2018),
    NeurIPS 31.

    Raises:
        CannotMeasure: there are more than 6,000 samples times outputs; see `objective`.

    Two samples of curvature 0.2 and 3.8, as in Chao Ma's example: a = 2, s = 1.8.

    >>> x = torch.tensor([[0.2], [3.8]], dtype=torch.float64).sqrt()
    >>> half = lambda out, y: 0.5 * (out - y).square().mean()
    >>> found = nonuniformity(nn.Linear(1, 1, bias=False).double(), half, (x, x))
    >>> found.value.round(decimals=8), found.sharpness.round(decimals=8)
    (tensor(1.8000, dtype=torch.float64), tensor(2., dtype=torch.float64))
    """
    made = _reduced(model, loss, data, **options)
    scatter = made.second - made.curvature @ made.curvature
    top = torch.linalg.eigvalsh(scatter)[-1].clamp(min=0)
    return NonUniformity(top.sqrt(), torch.linalg.eigvalsh(made.curvature)[-1])


def kernel_nonuniformity(kernel: Float[Tensor, "*lane sample sample"]) -> NonUniformity:
    """Return `nonuniformity` and sharpness from tangent kernels, for many networks at once.

    For half the mean squared error of one output, whose samples' Gauss-Newton matrices have rank
    one: with K = S S, G is S S / n and mean_i G_i^2 is S diag(K) S / n in the coordinates of S.
    Shapes: (*lane). Unit: outputs over parameters, squared. Cost: two eigenvalue problems a lane,
    samples^3. Memory: a few kernels. Error: rounding, of the kernel mostly. Source: see
    `nonuniformity`.

    Two samples of curvature 0.2 and 3.8 in one parameter:

    >>> x = torch.tensor([[0.2], [3.8]], dtype=torch.float64).sqrt()
    >>> found = kernel_nonuniformity(x @ x.T)
    >>> found.value.round(decimals=8), found.sharpness.round(decimals=8)
    (tensor(1.8000, dtype=torch.float64), tensor(2., dtype=torch.float64))
    """
    n = kernel.shape[-1]
    values, vectors = torch.linalg.eigh(kernel.double())
    root = (vectors * values.clamp(min=0).sqrt().unsqueeze(-2)) @ vectors.mT
    mean = root @ root / n
    lengths = kernel.double().diagonal(dim1=-2, dim2=-1)
    scatter = (root * lengths.unsqueeze(-2)) @ root / n - mean @ mean
    top = torch.linalg.eigvalsh(scatter)[..., -1].clamp(min=0)
    return NonUniformity(top.sqrt(), values[..., -1] / n)


@dataclass(frozen=True, eq=False)
class _Reduced:
    """Sigma, G and the mean of G_i^2 in coordinates of the space of the outputs' gradients."""

    noise: Float[Tensor, "direction direction"]
    curvature: Float[Tensor, "direction direction"]
    second: Float[Tensor, "direction direction"]
    loss: Tensor


def _reduced(model: nn.Module, loss: Loss, data: Data, **options: Any) -> _Reduced:
    made = objective(model, loss, data, **options)
    names, dtype = tuple(made.parameters), options.get("dtype")
    single = Sampler(model, loss, names, dtype)(data)
    out, y = single.outputs[0].double(), data[1]
    goal = y.double() if y.is_floating_point() else y
    n, c = len(out), out[0].numel()
    if n * c > LARGEST:
        raise CannotMeasure(
            f"{n} samples of {c} outputs have {n * c:,} gradients of outputs",
            f"take a part of the samples: {LARGEST:,} are formed at most",
        )
    each = [Sampler(model, partial(_output, k), names, dtype)(data).parts for k in range(c)]
    gram = sum(
        (_joined(parts).gram()[0].double() for parts in zip(*each, strict=True)),
        torch.zeros((), dtype=torch.float64),
    )
    values, rotation = torch.linalg.eigh(gram)
    kept = values > values[-1] * torch.finfo(torch.float64).eps * n * c
    # (output, sample) to (sample, output)
    rows = (rotation[:, kept] * values[kept].sqrt()).view(c, n, -1).movedim(0, 1)
    by_row = partial(_of_row, loss, out.shape[1:])
    bend = torch.vmap(torch.func.jacrev(torch.func.jacrev(by_row)))
    bent = bend(out.reshape(n, c), goal)
    slope = single.slope[0].double().reshape(n, c)
    g = (rows * slope[..., None]).sum(1)
    own = bent @ rows
    inner = rows @ rows.mT
    mean = g.mean(0)
    return _Reduced(
        g.mT @ g / n - mean[:, None] * mean,
        rows.flatten(0, 1).mT @ own.flatten(0, 1) / n,
        own.flatten(0, 1).mT @ (inner @ own).flatten(0, 1) / n,
        single.losses.double().mean(),
    )


def _output(k: int, out: Tensor, _: Tensor) -> Tensor:
    return out.flatten(1)[:, k].sum()


def _of_row(loss: Loss, shape: torch.Size, row: Tensor, goal: Tensor) -> Tensor:
    return loss(row.reshape(1, *shape), goal[None]).reshape(())


def _joined(parts: tuple[SamplePart, ...]) -> SamplePart:
    """Join parts of several outputs along the samples."""
    first = parts[0]
    samples = sum(part.samples for part in parts)
    if all(isinstance(p, Outer) for p in parts):
        outer = [p for p in parts if isinstance(p, Outer)]
        a = torch.cat([p.inputs for p in outer], dim=1)
        return Outer(first.lanes, samples, first.size, a, torch.cat([p.slopes for p in outer], 1))
    if all(isinstance(p, Held) for p in parts):
        return Held(
            first.lanes, samples, first.size, torch.cat([p.rows(0, p.samples) for p in parts], 1)
        )

    def make(begin: int, end: int) -> Tensor:
        n = first.samples
        made = [
            parts[k].rows(max(0, begin - k * n), min(n, end - k * n))
            for k in range(begin // n, (end - 1) // n + 1)
        ]
        return torch.cat(made, dim=1)

    return Made(first.lanes, samples, first.size, make)

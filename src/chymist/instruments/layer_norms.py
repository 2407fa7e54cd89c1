"""Norms of weights, layer by layer: Frobenius and spectral."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from chymist.errors import CannotMeasure
from chymist.instruments.graphs import CONVOLUTIONS, Step, steps
from chymist.instruments.networks import of_tensor
from chymist.instruments.snapshot import Instrument, Snapshot

AT_ONCE = 512
"""Frequencies of a convolution whose matrices are held at once."""


@dataclass(frozen=True, eq=False)
class LayerNorms:
    """Norms of a network's layers, by the layers' names, in the order of the forward pass.

    `spectral` is the largest singular value of a layer as a linear map of its input, `exact` says
    where it is that, and not an upper bound. `frobenius` is the root of the weight's sum of
    squares; biases count in neither.
    """

    frobenius: dict[str, float]
    spectral: dict[str, float]
    exact: dict[str, bool]

    @property
    def product(self) -> float:
        """The product of the spectral norms."""
        return math.prod(self.spectral.values())

    @property
    def frobenius_product(self) -> float:
        """The product of the Frobenius norms."""
        return math.prod(self.frobenius.values())

    @property
    def stable_ranks(self) -> dict[str, float]:
        """Frobenius over spectral norm, squared, of each layer."""
        return {n: (f / self.spectral[n]) ** 2 for n, f in self.frobenius.items()}


def layer_norms(model: nn.Module, x: Tensor, **options: Any) -> LayerNorms:
    """Frobenius and spectral norms of a network's linear layers and convolutions.

    x are some inputs, whose shape decides a convolution's norm. That of a circular convolution of
    stride 1 is exact, by its Fourier matrices. Another is bounded by that of the circular one that
    is large enough to hold the padded input. Shapes: a number a layer, float64. Unit: of the
    weights. `options` go to `of_tensor`. Cost: two forward passes of checks and a singular value
    decomposition a layer, of a convolution one a frequency (as many as it has places). Memory: a
    layer's weight, of a convolution 512 times its channels. Error: rounding, where `exact`. Source:
    Sedghi, Gupta, Long (2019), arXiv:1805.10408.

    Raises:
        CannotMeasure: a step of the forward pass is not known; see `of_tensor`.
        MovingTarget: see `of_tensor`.

    >>> line = nn.Linear(2, 2)
    >>> with torch.no_grad():
    ...     _ = line.weight.copy_(torch.tensor([[3.0, 0.0], [0.0, 4.0]]))
    >>> found = layer_norms(nn.Sequential(line), torch.ones(1, 2))
    >>> found.frobenius, found.spectral
    ({'0': 5.0}, {'0': 4.0})
    """
    of_tensor(model, x, **options)
    return of_steps(steps(model, x))


def of_steps(found: list[Step]) -> LayerNorms:
    """Return the norms of the layers among the steps of a forward pass."""
    shapes = {step.name: step.shape for step in found}
    frobenius, spectral, exact = {}, {}, {}
    for step in found:
        if step.kind in ("linear", "convolution"):
            weight = step.module.weight.detach().double()
            frobenius[step.layer] = float(weight.norm())
            spectral[step.layer], exact[step.layer] = spectral_norm(
                step.module, shapes[step.sources[0]]
            )
    return LayerNorms(frobenius, spectral, exact)


def spectral_norm(module: Any, shape: tuple[int, ...]) -> tuple[float, bool]:
    """Return a layer's largest singular value on inputs of a shape, and whether it is exact.

    Raises:
        CannotMeasure: a convolution pads with copies of its input.
    """
    weight = module.weight.detach().double()
    if not isinstance(module, CONVOLUTIONS):
        return float(torch.linalg.matrix_norm(weight, 2)), True
    if module.padding_mode not in ("zeros", "circular"):
        raise CannotMeasure(
            f"a convolution pads with {module.padding_mode!r}", "zeros or circular are known"
        )
    taps = weight.shape[2:]
    reach = [(k - 1) * d for k, d in zip(taps, module.dilation, strict=True)]
    circular = module.padding_mode == "circular"
    places = shape[1:]
    exact = all(s == 1 for s in module.stride)
    if circular:
        around = 2 * torch.tensor(_padding(module, reach)) if exact else None
        exact = exact and around is not None and around.tolist() == reach
        if not exact:
            raise CannotMeasure(
                "a circular convolution changes the size of its input",
                "stride 1 and padding by half the kernel's reach are known",
            )
        sizes = list(places)
    else:
        sizes = [n + r for n, r in zip(places, reach, strict=True)]
    return circular_norm(weight, sizes, module.dilation, module.groups), circular


def circular_norm(
    weight: Tensor, sizes: list[int], dilation: tuple[int, ...], groups: int = 1
) -> float:
    """Return the norm of a circular convolution: the largest of its Fourier matrices.

    >>> circular_norm(torch.tensor([[[1.0, 1.0]]]), [4], (1,))
    2.0
    """
    out, inner, *taps = weight.shape
    grids = torch.meshgrid(*(torch.arange(k) for k in taps), indexing="ij")
    moved = torch.stack([g.flatten() * d for g, d in zip(grids, dilation, strict=True)], 1)
    flat = weight.reshape(out, inner, -1).permute(2, 0, 1).reshape(moved.shape[0], -1)
    # Of real weights, frequencies of both signs have one norm.
    axes = [range(n) for n in sizes[:-1]] + [range(sizes[-1] // 2 + 1)]
    frequencies = torch.tensor(list(itertools.product(*axes))).double() / torch.tensor(sizes)
    largest = 0.0
    for part in torch.split(frequencies.to(weight), AT_ONCE):
        angles = -2 * math.pi * (part @ moved.mT.to(weight))
        phases = torch.polar(torch.ones_like(angles), angles)
        matrices = (phases @ flat.to(phases)).reshape(-1, groups, out // groups, inner)
        largest = max(largest, float(torch.linalg.matrix_norm(matrices, 2).max()))
    return largest


def training_norms(name: str = "norm") -> tuple[Instrument, Instrument]:
    """Return instruments of the weights' norm and of the product of layers' spectral norms.

    The first is ||w||, Euclidean, over all parameters; the second, called `name`_product, over the
    parameters that are matrices, of networks without convolutions (missing with them, NaN). Shapes:
    (lane,), float64. Unit: of the weights. Cost: a singular value decomposition a matrix. Memory: a
    copy of the matrices. Error: rounding. Source: Neyshabur and others (2018), arXiv:1707.09564.

    >>> [i.name for i in training_norms()]
    ['norm', 'norm_product']
    """

    def length(snapshot: Snapshot) -> Tensor:
        rows = [p.detach().double().flatten(1) for p in snapshot.parameters.values()]
        return torch.as_tensor(torch.cat(rows, 1).norm(dim=1))

    def product(snapshot: Snapshot) -> Tensor:
        every = snapshot.parameters.values()
        first = next(iter(every))
        value = torch.ones(len(first), dtype=torch.float64, device=first.device)
        if any(p.ndim > 3 for p in every):
            return value * torch.nan
        for matrix in (p.detach().double() for p in every if p.ndim == 3):
            finite = matrix.isfinite().flatten(1).all(1)
            found = torch.linalg.matrix_norm(matrix.nan_to_num(0.0, 0.0, 0.0), 2)
            value = value * found.masked_fill(~finite, torch.nan)
        return value

    return (
        Instrument(name, length, long_name="Euclidean norm of the weights"),
        Instrument(f"{name}_product", product, long_name="product of spectral norms"),
    )


def _padding(module: Any, reach: list[int]) -> list[float]:
    if module.padding == "same":
        return [r / 2 for r in reach]
    return [0.0] * len(reach) if module.padding == "valid" else list(module.padding)

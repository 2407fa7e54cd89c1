"""Norms over margins: what bounds on generalisation are made of."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from chymist.errors import BadParameter, CannotMeasure
from chymist.instruments.graphs import steps
from chymist.instruments.layer_norms import LayerNorms, of_steps
from chymist.instruments.margins import classified, least, pairs
from chymist.instruments.objective import Data
from chymist.instruments.path_norms import path_norm


@dataclass(frozen=True, eq=False)
class MarginNorms:
    """Measures of complexity of a network on its training data, larger for the more complex.

    With layers W_i, of distances W_i - W_i0 to a start, and `margin` g: `spectral` is prod
    ||W_i||_2^2 / g^2, `pac_bayes` prod ||W_i||_2^2 sum_i ||W_i - W_i0||_F^2 / ||W_i||_2^2 / g^2,
    `frobenius` prod ||W_i||_F^2 / g^2, and `path` the squared path norm (p = 2) over g^2. They are
    infinite where the margin is not positive; factors of depth, width and logarithms, equal among
    networks of one shape, are left out.
    """

    margin: float
    spectral: float
    pac_bayes: float
    frobenius: float
    path: float
    layers: LayerNorms


def margin_norms(
    model: nn.Module,
    data: Data,
    *,
    start: Mapping[str, Tensor] | None = None,
    quantile: float = 0.1,
    **options: Any,
) -> MarginNorms:
    """Norms of a ReLU network's layers over its margin, as bounds on generalisation have them.

    The margin is the `quantile` of all samples' (see `margins`); distances are from zero, or from
    the parameters `start` by name. Biases count in the path norm alone. Rescaling the weights
    between ReLU layers changes none of them without `start` but `frobenius`, as long as it is
    uniform in a layer, and `path` under any. Shapes: numbers. Unit: 1, by homogeneity. `options` go
    to `of_tensor`. Cost: five forward passes, and that of `layer_norms`. Memory: as there. Error:
    rounding; convolutions' spectral norms are bounds. Source: Neyshabur, Bhojanapalli, Srebro
    (2018), arXiv:1707.09564; Jiang and others (2020), arXiv:1912.02178.

    Raises:
        BadParameter: the quantile is outside 0..1.
        CannotMeasure: a step of the forward pass is not known; `start` does not fit; see `margins`.
        MovingTarget: see `of_tensor`.

    >>> import torch
    >>> line = nn.Sequential(nn.Linear(1, 1, bias=False))
    >>> with torch.no_grad():
    ...     _ = line[0].weight.fill_(2.0)
    >>> margin_norms(line, (torch.full((4, 1), 0.5), torch.ones(4))).spectral
    4.0
    """
    if not 0 <= quantile <= 1:
        raise BadParameter(f"quantile is {quantile}", "0 to 1")
    made = classified(model, data, **options)
    margin = float(least(pairs(made.outputs(), made.y)).quantile(quantile))
    found = steps(model, data[0])
    layers = of_steps(found)
    distances = [
        _distance(step.layer, step.module.weight.detach(), start)
        for step in found
        if step.kind in ("linear", "convolution")
    ]
    spectra = list(layers.spectral.values())
    product = layers.product**2
    shares = sum(d / s**2 if s else math.inf for d, s in zip(distances, spectra, strict=True))
    path = float(path_norm(model, data[0], 2, **options)) ** 2

    def over(value: float) -> float:
        return value / margin**2 if margin > 0 else math.inf

    return MarginNorms(
        margin, over(product), over(product * shares if product else 0.0),
        over(layers.frobenius_product**2), over(path), layers,
    )  # fmt: skip


def _distance(layer: str, weight: Tensor, start: Mapping[str, Tensor] | None) -> float:
    if start is None:
        return float(weight.double().square().sum())
    name = f"{layer}.weight"
    if name not in start or start[name].shape != weight.shape:
        raise CannotMeasure(
            f"the start has no {name} of shape {tuple(weight.shape)}",
            "give the parameters at initialisation, by name",
        )
    return float((weight.double() - start[name].detach().to(weight.device).double()).square().sum())

"""How many eigenvalues stand apart from the bulk of a spectrum, by a rule that is stated."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from chymist.errors import BadParameter, CannotMeasure, did_you_mean
from chymist.instruments.objective import Data, Loss
from chymist.instruments.sharpness import sharpness

RULES = ("gap", "marchenko-pastur")


@dataclass(frozen=True, eq=False)
class Outliers:
    """How many eigenvalues stand apart, and how clearly.

    `edge` is the value that outliers lie above, `contrast` the least outlier over the largest
    eigenvalue below it: near 1 there is no gap, whatever the count. NaN if there is none of either.
    """

    count: int
    contrast: float
    edge: float
    rule: str


def hessian_outliers(
    model: nn.Module, loss: Loss, data: Data, *, among: int = 30, **options: Any
) -> Outliers:
    """How many of the largest Hessian eigenvalues stand apart: the k of the largest l_k / l_k+1.

    Of k up to `among` - 1, or all if the network is smaller, and of positive eigenvalues. `options`
    go to `sharpness` (`matrix`, `tolerance`) and to `objective`. Shape: a number. Unit: 1. Cost,
    memory, error: of `sharpness` with k = `among`. Source: Sagun, Evci, Guney, Dauphin, Bottou
    (2017), arXiv:1706.04454.

    Raises:
        BadParameter: `among` is below 2.
        CannotMeasure: fewer than two eigenvalues are positive; see `objective`.
        MovingTarget: see `objective`.

    Half the squared error of a line on one input has one direction of curvature 100, one of 1:

    >>> x = torch.tensor([[10.0], [-10.0]])
    >>> half = lambda out, y: 0.5 * (out - y).square().mean()
    >>> hessian_outliers(nn.Linear(1, 1), half, (x, x)).count
    1
    """
    if among < 2:
        raise BadParameter(f"among is {among}", "2 or more")
    size = sum(p.numel() for p in model.parameters() if p.requires_grad)
    if options.get("only") is not None:
        raise BadParameter("only is not known here", "give eigenvalues to outliers() instead")
    values = sharpness(model, loss, data, min(among, max(size, 1)), **options).values
    return outliers(values)


def outliers(values: Tensor, rule: str = "gap", *, ratio: float | None = None) -> Outliers:
    """Count the eigenvalues above a spectrum's bulk.

    "gap": of positive eigenvalues in falling order, the k of the largest l_k / l_k+1. Always finds
    one: judge it by its `contrast`. "marchenko-pastur": eigenvalues of a matrix X^T X / n above the
    upper edge s^2 (1 + ratio^1/2)^2 of the law for noise, `ratio` = p / n of its p columns and n
    rows; s^2 is such that the law's median is that of the values, all p of them. Random values
    cross the edge by a relative n^-2/3 or so; outliers must be few. Shape: values (eigen,). Unit:
    1. Cost: sorting. Memory: the values. Error: that of the eigenvalues. Source: Sagun and others
    (2017), arXiv:1706.04454; Gavish, Donoho (2014), arXiv:1305.5870, for the median.

    Raises:
        BadParameter: an unknown rule, or a ratio that is missing or not positive.
        CannotMeasure: fewer than two values, or positive ones; values that are not finite.

    >>> found = outliers(torch.tensor([9.0, 8.0, 2.0, 1.9]))
    >>> found.count, found.contrast
    (2, 4.0)
    """
    if rule not in RULES:
        raise BadParameter(f"rule is {rule!r}", did_you_mean(rule, RULES))
    if values.ndim != 1 or not bool(values.isfinite().all()):
        raise CannotMeasure("the eigenvalues are not a finite vector", "give one spectrum")
    falling = values.detach().double().cpu().sort(descending=True).values
    if rule == "marchenko-pastur":
        if ratio is None or not 0 < ratio < math.inf:
            raise BadParameter(f"ratio is {ratio}", "columns over rows of the matrix: positive")
        return _above_noise(falling, ratio)
    positive = falling[falling > 0]
    if len(positive) < 2:
        raise CannotMeasure(
            f"{len(positive)} of {len(falling)} eigenvalues are positive", "a gap needs two"
        )
    ratios = positive[:-1] / positive[1:]
    k = int(ratios.argmax())
    return Outliers(k + 1, float(ratios[k]), float(positive[k + 1]), rule)


def _above_noise(falling: Tensor, ratio: float) -> Outliers:
    if len(falling) < 2:
        raise CannotMeasure(f"there are {len(falling)} eigenvalues", "give all of the matrix")
    middle = float(falling.quantile(0.5))
    unit = marchenko_pastur_median(ratio)
    if unit <= 0 or middle <= 0:
        raise CannotMeasure(
            f"the median of the eigenvalues is {middle:.3g}, of the law {unit:.3g}",
            "with p columns and n rows, p < 2 n: else give eigenvalues of X X^T / p, ratio n / p",
        )
    edge = middle / unit * (1 + math.sqrt(ratio)) ** 2
    count = int((falling > edge).sum())
    contrast = float(falling[count - 1] / falling[count]) if 0 < count < len(falling) else math.nan
    return Outliers(count, contrast, edge, "marchenko-pastur")


def marchenko_pastur_median(ratio: float, points: int = 20_000) -> float:
    """Return the median of the Marchenko-Pastur law of unit variance; 0 where half is an atom.

    >>> round(marchenko_pastur_median(1e-6), 3)
    1.0
    """
    low, high = (1 - math.sqrt(ratio)) ** 2, (1 + math.sqrt(ratio)) ** 2
    # In the angle of a half circle the density has no singularity at its ends, nor at zero.
    angle = (torch.arange(points, dtype=torch.float64) + 0.5) * (math.pi / points)
    places = (low + high) / 2 - (high - low) / 2 * torch.cos(angle)
    mass = ((high - low) / 2 * torch.sin(angle)).square() / (2 * math.pi * ratio * places)
    below = torch.cumsum(mass, 0) * (math.pi / points)
    atom = max(0.0, 1 - 1 / ratio)
    if atom >= 0.5:
        return 0.0
    return float(places[int(torch.searchsorted(below, torch.tensor([0.5 - atom]).double()))])

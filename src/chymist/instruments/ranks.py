"""Effective ranks of weights and of features."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from chymist.errors import BadParameter, CannotMeasure
from chymist.instruments.layer_outputs import features, stacked_layer
from chymist.instruments.snapshot import Instrument, Snapshot

Kind = Literal["entropy", "stable", "participation"]
"""How singular values are counted."""


def effective_rank(
    matrix: Float[Tensor, "*lane row column"], kind: Kind = "entropy"
) -> Float[Tensor, "*lane"]:
    """Effective rank of a matrix: how many singular values it has, each counted by its size.

    With p_i = sigma_i / sum_j sigma_j: "entropy" is exp(-sum p_i ln p_i); with squares, "stable" is
    sum sigma_i^2 / sigma_1^2, and "participation" (sum sigma_i^2)^2 / sum sigma_i^4. All lie
    between 1 and the rank, and do not change if the matrix is scaled, turned or transposed. NaN for
    a matrix of zeros, or one that is not finite.

    Shape: (*lane,), float64. Unit: 1. Cost: one singular value decomposition. Memory: the matrix in
    double precision. Error: rounding. Sources: Roy and Vetterli (2007), EUSIPCO; Rudelson and
    Vershynin (2007), J. ACM 54.

    Raises:
        BadParameter: the kind is unknown, or there is no matrix.

    >>> effective_rank(torch.eye(3)).round(decimals=6)
    tensor(3., dtype=torch.float64)
    >>> effective_rank(torch.diag(torch.tensor([2.0, 1.0])), "stable")
    tensor(1.2500, dtype=torch.float64)
    """
    if kind not in ("entropy", "stable", "participation"):
        raise BadParameter(f"kind is {kind!r}", "entropy, stable or participation")
    if matrix.ndim < 2 or 0 in matrix.shape[-2:]:
        raise BadParameter(f"the matrix has shape {tuple(matrix.shape)}", "rows and columns")
    wide = matrix.detach().double()
    finite = wide.isfinite().all(-1).all(-1)
    values = torch.linalg.svdvals(wide.nan_to_num(posinf=0.0, neginf=0.0))
    top = values.amax(-1, keepdim=True)
    values = values / top
    if kind == "entropy":
        shares = values / values.sum(-1, keepdim=True)
        rank = torch.special.entr(shares).sum(-1).exp()
    elif kind == "stable":
        rank = values.square().sum(-1)
    else:
        rank = values.square().sum(-1).square() / values.pow(4).sum(-1)
    return torch.as_tensor(rank.masked_fill(~finite | (top[..., 0] == 0), torch.nan))


def feature_rank(
    model: nn.Module, x: Tensor, layer: str, kind: Kind = "entropy", *, centred: bool = False
) -> Tensor:
    """Effective rank of a layer's outputs, the matrix (sample, feature): see `effective_rank`.

    With `centred` the mean over samples is taken out first. Shape: a number, float64. Unit: 1.
    Cost: two forward passes, one singular value decomposition. Memory: the features. Error:
    rounding. Source: as there; of features Huh et al. (2023), arXiv:2103.10427.

    Raises:
        CannotMeasure: there is no such layer, or its output is no tensor; see `layers.features`.
        MovingTarget: dropout or batch normalisation in training mode; a model that draws.

    >>> line = nn.Sequential(nn.Linear(1, 5), nn.Linear(5, 2))
    >>> _ = nn.init.zeros_(line[0].bias)
    >>> feature_rank(line, torch.linspace(-1, 1, 9)[:, None], "0").round(decimals=4)
    tensor(1., dtype=torch.float64)
    """
    rows = features(model, x, layer).flatten(1).double()
    return effective_rank(rows - rows.mean(0) if centred else rows, kind)


def training_rank(layer: str, kind: Kind = "entropy", name: str = "effective_rank") -> Instrument:
    """Effective rank of a layer's weight, recorded in training; of a convolution's as a matrix.

    Shape: (lane,). Unit: 1. Cost: one singular value decomposition a lane. Memory: the weight.
    Error: rounding. Source: see `effective_rank`.

    Raises:
        CannotMeasure: at the recording, if there is no such layer.

    >>> training_rank("0").name
    'effective_rank'
    """
    if kind not in ("entropy", "stable", "participation"):
        raise BadParameter(f"kind is {kind!r}", "entropy, stable or participation")

    def measure(snapshot: Snapshot) -> Tensor:
        weight, _ = stacked_layer(snapshot.parameters, layer)
        if weight.ndim < 3:
            raise CannotMeasure(
                f"{layer}.weight is no matrix", "name a linear layer or convolution"
            )
        return effective_rank(weight.flatten(2), kind)

    return Instrument(name, measure, long_name=f"{kind} rank of {layer}.weight")

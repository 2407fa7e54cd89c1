"""How alike samples, or the tokens of a sample, have become at each layer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from chymist.errors import BadParameter, CannotMeasure
from chymist.instruments.layers import Layers
from chymist.instruments.moments import training_names
from chymist.instruments.passing import (
    Passing,
    all_finite,
    one_network,
    template,
    training_lanes,
)
from chymist.instruments.snapshot import Instrument, Snapshot


@dataclass(frozen=True, eq=False)
class Similarity:
    """Mean cosine between samples at every layer, and mean correlation, their means taken off.

    Over all pairs of two samples. A sample without direction, all zeros (or all equal, for the
    correlation), is left out; NaN where fewer than two are left.
    """

    layers: tuple[str, ...]
    cosine: Float[Tensor, "*lane layer"]
    correlation: Float[Tensor, "*lane layer"]


@dataclass(frozen=True, eq=False)
class TokenSimilarity:
    """How alike the tokens of a sample are at every layer, mean over samples.

    `cosine` is the mean over pairs of tokens. `residual` is ||H - 1 m^T||_F / ||H||_F, m the mean
    token: 0 where all tokens are equal, whose rank has collapsed to one. A sample of zeros is left
    out.
    """

    layers: tuple[str, ...]
    cosine: Float[Tensor, "*lane layer"]
    residual: Float[Tensor, "*lane layer"]


def sample_similarity(model: nn.Module, x: Any, layers: Layers = None) -> Similarity:
    """Mean cosine and correlation between samples, for every layer of a network.

    Of layer l with activations h_a of sample a, flattened: mean over a != b of
    h_a . h_b / (||h_a|| ||h_b||); the correlation likewise after each h_a's mean over its entries
    is taken off. Rows as in `second_moments`; layers whose first dimension is not that of samples
    are left out.

    Shapes: (layer,), float64. Unit: 1. Cost: four forward passes; linear in samples. Memory: one
    layer's activations in float64. Error: rounding. Source: Poole et al. (2016), arXiv:1606.05340.

    Raises:
        BadParameter: a pattern matches no layer.
        MovingTarget: dropout or batch normalisation in training mode; a model that draws.
        CannotMeasure: fewer than two samples; a layer is not called or has no samples; a tensor is
            not finite; dtypes or devices are mixed.

    >>> x = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    >>> sample_similarity(nn.Identity(), x).cosine  # (0 + 2 / sqrt(2)) / 3
    tensor([0.4714], dtype=torch.float64)
    """
    made = one_network(model, x, layers)
    _two(made)
    names, values = _by_layer(made, _samples_alike(made.samples), "has no row for each sample")
    return Similarity(names, values[0, :, 0], values[0, :, 1])


def token_similarity(
    model: nn.Module, x: Any, layers: Layers = None, *, tokens: int = 1
) -> TokenSimilarity:
    """Mean cosine between the tokens of a sample, and their distance from rank one, every layer.

    Layers that hand on (sample, token, feature) count, in any order: `tokens` says which dimension
    the tokens are (0 for sequence first, with samples second); two tokens are needed. See
    `TokenSimilarity` for the definitions.

    Shapes: (layer,), float64. Unit: 1. Cost: four forward passes; linear in tokens. Memory: one
    layer's activations in float64. Error: rounding. Source: Dong, Cordonnier, Loukas (2021),
    arXiv:2103.03404; Noci et al. (2022), arXiv:2206.03126.

    Raises:
        BadParameter: a pattern matches no layer, or tokens is neither 0 nor 1.
        MovingTarget: dropout or batch normalisation in training mode; a model that draws.
        CannotMeasure: no layer hands on tokens, or one named does not; a tensor is not finite;
            dtypes or devices are mixed; there are no samples.

    Tokens (1, 0) and (0, 1) are at right angles, and half of their size is their mean:

    >>> found = token_similarity(nn.Identity(), torch.eye(2)[None])
    >>> found.cosine, found.residual
    (tensor([0.], dtype=torch.float64), tensor([0.7071], dtype=torch.float64))
    """
    if tokens not in (0, 1):
        raise BadParameter(f"tokens is {tokens}", "0 or 1: the dimension of tokens")
    made = one_network(model, x, layers)
    names, values = _by_layer(made, _tokens_alike(tokens), "hands on no (sample, token, feature)")
    return TokenSimilarity(names, values[0, :, 0], values[0, :, 1])


def training_similarity(
    model: nn.Module, layers: Layers = None, *, name: str = "similarity"
) -> Instrument:
    """Return an instrument that records the mean cosine between training samples, every layer.

    The numbers are those of `sample_similarity`, of all lanes at once. `model` and `layers` as in
    `training_moments`. Shape: (lane, layer). Unit: 1. Cost: one forward pass over all training
    samples. Memory: every lane's activations of one layer in float64. Error: rounding. Source:
    Poole et al. (2016), arXiv:1606.05340.

    Raises:
        BadParameter: a pattern matches no layer.
        MovingTarget: dropout or batch normalisation in training mode.
        CannotMeasure: at the recording, if a layer is not called or the networks differ.

    >>> training_similarity(nn.Sequential(nn.Linear(1, 1), nn.Tanh())).coords
    {'layer': ['0', '1']}
    """
    long_name = "mean cosine between samples"
    return _recorded(model, layers, name, long_name, lambda made: _samples_alike(made.samples))


def training_token_similarity(
    model: nn.Module, layers: Layers, *, tokens: int = 1, name: str = "token_similarity"
) -> Instrument:
    """Return an instrument that records the mean cosine between a sample's tokens, every layer.

    The numbers are those of `token_similarity`, of all lanes at once. `model` as in
    `training_moments`; `layers` must hand on tokens. Shape: (lane, layer). Unit: 1. Cost: one
    forward pass over all training samples. Memory: every lane's activations of one layer in
    float64. Error: rounding. Source: Dong, Cordonnier, Loukas (2021), arXiv:2103.03404.

    Raises:
        BadParameter: a pattern matches no layer.
        MovingTarget: dropout or batch normalisation in training mode.
        CannotMeasure: at the recording, if a layer hands on no tokens or the networks differ.

    >>> training_token_similarity(nn.Sequential(nn.MultiheadAttention(2, 1)), "0").coords
    {'layer': ['0']}
    """
    long_name = "mean cosine between the tokens of a sample"
    return _recorded(model, layers, name, long_name, lambda _: _tokens_alike(tokens))


def mean_cosine(rows: Float[Tensor, "*any row entry"]) -> Float[Tensor, "*any"]:
    """Mean cosine over pairs of two different rows, in float64; rows of zeros are left out.

    From the length of the sum of the rows' directions: linear in their number.

    >>> mean_cosine(torch.tensor([[1.0, 0.0], [-2.0, 0.0], [0.0, 0.0]]))
    tensor(-1., dtype=torch.float64)
    """
    size = rows.double().norm(dim=-1, keepdim=True)
    there = size > 0
    unit = torch.where(there, rows.double() / torch.where(there, size, 1.0), 0.0)
    count = there.sum((-1, -2)).double()
    pairs = count * (count - 1)
    total = unit.sum(-2).square().sum(-1) - count
    return torch.where(pairs > 0, total / torch.where(pairs > 0, pairs, 1.0), torch.nan)


def _samples_alike(samples: int) -> Callable[[Tensor], Tensor | None]:
    def both(tensor: Tensor) -> Tensor | None:
        if tensor.ndim < 2 or len(tensor) != samples:
            return None
        rows = tensor.double().flatten(1)
        centred = rows - rows.mean(1, keepdim=True)
        # What rounding leaves of equal entries has no direction.
        scale = 1e-14 * rows.abs().amax(1, keepdim=True)
        centred = torch.where(centred.abs().amax(1, keepdim=True) > scale, centred, 0.0)
        return torch.stack([mean_cosine(rows), mean_cosine(centred)])

    return both


def _tokens_alike(tokens: int) -> Callable[[Tensor], Tensor | None]:
    def both(tensor: Tensor) -> Tensor | None:
        if tensor.ndim != 3 or tensor.shape[tokens] < 2:
            return None
        rows = (tensor if tokens == 1 else tensor.transpose(0, 1)).double()
        size = rows.flatten(1).norm(dim=1)
        left = (rows - rows.mean(1, keepdim=True)).flatten(1).norm(dim=1)
        return torch.stack([mean_cosine(rows).nanmean(), (left / size).nanmean()])

    return both


def _two(made: Passing) -> None:
    if made.samples < 2:
        raise CannotMeasure("the input x has one sample", "similarity needs two or more samples")


def _by_layer(
    made: Passing, reduce: Callable[[Tensor], Tensor | None], why: str
) -> tuple[tuple[str, ...], Tensor]:
    """Return the layers that have the statistic, and it, (lane, layer, number)."""
    if made.lanes == 1:
        # Values that are not finite are told from numbers that are not defined.
        all_finite(made.statistics(lambda t: t.detach().abs().amax() if t.numel() else None))
    found = made.statistics(reduce)
    made.seen(found, why)
    return tuple(found), torch.stack(list(found.values()), dim=1)


def _recorded(
    model: nn.Module,
    layers: Layers,
    name: str,
    long_name: str,
    statistic: Callable[[Passing], Callable[[Tensor], Tensor | None]],
) -> Instrument:
    own, names = template(model), training_names(model, layers)

    def measure(snapshot: Snapshot) -> Tensor:
        made = training_lanes(own, names, snapshot)
        found = made.statistics(statistic(made))
        made.seen(found, "is not called, or hands on nothing to compare")
        return torch.stack([found[n][:, 0] for n in names], dim=1)

    return Instrument(name, measure, dims=("layer",), coords={"layer": names}, long_name=long_name)

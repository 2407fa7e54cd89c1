"""Errors of the low and the high part of a network's output, split on the graph of its inputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from chymist.errors import CannotMeasure
from chymist.instruments.alone import outputs, pair
from chymist.instruments.graph_filter import (
    SHARES,
    checked_widths,
    choose_widths,
    graph_lowpass,
    low_passed,
)
from chymist.instruments.objective import Data
from chymist.instruments.passing import one_network
from chymist.instruments.snapshot import Instrument, Snapshot
from chymist.instruments.targets import against_targets

NOTHING = 1e-9
"""Norm of a part, relative to the whole, that is rounding."""


@dataclass(frozen=True, eq=False)
class FilterError:
    """Relative errors of the two parts of the targets, for every width of the filter.

    `low` is ||G (f - y)|| / ||G y||, `high` the same of what G takes away, `share` the high part's
    share of the targets' energy, ||y - G y||^2 / ||y||^2: a split says something where it is some
    0.2 to 0.8. NaN where a part of the targets is nothing.
    """

    widths: Float[Tensor, " filter"]
    low: Float[Tensor, " filter"]
    high: Float[Tensor, " filter"]
    share: Float[Tensor, " filter"]


def filter_error(
    model: nn.Module,
    data: Data,
    widths: Sequence[float] | None = None,
    *,
    shares: Sequence[float] = SHARES,
) -> FilterError:
    """Errors of the low and the high part of one network's output on data (x, y).

    The low part of values y is G y, G_ij = exp(-|x_i - x_j|^2 / (2 d)) / row sum over all samples,
    the high part y - G y; errors are relative, Frobenius norms over samples and outputs. Widths d
    are variances, in units of the inputs squared; unless given they are chosen so that the high
    part has the `shares` of the targets' energy about their mean (`choose_widths`). Frequency is
    that of the map from inputs to outputs, not of a picture that is an input. Of classes, softmax
    outputs against indicators (`against_targets`). An output that starts large is noise between
    neighbours, and its high error starts above 1.

    Shapes: (filter,), float64. Unit: 1. Cost: exact; three forward passes, two of them checks, and
    samples^2 x (features + widths x outputs); of chosen widths, `choose_widths` too. Memory:
    outputs and inputs in float64, and 16 rows of G at a time; G is never kept. Error: rounding.
    Source: Xu, Zhang, Luo, Xiao, Ma (2020), arXiv:1901.06523.

    Raises:
        BadParameter: a width is not positive, or a share outside of 0..1.
        CannotMeasure: no width has a share; targets and outputs do not fit; see `alone`.
        MovingTarget: dropout or batch normalisation in training mode; a model that draws.

    A network that puts out the mean of the targets has learnt the constant, which is all low:

    >>> x = torch.linspace(-1, 1, 5)[:, None]
    >>> class One(nn.Module):
    ...     def forward(self, x):
    ...         return torch.ones(len(x), 1)
    >>> found = filter_error(One(), (x, 1 + x), [1e-3, 1e3])
    >>> found.high.round(decimals=3)[1], found.low.round(decimals=3)[1]
    (tensor(1., dtype=torch.float64), tensor(0., dtype=torch.float64))
    """
    x, y = pair(data)
    if not isinstance(x, Tensor):
        raise CannotMeasure(f"the inputs are of type {type(x).__name__}", "give one tensor")
    with torch.no_grad():
        out, goal = against_targets(outputs(one_network(model, x, y=y)).double(), y)
    rows = x.detach().reshape(len(x), -1)
    d = checked_widths(choose_widths(rows, goal, shares) if widths is None else widths)
    both = torch.cat([goal, out[0] - goal], dim=-1)
    low = low_passed(rows, both, d)
    count = goal.shape[-1]
    sizes = [
        part.square().sum((-2, -1)).sqrt()
        for filtered in (low, both - low)
        for part in (filtered[..., :count], filtered[..., count:])
    ]
    whole = goal.norm()
    return FilterError(
        torch.tensor(d, dtype=torch.float64, device=goal.device),
        sizes[1] / _content(sizes[0], whole),
        sizes[3] / _content(sizes[2], whole),
        (sizes[2] / whole).square(),
    )


def training_filter_error(
    widths: Sequence[float], *, kept: int = 2**28, name: str = "filter_error"
) -> Instrument:
    """Return an instrument that records the errors of the low and the high part of the training.

    The numbers are those of `filter_error`, of all lanes at once. The filters are made at the first
    recording and kept where they take at most `kept` bytes; otherwise they are made anew, block by
    block, at every recording. Shape: (lane, part, filter), `part` low and high, `filter` the width.
    Unit: 1; NaN where a part of the targets is nothing. Cost: no forward pass in full-batch
    training; a product of matrices, widths x samples^2 x outputs, a lane, and what making filters
    takes. Memory: widths x samples^2 numbers (times lanes, where lanes have their own inputs) if
    they are kept, else 16 rows of a filter; and widths x samples x outputs a lane. Error: rounding
    in the training's dtype. Source: Xu, Zhang, Luo, Xiao, Ma (2020), arXiv:1901.06523.

    Raises:
        BadParameter: no widths, or one that is not positive.
        CannotMeasure: at the recording, if targets and outputs do not fit.

    >>> training_filter_error([0.5, 2.0]).coords
    {'part': ['low', 'high'], 'filter': [0.5, 2.0]}
    """
    d = checked_widths(widths)

    def filters(snapshot: Snapshot) -> Tensor:
        each = snapshot.x if snapshot.x.ndim == 3 else snapshot.x[None]
        made = [torch.stack([graph_lowpass(x, w).to(x) for w in d]) for x in each]
        return torch.stack(made) if snapshot.x.ndim == 3 else made[0]

    def split(snapshot: Snapshot, values: Tensor) -> Tensor:
        """Return norms (*lane, part, filter) of the parts of values (*lane, sample, output)."""
        x = snapshot.x
        samples, laned = x.shape[-2], x.ndim == 3
        numbers = len(d) * samples**2 * (len(x) if laned else 1)
        if numbers * x.element_size() <= kept:
            low = _applied(snapshot.once(filters), values)
        elif laned:
            own = values.expand(len(x), *values.shape[-2:])
            low = torch.stack([low_passed(a, b, d) for a, b in zip(x, own, strict=True)])
        else:
            low = low_passed(x, values, d)
        parts = torch.stack([low, values[..., None, :, :] - low], dim=-4)
        return parts.square().sum((-2, -1)).sqrt()

    def of_target(snapshot: Snapshot) -> Tensor:
        goal = against_targets(snapshot.prediction, snapshot.y)[1]
        whole = goal.square().sum((-2, -1)).sqrt()
        return _content(split(snapshot, goal), whole[..., None, None])

    def measure(snapshot: Snapshot) -> Tensor:
        out, goal = against_targets(snapshot.prediction, snapshot.y)
        return split(snapshot, out - goal) / snapshot.once(of_target)

    return Instrument(
        name, measure, ("part", "filter"), {"part": ["low", "high"], "filter": d},
        long_name="relative error of a part of the targets",
    )  # fmt: skip


def _applied(
    filters: Float[Tensor, "*one filter sample sample"],
    values: Float[Tensor, "*lane sample output"],
) -> Float[Tensor, "*lane filter sample output"]:
    if filters.ndim == 4:
        return filters @ values[..., None, :, :]
    # Lanes stand beside outputs, so that every filter is read once.
    joined = values.movedim(-2, 0)
    made = filters @ joined.reshape(len(joined), -1)
    return made.reshape(*made.shape[:2], *joined.shape[1:]).movedim((0, 1), (-3, -2))


def _content(size: Tensor, whole: Tensor) -> Tensor:
    few = max(NOTHING, 100 * torch.finfo(size.dtype).eps)
    return size.masked_fill(size <= few * whole, torch.nan)

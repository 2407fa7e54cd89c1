"""Classification margins: how far each sample is from being classed otherwise."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from chymist.errors import BadParameter, CannotMeasure
from chymist.instruments.homogeneity import needed_degree
from chymist.instruments.networks import Networks, of_snapshot, of_tensor
from chymist.instruments.objective import Data
from chymist.instruments.snapshot import Instrument, Snapshot


def margins(model: nn.Module, data: Data, **options: Any) -> Float[Tensor, " sample"]:
    """Margin of each sample, data (x, y): f_y - max over j != y of f_j; y f for one output.

    Positive where the sample is classed as y. The classes y are indices (sample,), or one-hot rows;
    of one output, signs -1 and 1, or 0 and 1 for below and above zero. Shape: (sample,), float64.
    Unit: of the outputs. `options` go to `of_tensor`. Cost: a forward pass, and two of checks.
    Memory: the outputs. Error: rounding. Source: Bartlett, Foster, Telgarsky (2017),
    arXiv:1706.08498.

    Raises:
        CannotMeasure: y holds no classes; see `of_tensor`.
        MovingTarget: see `of_tensor`.

    >>> line = nn.Linear(1, 1, bias=False)
    >>> with torch.no_grad():
    ...     _ = line.weight.fill_(2.0)
    >>> margins(line, (torch.tensor([[3.0], [-1.0]]), torch.tensor([1, 1])))
    tensor([ 6., -2.], dtype=torch.float64)
    """
    made = classified(model, data, **options)
    return least(pairs(made.outputs(), made.y))[0]


def normalised_margin(
    model: nn.Module,
    data: Data,
    *,
    degree: float | None = None,
    smoothed: bool = False,
    **options: Any,
) -> Tensor:
    """Least margin over a power of the weights' norm: min_i q_i / ||w||^L, q_i as in `margins`.

    L is the network's degree of homogeneity, measured unless `degree` gives it: then no scale of
    the weights changes the number. ||w|| is Euclidean, over all trained parameters. `smoothed` puts
    -ln sum exp(-q) in place of the least, over all samples and other classes (a sum, not a mean),
    which gradient flow never lowers. Shape: a number, float64. Unit: outputs over weights^L.
    `options` go to `of_tensor`. Cost: a forward pass, 3 gradient evaluations for the degree, and
    two forward passes of checks. Memory: twice a gradient's. Error: rounding. Source: Lyu, Li
    (2020), arXiv:1906.05890.

    Raises:
        CannotMeasure: the network is not homogeneous, and no degree is given; see `margins`.

    A line w x, w = 2, has the degree 1 and the margin x:

    >>> line = nn.Linear(1, 1, bias=False).double()
    >>> with torch.no_grad():
    ...     _ = line.weight.fill_(2.0)
    >>> x = torch.tensor([[3.0], [5.0]], dtype=torch.float64)
    >>> normalised_margin(line, (x, torch.tensor([1, 1]))).round(decimals=9)
    tensor(3., dtype=torch.float64)
    """
    made = classified(model, data, **options)
    power = needed_degree(made) if degree is None else degree
    return normalised(made, power, smoothed=smoothed)[0]


def training_margin(
    *,
    degree: float = 0.0,
    quantile: float = 0.0,
    smoothed: bool = False,
    name: str = "margin",
) -> Instrument:
    """Return an instrument that records a margin of the training samples over ||w||^degree.

    The least of all samples, their `quantile` (interpolated), or the smoothed one of
    `normalised_margin`. Shape: (lane,), float64. Unit: outputs over weights^degree. Targets are
    (sample, 1) signs or class indices, or one-hot rows. Cost: a forward pass with gradients' memory
    or less. Memory: the outputs, and a graph. Error: rounding. Source: Lyu, Li (2020),
    arXiv:1906.05890.

    Raises:
        BadParameter: a quantile outside 0..1, or one with `smoothed`.
        CannotMeasure: at the recording, if the targets are no classes.

    >>> training_margin(degree=2, smoothed=True).name
    'margin'
    """
    if not 0 <= quantile <= 1 or (smoothed and quantile):
        raise BadParameter(
            f"quantile is {quantile} and smoothed {smoothed}", "0 to 1, and 0 where it is smoothed"
        )

    def measure(snapshot: Snapshot) -> Tensor:
        made = of_snapshot(snapshot)
        return normalised(made, degree, quantile=quantile, smoothed=smoothed)

    which = "smoothed" if smoothed else f"{quantile:g} quantile of the" if quantile else "least"
    return Instrument(name, measure, long_name=f"{which} margin over the norm^{degree:g}")


def classified(model: nn.Module, data: Data, **options: Any) -> Networks:
    """Make one model and data (x, y) lanes with targets; see `of_tensor`."""
    if not isinstance(data, tuple | list) or len(data) != 2 or not isinstance(data[1], Tensor):
        raise CannotMeasure("the data are not a pair of tensors", "give (x, y)")
    return of_tensor(model, *data, flat=False, **options)


def normalised(
    made: Networks, degree: float | Tensor, *, quantile: float = 0.0, smoothed: bool = False
) -> Float[Tensor, " lane"]:
    """Return every lane's margin over ||w||^degree; see `training_margin`. NaN for lost lanes."""
    outputs = made.outputs()
    every = pairs(outputs, made.y)
    if smoothed:
        margin = -torch.logsumexp(-every.flatten(1), dim=1)
    else:
        margin = torch.quantile(least(every), quantile, dim=1)
    lost = ~outputs.flatten(1).isfinite().all(1)
    return (margin / made.norm**degree).masked_fill(lost, torch.nan)


def least(every: Float[Tensor, "lane sample other"]) -> Float[Tensor, "lane sample"]:
    """Return the least of each sample's margins over other classes."""
    return every.amin(2)


def pairs(
    outputs: Float[Tensor, "lane sample output"], y: Tensor
) -> Float[Tensor, "lane sample other"]:
    """Return f_y - f_j for every class j but y, infinite at j = y; or y f, of one output.

    Raises:
        CannotMeasure: y holds no classes of these outputs.

    >>> pairs(torch.tensor([[[1.0, 3.0, 0.0]]]), torch.tensor([1]))
    tensor([[[2., inf, 3.]]])
    """
    lanes, samples, count = outputs.shape
    goal = y.detach()
    if goal.ndim and goal.shape[-1] == 1 and goal.ndim > 1:
        goal = goal[..., 0]
    if count == 1:
        if not _among(goal, (-1, 1)) and not _among(goal, (0, 1)):
            raise CannotMeasure(
                "the targets of one output are not two classes", "give -1 and 1, or 0 and 1"
            )
        sign = torch.where(goal > 0, 1.0, -1.0).to(outputs)
        return sign.reshape(-1, samples, 1) * outputs
    one_hot = goal.ndim > 1 and goal.shape[-1] == count
    if one_hot:
        top = goal == goal.amax(-1, keepdim=True)
        low = goal == goal.amin(-1, keepdim=True)
        if not bool(((top.sum(-1) == 1) & (low.sum(-1) == count - 1)).all()):
            raise CannotMeasure(
                "the targets are not one-hot rows", "give classes: indices, or one-hot rows"
            )
        goal = top.long().argmax(-1)
    if not bool(((goal >= 0) & (goal < count) & (goal == goal.long())).all()):
        raise CannotMeasure(
            f"the targets are not classes 0 to {count - 1}", "give class indices or one-hot rows"
        )
    goal = goal.long().reshape(-1, samples).expand(lanes, samples)[..., None]
    apart = outputs.gather(2, goal) - outputs
    return apart.scatter(2, goal, torch.inf)


def _among(values: Tensor, allowed: tuple[int, ...]) -> bool:
    return bool(torch.stack([values == a for a in allowed]).any(0).all())

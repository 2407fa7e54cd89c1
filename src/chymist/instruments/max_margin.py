"""How near a network is to a stationary point of the max-margin problem."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from chymist.errors import BadParameter
from chymist.instruments.margins import classified, pairs
from chymist.instruments.networks import Networks, of_snapshot
from chymist.instruments.objective import Data
from chymist.instruments.snapshot import Instrument, Snapshot


@dataclass(frozen=True, eq=False)
class Stationarity:
    """How far the conditions of Karush, Kuhn and Tucker fail, all free of the weights' scale.

    `residual` is min over l >= 0 of ||w - sum_i l_i grad q_i|| / ||w||, over margins q_i up to
    (1 + tolerance) times the least, and `cosine` that of w to the sum, (1 - residual^2)^1/2.
    `slack` is sum_i l_i (q_i - q_min) / sum_i l_i q_i: 0 if least margins alone carry weight.
    `multipliers` are the l_i (sample, other class), zero where a margin is above. Everything is NaN
    where a sample is misclassed: there is then no margin to be stationary for.
    """

    residual: Float[Tensor, "*lane"]
    cosine: Float[Tensor, "*lane"]
    slack: Float[Tensor, "*lane"]
    active: Tensor
    multipliers: Float[Tensor, "*lane sample other"]

    def lane(self, lane: int) -> Stationarity:
        """Return one lane's result, without the lane dimension."""
        return Stationarity(
            self.residual[lane], self.cosine[lane], self.slack[lane],
            self.active[lane], self.multipliers[lane],
        )  # fmt: skip


def max_margin_stationarity(
    model: nn.Module, data: Data, *, tolerance: float = 0.05, **options: Any
) -> Stationarity:
    """How far a homogeneous network is from stationary for min ||w||^2 subject to margins >= 1.

    Margins q are of every sample against every other class, as in `margins`. The multipliers are
    the best by non-negative least squares: for directions of w alone, at any scale. See
    `Stationarity` for what is returned; a tight tolerance sees too few margins, so state it.
    Shapes: numbers, float64. Unit: 1. `options` go to `of_tensor`. Cost: a gradient evaluation for
    each margin within the tolerance, a QR decomposition of their gradients, and two forward passes
    of checks. Memory: those gradients. Error: rounding. Source: Lyu, Li (2020), arXiv:1906.05890.

    Raises:
        BadParameter: the tolerance is negative.
        CannotMeasure: see `margins`.

    The direction that separates two points best is that from one to the other:

    >>> x = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
    >>> svm = nn.Linear(2, 1, bias=False)
    >>> with torch.no_grad():
    ...     _ = svm.weight.copy_(torch.tensor([[7.0, 0.0]]))
    >>> max_margin_stationarity(svm, (x, torch.tensor([1, -1]))).residual
    tensor(0., dtype=torch.float64)
    """
    return stationarity(classified(model, data, **options), tolerance).lane(0)


def training_stationarity(
    *, tolerance: float = 0.05, name: str = "max_margin_residual"
) -> Instrument:
    """Return an instrument that records the residual of `max_margin_stationarity`.

    Of the training samples, whose targets are as for `training_margin`. Shape: (lane,), float64.
    Unit: 1. Cost: a gradient evaluation of all lanes for each margin within the tolerance in any.
    Memory: their gradients. Error: rounding. NaN while a sample is misclassed. Source: Lyu, Li
    (2020), arXiv:1906.05890.

    >>> training_stationarity().name
    'max_margin_residual'
    """
    _allowed(tolerance)
    return Instrument(
        name,
        lambda snapshot: _recorded(snapshot, tolerance),
        long_name="distance from stationarity of the max-margin problem",
    )


def stationarity(made: Networks, tolerance: float = 0.05) -> Stationarity:
    """Return every lane's result; see `max_margin_stationarity`."""
    _allowed(tolerance)
    leaves, outputs = made.traced(made.x)
    with torch.enable_grad():
        every = pairs(outputs, made.y).flatten(1)
    q = every.detach().double()
    smallest = q.amin(1)
    separated = (smallest > 0) & q.isfinite().any(1)
    active = (q <= (1 + tolerance) * smallest[:, None]) & separated[:, None]
    weights = torch.cat([w.detach().double().reshape(len(w), -1) for w in leaves], 1).cpu()
    columns = torch.nonzero(active.any(0)).flatten().tolist()
    slopes = torch.stack([_slope(every, c, leaves) for c in columns], 1) if columns else None
    multipliers = torch.zeros_like(q)
    residual = torch.full_like(smallest, torch.nan)
    for lane in torch.nonzero(separated).flatten().tolist():
        own = [i for i, c in enumerate(columns) if bool(active[lane, c])]
        assert slopes is not None  # noqa: S101 (a lane that is separated has a least margin)
        found, left = _least_squares(slopes[lane, own], weights[lane])
        multipliers[lane, [columns[i] for i in own]] = found.to(multipliers)
        residual[lane] = left
    carried = torch.where(multipliers > 0, multipliers * q, 0.0).sum(1)
    slack = 1 - smallest * multipliers.sum(1) / carried
    samples, others = outputs.shape[1:]
    return Stationarity(
        residual,
        (1 - residual.square()).clamp(min=0).sqrt(),
        slack.clamp(min=0),
        active.sum(1),
        multipliers.masked_fill(~separated[:, None], torch.nan).reshape(-1, samples, others),
    )


def _recorded(snapshot: Snapshot, tolerance: float) -> Tensor:
    return stationarity(of_snapshot(snapshot), tolerance).residual


def _allowed(tolerance: float) -> None:
    if not tolerance >= 0:
        raise BadParameter(f"tolerance is {tolerance}", "0 or more")


def _slope(margins: Tensor, column: int, leaves: tuple[Tensor, ...]) -> Tensor:
    """Return every lane's gradient (lane, parameter) of one margin."""
    one = torch.zeros_like(margins)
    one[:, column] = 1
    slopes = torch.autograd.grad(margins, leaves, one, retain_graph=True, allow_unused=True)
    parts = [
        (torch.zeros_like(w) if s is None else s).double().reshape(len(w), -1)
        for s, w in zip(slopes, leaves, strict=True)
    ]
    return torch.cat(parts, 1).cpu()


def _least_squares(rows: Tensor, goal: Tensor) -> tuple[Tensor, float]:
    """Return l >= 0 with the least ||goal - l rows||, and that over ||goal||."""
    from scipy.optimize import nnls

    # A QR decomposition leaves as many equations as unknowns, however many weights there are.
    size = rows.norm(dim=1).clamp(min=torch.finfo(rows.dtype).tiny)
    scale = goal.norm()
    whole = torch.cat([rows / size[:, None], goal[None] / scale]).mT
    r = torch.linalg.qr(whole, mode="r")[1].numpy()
    found, left = nnls(r[:, :-1], r[:, -1], maxiter=max(100, 30 * r.shape[1]))
    return torch.from_numpy(np.asarray(found)) * scale / size, float(left)

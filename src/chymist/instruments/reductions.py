"""How a loss puts its samples together: as a mean, or as a sum."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as tree

from chymist.errors import CannotMeasure
from chymist.instruments.snapshot import Snapshot


def own_share(
    losses: Callable[[Any, Tensor], Tensor], out: Any, y: Tensor, samples: int, dim: int = 0
) -> int:
    """By what to multiply a batch's loss for each sample to count as by itself: n of a mean, or 1.

    A trial tells: with every sample twice a mean stays, and a sum doubles. `out` are tensors with
    the samples along `dim`, `y` has them there, too, or first where it has no lanes. Lanes that are
    not finite do not count. Cost: two evaluations of the loss, without its network.

    Raises:
        CannotMeasure: the loss is neither, or does not take another number of samples.

    >>> out, y = torch.tensor([[1.0], [3.0]]), torch.zeros(2, 1)
    >>> own_share(torch.nn.functional.mse_loss, out, y, 2)
    2
    >>> own_share(lambda out, y: (out - y).square().sum(), out, y, 2)
    1
    """

    def twice(tensor: Any, along: int) -> Any:
        there = isinstance(tensor, Tensor) and tensor.ndim > along
        return torch.cat([tensor, tensor], along) if there else tensor

    with torch.no_grad():
        once = losses(out, y).reshape(-1)
        try:
            double = losses(
                tree.tree_map(lambda t: twice(t, dim), out), twice(y, dim if y.ndim > 2 else 0)
            ).reshape(-1)
        except (RuntimeError, ValueError, IndexError) as error:
            raise CannotMeasure(
                "the loss does not take every sample twice",
                'single samples\' losses are known of one with reduction="mean" or "sum"',
            ) from error
    finite = once.isfinite()
    limit = 1000 * torch.finfo(once.dtype).eps * once.abs()
    for factor, share in ((1, samples), (2, 1)):
        if bool(((double - factor * once).abs() <= limit)[finite].all()):
            return share
    lane = int(torch.where(finite, (double - once).abs(), 0.0).argmax())
    raise CannotMeasure(
        f"the loss is {float(once[lane]):.6g}, and {float(double[lane]):.6g} with every sample "
        "twice: neither a mean nor a sum over samples",
        'train on a loss that is one, as with reduction="mean"',
    )


def snapshot_share(snapshot: Snapshot, out: Tensor) -> int:
    """Return `own_share` of the loss of a training, at outputs (lane, sample, feature)."""
    return own_share(snapshot.losses_of, out.detach(), snapshot.y, snapshot.x.shape[-2], dim=1)

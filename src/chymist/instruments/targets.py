"""Outputs and what they should be, in one form: rows of numbers, classes as indicators."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from chymist.errors import CannotMeasure


def against_targets(
    outputs: Float[Tensor, "lane sample output"], y: Tensor
) -> tuple[Float[Tensor, "lane sample output"], Float[Tensor, "*lane sample output"]]:
    """Return outputs and targets of the same last two dimensions.

    Targets are rows of numbers (*lane, sample, output), or numbers (sample,) of one output. Class
    indices, (sample,) or (*lane, sample, 1) for several outputs, become indicators, and the outputs
    then go through a softmax: probabilities against indicators.

    Raises:
        CannotMeasure: y fits neither, or is not finite.

    >>> out, goal = against_targets(torch.zeros(1, 1, 2), torch.tensor([1]))
    >>> out.tolist(), goal.tolist()
    ([[[0.5, 0.5]]], [[0.0, 1.0]])
    """
    samples, count = outputs.shape[-2:]
    goal = y.detach()
    if goal.ndim == 1:
        goal = goal[:, None]
    elif goal.shape[-2:] != (samples, count) and goal.shape[0] == samples:
        goal = goal.reshape(samples, -1)
    if not bool(goal.isfinite().all()):
        bad = int((~goal.isfinite()).sum())
        raise CannotMeasure(
            f"the target y has {bad} of {goal.numel()} values that are not finite",
            "a measurement needs finite values",
        )
    if goal.shape[-2:] == (samples, count):
        return outputs, goal.to(outputs)
    if goal.shape[-2:] != (samples, 1):
        raise CannotMeasure(
            f"the targets have shape {tuple(y.shape)}, the outputs {(samples, count)}",
            "give a target for each output, or class indices",
        )
    classes = goal[..., 0]
    if not bool(((classes >= 0) & (classes < count) & (classes == classes.round())).all()):
        raise CannotMeasure(
            f"the targets are not classes 0 to {count - 1}", "give class indices or rows of numbers"
        )
    return outputs.softmax(-1), torch.nn.functional.one_hot(classes.long(), count).to(outputs)

"""A training as it stands at one moment, ready for instruments: nothing of the user's is touched.

Instruments refuse a target that moves, so the patient is a copy of the model's modules that shares
its tensors: without dropout, and with batch normalisation by the batch's own statistics where the
model is in training mode, which is the function that is being trained.
"""

from __future__ import annotations

import copy
import inspect
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from chymist.errors import CannotMeasure, UsageError
from chymist.instruments.objective import Loss

HOOKS = tuple(n for n in vars(nn.Module()) if n.endswith(("_hooks", "_hooks_with_kwargs")))
"""Names under which a module keeps hooks."""


@dataclass
class Patient:
    """Model, loss and data of one moment. `memory` is the quantities' own, from one to the next.

    `x` is a tensor, or a tuple or mapping of tensors to call the model with; y a tensor (zeros
    where the loss takes the output alone). The parameters are those of the training, not copies.
    """

    model: nn.Module
    loss: Loss
    x: Any
    y: Tensor
    optimizer: torch.optim.Optimizer | None = None
    step: int = 0
    memory: dict[str, Any] = field(default_factory=dict)

    @property
    def data(self) -> tuple[Any, Tensor]:
        """Inputs and targets, as instruments take them."""
        return self.x, self.y


def patient(
    model: nn.Module,
    loss: Callable[..., Any],
    batch: Any,
    optimizer: torch.optim.Optimizer | None = None,
    *,
    step: int = 0,
    memory: dict[str, Any] | None = None,
) -> Patient:
    """Make a patient of a user's own model, loss and batch.

    `loss(output, target)`, or `loss(output)` for a model that computes its own loss. `batch` is
    (inputs, targets), inputs a tensor, or a tuple or a mapping to call the model with; for a loss
    of the output alone it is the inputs.

    Raises:
        UsageError: the loss takes no or more than two arguments; the batch fits neither form.
    """
    alone = arguments(loss) == 1
    if alone:
        x = batch
        first = next(iter(tensors(x)), None)
        if first is None:
            raise UsageError("the batch has no tensor", "give the model's inputs")
        y = torch.zeros(len(first), device=first.device)
        return Patient(still(model), lambda out, _: loss(out), x, y, optimizer, step, memory or {})
    if not (isinstance(batch, tuple | list) and len(batch) == 2):
        raise UsageError(
            f"the batch is of type {type(batch).__name__}",
            "give (inputs, targets), or a loss of the output alone: lambda out: out.loss",
        )
    x, y = batch
    if not isinstance(y, Tensor):
        raise UsageError(f"the targets are of type {type(y).__name__}", "give a tensor")
    return Patient(still(model), loss, x, y, optimizer, step, memory if memory is not None else {})


def arguments(loss: Callable[..., Any], *, none: bool = False) -> int:
    """Return how many arguments a loss takes: 2 (output, target) or 1 (output).

    With `none` a closure that takes 0 is allowed too.

    Raises:
        UsageError: the loss is not callable, or takes neither.
    """
    if not callable(loss):
        raise UsageError(f"the loss is of type {type(loss).__name__}", "give a function or module")
    called = loss.forward if isinstance(loss, nn.Module) else loss
    try:
        kinds = inspect.signature(called).parameters.values()
    except (TypeError, ValueError):
        return 2
    placed = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    if any(p.kind is inspect.Parameter.VAR_POSITIONAL for p in kinds):
        return 2
    positional = [p for p in kinds if p.kind in placed]
    needed = [p for p in positional if p.default is p.empty]
    if len(needed) in (1, 2) or (none and not positional):
        return len(needed)
    raise UsageError(
        f"the loss takes {len(needed)} arguments", "loss(output, target), or loss(output)"
    )


def tensors(x: Any) -> list[Tensor]:
    """Return the tensors of inputs."""
    parts = x.values() if isinstance(x, dict) else x if isinstance(x, tuple | list) else [x]
    return [t for t in parts if isinstance(t, Tensor)]


def still(model: nn.Module) -> nn.Module:
    """Copy a model's modules, not its tensors, as a function that stands still and hooks nothing.

    Raises:
        CannotMeasure: the model cannot be copied.
    """
    source = getattr(model, "_orig_mod", model)  # What torch.compile was given.
    shared: dict[int, Any] = {}
    for tensor in (*source.parameters(), *source.buffers()):
        shared[id(tensor)] = tensor
        if tensor.grad is not None:
            shared[id(tensor.grad)] = tensor.grad
    for module in source.modules():
        for name in HOOKS:
            shared[id(vars(module)[name])] = OrderedDict()
    try:
        made: nn.Module = copy.deepcopy(source, shared)
    except Exception as error:
        raise CannotMeasure(
            f"{type(model).__name__} cannot be copied: {error}", "keep only tensors and modules"
        ) from error
    for module in made.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.training:
            # Without running statistics a batch is normalised by its own in either mode.
            for name in ("running_mean", "running_var", "num_batches_tracked"):
                module.register_buffer(name, None)
    return made.eval()

"""A training as it stands at one moment, ready for instruments: nothing of the user's is touched.

Instruments refuse a target that moves, so the patient is a copy of the model's modules that shares
its tensors: without dropout, and with batch normalisation by the batch's own statistics where the
model is in training mode, which is the function that is being trained.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as tree

from chymist.doctor import arrangement
from chymist.doctor.stillness import bare, in_one_precision, still
from chymist.errors import CannotMeasure, UsageError
from chymist.instruments.calling import called
from chymist.instruments.checks import one_number, parts
from chymist.instruments.objective import Loss

__all__ = ["Patient", "Slopes", "arguments", "bare", "patient", "still", "tensors"]


@dataclass(frozen=True, eq=False)
class Slopes:
    """The loss, the model's output and the gradient by each trained parameter; None: unused."""

    loss: Tensor
    output: Any
    slopes: Mapping[str, Tensor | None]


@dataclass
class Patient:
    """Model, loss and data of one moment. `memory` is the quantities' own, from one to the next.

    `x` is a tensor, or a tuple or mapping of tensors to call the model with, samples first; y a
    tensor of as many (zeros where the loss takes the output alone, or targets that are none). The
    parameters are those of the training, not copies, unless they are of several dtypes or of half
    precision: those are copied in one that can be differentiated twice. `names` are the user's own
    parameters and their names, `mode` whether the user's model was in training mode.
    """

    model: nn.Module
    loss: Loss
    x: Any
    y: Tensor
    optimizer: torch.optim.Optimizer | None = None
    step: int = 0
    memory: dict[str, Any] = field(default_factory=dict)
    names: dict[int, str] = field(default_factory=dict)
    mode: bool = True
    given: Any = None

    @property
    def data(self) -> tuple[Any, Tensor]:
        """Inputs and targets, as instruments take them."""
        return self.x, self.y

    @property
    def samples(self) -> int:
        """How many samples the batch has."""
        return len(self.y)

    @property
    def used(self) -> list[str]:
        """The trained parameters that enter the loss: all that a curvature can be taken by."""
        return [n for n, s in self.slopes().slopes.items() if s is not None]

    def slopes(self) -> Slopes:
        """Loss, output and gradients at this step, kept; one gradient evaluation.

        Raises:
            CannotMeasure: no parameter is trained, the loss is not one number, or depends on none.
        """
        step, kept = self.memory.get("slopes", (None, None))
        if step == self.step and isinstance(kept, Slopes):
            return kept
        made = self._slopes()
        self.memory["slopes"] = (self.step, made)
        return made

    def _slopes(self) -> Slopes:
        own = {n: p.detach() for n, p in self.model.named_parameters()}
        trained = {n: p for n, p in self.model.named_parameters() if p.requires_grad}
        if not trained:
            raise CannotMeasure(
                "no parameter has requires_grad True", "call requires_grad_() on what is to train"
            )
        leaves = {n: own[n].requires_grad_() for n in trained}
        # Buffers are copied, so that a model that keeps a state cannot change its own.
        rest = {n: b.clone() for n, b in self.model.named_buffers()}
        with torch.enable_grad():
            out = called(self.model, {**own, **rest}, self.x)
            loss = one_number(self.loss(out, self.y))
            if not loss.requires_grad:
                raise CannotMeasure(
                    "the loss does not depend on any parameter",
                    "compute it from the model's output without detach, item or numpy",
                )
            found = torch.autograd.grad(loss, list(leaves.values()), allow_unused=True)
        slopes = {n: None if s is None else s.detach() for n, s in zip(leaves, found, strict=True)}
        bare_out = tree.tree_map(lambda t: t.detach() if isinstance(t, Tensor) else t, out)
        return Slopes(loss.detach(), bare_out, slopes)


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
    of the output alone it is the inputs. Inputs may hold what is no tensor, sequences may come
    first, targets may be anything that the loss takes; see `arrangement`.

    Raises:
        UsageError: the loss takes no or more than two arguments; the batch fits neither form.
        CannotMeasure: the model cannot be copied.
    """
    alone = arguments(loss) == 1
    if alone:
        x, y = batch, None
        if not tensors(x):
            raise UsageError("the batch has no tensor", "give the model's inputs")
    else:
        if not (isinstance(batch, tuple | list) and len(batch) == 2):
            raise UsageError(
                f"the batch is of type {type(batch).__name__}",
                "give (inputs, targets), or a loss of the output alone: lambda out: out.loss",
            )
        x, y = batch
    own, given = still(model), y
    precise = in_one_precision(own)
    own, x = arrangement.arranged(precise, x)
    if isinstance(y, Tensor) and y.ndim:
        own, x = arrangement.turned(own, x, len(y))
    like = next((p for p in own.parameters() if p.is_floating_point()), None)
    if like is not None:
        x, y = (tree.tree_map(lambda t: _as(t, like), v) for v in (x, y))
    called_with: Callable[..., Any] = (lambda out, _: loss(out)) if alone else loss
    samples = arrangement.count(x)
    if alone:
        goal = torch.zeros(samples)
    else:
        called_with, goal = arrangement.targets(loss, y, samples)
    first = next(iter(tensors(x)), None)
    if first is not None and goal is not y and not isinstance(y, Tensor):
        goal = goal.to(first.device)
    return Patient(
        own, called_with, x, goal, optimizer, step, memory if memory is not None else {},
        {id(p): n.replace("_orig_mod.", "") for n, p in bare(model).named_parameters()},
        model.training, given,
    )  # fmt: skip


def _as(value: Any, like: Tensor) -> Any:
    """Return real numbers in the dtype of the parameters; they keep whether they are leaves."""
    floating = isinstance(value, Tensor) and value.is_floating_point()
    return value.to(like.dtype) if floating and value.dtype != like.dtype else value


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
    """Return the tensors among inputs, which may hold what is none."""
    return [t for t in parts(x) if isinstance(t, Tensor)]

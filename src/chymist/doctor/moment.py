"""The patient of one moment of a user's loop: from the last call of the model and of its loss."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten, tree_unflatten

from chymist.doctor.loop import Call
from chymist.doctor.patient import Patient, still
from chymist.doctor.stillness import in_one_precision
from chymist.errors import CannotMeasure


def inputs_of(call: Call, dtype: torch.dtype | None) -> tuple[Any, Callable[..., Any], int]:
    """Return a call's inputs as instruments take them, how they make the call again, the samples.

    Inputs are the tensors that have as many rows as the first; a tensor, or a tuple of them. All
    else (flags, positions, masks without samples) stays as it was.

    Raises:
        CannotMeasure: the model was called with no tensor.
    """
    leaves, form = tree_flatten((call.args, call.words))
    first = next((t for t in leaves if isinstance(t, Tensor) and t.ndim), None)
    if first is None:
        raise CannotMeasure(
            "the model was called with no tensor", "call it with tensors, or as model(**batch)"
        )
    places = [
        i for i, t in enumerate(leaves)
        if isinstance(t, Tensor) and t.ndim and len(t) == len(first)
    ]  # fmt: skip
    # A loss may differentiate by the very tensor that the model is given.
    x = tuple(_cast(t if t.requires_grad and t.is_leaf else t.detach(), dtype)
              for t in (leaves[i] for i in places))  # fmt: skip
    # Tensors that are inputs are put back in their places by the call.
    rest = [None if i in places else v for i, v in enumerate(leaves)]

    def again(forward: Callable[..., Any], *given: Tensor) -> Any:
        filled = list(rest)
        for place, tensor in zip(places, given, strict=True):
            filled[place] = tensor
        args, words = tree_unflatten(filled, form)
        return forward(*args, **words)

    return (x[0] if len(x) == 1 else x), again, len(first)


def of_loop(
    model: nn.Module,
    loss: Callable[..., Any] | None,
    takes: int,
    call: Call,
    optimizer: torch.optim.Optimizer | None,
    step: int,
    memory: dict[str, Any],
    made: nn.Module | None = None,
) -> Patient:
    """Make the patient of the model's last call; y is zeros where no target is needed or known.

    A model of half or mixed precision is measured in its widest, on copies of what is narrower.
    `made` is a still copy from before, if there is one that still holds.

    Raises:
        CannotMeasure: the model cannot be copied, or was called with no tensor.
    """
    if made is None:
        made = in_one_precision(still(model))
    else:
        vars(made).pop("forward", None)  # That of the last call's inputs.
    like = next((p for p in made.parameters() if p.is_floating_point()), None)
    dtype = None if like is None else like.dtype
    x, again, samples = inputs_of(call, dtype)
    made.forward = functools.partial(again, made.forward)
    function, y = goal(loss, takes, call, samples)
    first = next(t for t in (x if isinstance(x, tuple) else (x,)))
    return Patient(
        made, function, x, _cast(y.to(first.device), dtype), optimizer, step, memory,
        {id(p): n for n, p in model.named_parameters()}, model.training,
        None if function is unseen else call.target,
    )  # fmt: skip


def goal(
    loss: Callable[..., Any] | None, takes: int, call: Call, samples: int
) -> tuple[Callable[[Any, Tensor], Any], Tensor]:
    """Return the loss as a function of the model's output and of targets with a row a sample."""
    nothing = torch.zeros(samples)
    if takes == 1 and loss is not None:
        alone = loss
        return lambda out, _: alone(out), nothing
    if not isinstance(call.target, Tensor):
        return unseen, nothing
    function = call.instead or loss
    if function is None:
        return unseen, nothing
    target, shape = call.target.detach(), call.shape
    rows = target.shape[1:]
    if target.ndim and len(target) == samples:
        y = target
    elif target.numel() % samples == 0 and target.ndim:
        y = target.reshape(samples, -1, *rows)
    else:
        return unseen, nothing

    def fitted(out: Any, y: Tensor) -> Any:
        flat = y if y.shape[1:] == rows else y.reshape(-1, *rows)
        return function(out if shape is None else shaped(out, shape), flat)

    return fitted, y


def unseen(*_: Any) -> Tensor:
    """Stand for a loss that was not seen.

    Raises:
        CannotMeasure: always.
    """
    raise CannotMeasure(
        "the loss was not seen", "call the loss that watch was given, or w.loss(output, target)"
    )


def shaped(out: Any, shape: torch.Size) -> Tensor:
    """Return the model's output as the loop gave it to the loss, whose input has this shape.

    Samples may be fewer than there. Done are: taking one tensor of several, joining leading
    dimensions, leaving out dimensions of one, moving the last to the second place.

    Raises:
        CannotMeasure: the loss was given something else.

    >>> shaped(torch.zeros(2, 5, 3), torch.Size([10, 3])).shape
    torch.Size([10, 3])
    """
    found = [t for t in tree_flatten(out)[0] if isinstance(t, Tensor) and t.is_floating_point()]
    if not found and isinstance(out, Mapping):
        found = [t for t in out.values() if isinstance(t, Tensor) and t.is_floating_point()]
    for t in found:
        if t.ndim == len(shape) and t.shape[1:] == shape[1:]:
            return t
    for t in found:
        if t.ndim > len(shape) and t.shape[t.ndim - len(shape) + 1 :] == shape[1:]:
            return t.reshape(-1, *shape[1:])
        if [n for n in t.shape[1:] if n > 1] == [n for n in shape[1:] if n > 1]:
            return t.reshape(-1, *shape[1:])
        if t.ndim == len(shape) and t.movedim(-1, 1).shape[1:] == shape[1:]:
            return t.movedim(-1, 1)
    raise CannotMeasure(
        f"the loss was given {tuple(shape)}, which is not the model's output",
        "give watch a loss of the output and the target, and call that",
    )


def placed(model: nn.Module, values: Mapping[str, Tensor]) -> None:
    """Put other values in the place of a copied model's parameters, tied ones together.

    The parameters that it shared are left as they are.
    """
    made = {id(p): nn.Parameter(values[n].to(p), p.requires_grad) for n, p in
            model.named_parameters() if n in values}  # fmt: skip
    for module in model.modules():
        for name, p in module._parameters.items():
            if p is not None and id(p) in made:
                module._parameters[name] = made[id(p)]


def _cast(tensor: Tensor, dtype: torch.dtype | None) -> Tensor:
    return tensor.to(dtype) if dtype and tensor.is_floating_point() else tensor

"""A copy of a user's modules that stands still, hooks nothing, and shares the user's tensors."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as tree

from chymist.errors import CannotMeasure

_HOOKS = tuple(n for n in vars(nn.Module()) if n.endswith(("_hooks", "_hooks_with_kwargs")))


def still(model: nn.Module) -> nn.Module:
    """Copy a model's modules, not its tensors, as a function that stands still and hooks nothing.

    Hooks of `torch.nn.utils` stay: they compute a weight, as old weight and spectral norms and
    pruning do. What a model keeps beside its parameters and buffers is copied, if it can be.

    Raises:
        CannotMeasure: the model cannot be copied.
    """
    source = bare(model)
    shared = _shared(source)
    try:
        made: nn.Module = copy.deepcopy(source, dict(shared))
    except Exception:
        made = _copied_where_possible(source, shared)
    for module in made.modules():
        for name, child in module.named_children():
            if bare(child) is not child:
                setattr(module, name, bare(child))
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.training:
            # Without running statistics a batch is normalised by its own in either mode.
            for name in ("running_mean", "running_var", "num_batches_tracked"):
                module.register_buffer(name, None)
    return with_own_slopes(made.eval())


def bare(model: nn.Module) -> nn.Module:
    """Return what `torch.compile` or a wrapper for parallel training was given.

    >>> line = nn.Linear(1, 1)
    >>> bare(nn.DataParallel(line)) is line
    True
    """
    if isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel):
        return bare(model.module)
    inner = getattr(model, "_orig_mod", None)
    return inner if isinstance(inner, nn.Module) else model


def in_one_precision(model: nn.Module) -> nn.Module:
    """Give a still copy with several dtypes, or half ones, tensors of its own in one.

    Instruments compute in one dtype, and curvature in half precision is rounding. The dtype is
    float64 if there is any, else float32. A copy that is in one already keeps sharing its tensors.
    """
    every = (*model.parameters(), *model.buffers())
    found = {t.dtype for t in every if t.is_floating_point()}
    if len(found) <= 1 and not found & {torch.float16, torch.bfloat16}:
        return model
    # Buffers alone, such as tables of positions, do not decide.
    wide = {p.dtype for p in model.parameters() if p.is_floating_point()}
    dtype = torch.float64 if torch.float64 in wide else torch.float32
    own: dict[int, Tensor] = {}
    for module in model.modules():
        for name, parameter in module._parameters.items():
            if parameter is not None and parameter.is_floating_point():
                made = nn.Parameter(parameter.detach().to(dtype), parameter.requires_grad)
                module._parameters[name] = own.setdefault(id(parameter), made)  # type: ignore[assignment]
        for name, buffer in module._buffers.items():
            if buffer is not None and buffer.is_floating_point():
                module._buffers[name] = buffer.to(dtype)
    return model


def at(model: nn.Module, parameters: Mapping[str, Tensor]) -> nn.Module:
    """Copy a still copy, with these tensors as the parameters of these names."""
    made = still(model)
    own: dict[int, nn.Parameter] = {}
    named = {id(p): n for n, p in model.named_parameters()}
    for module in made.modules():
        for name, parameter in module._parameters.items():
            whose = named.get(id(parameter), "")
            if parameter is not None and whose in parameters:
                new = nn.Parameter(parameters[whose], parameter.requires_grad)
                module._parameters[name] = own.setdefault(id(parameter), new)
    return made


def _shared(source: nn.Module) -> dict[int, Any]:
    """Return what a copy does not copy, as the memory of `copy.deepcopy`."""
    shared: dict[int, Any] = {}
    for tensor in (*source.parameters(), *source.buffers()):
        shared[id(tensor)] = tensor
        if tensor.grad is not None:
            shared[id(tensor.grad)] = tensor.grad
    for module in source.modules():
        for name in _HOOKS:
            hooks = vars(module).get(name)
            if hooks is not None:
                shared[id(hooks)] = OrderedDict((n, h) for n, h in hooks.items() if _computes(h))
        for value in vars(module).values():
            if isinstance(value, Tensor) and id(value) not in shared:
                # A tensor that was computed, such as a weight by weight norm, cannot be copied.
                shared[id(value)] = value.detach()
            elif isinstance(value, torch.Generator):
                own = torch.Generator(value.device)
                own.set_state(value.get_state())
                shared[id(value)] = own
    return shared


def _computes(hook: Any) -> bool:
    return type(hook).__module__.startswith("torch.nn.utils")


def _copied_where_possible(source: nn.Module, shared: dict[int, Any]) -> nn.Module:
    """Copy a model of which some attribute cannot be copied, such as a lock or an open file."""
    known = {id(m) for m in source.modules()}
    kept = dict(shared)
    for module in source.modules():
        for value in vars(module).values():
            if id(value) in kept or id(value) in known or value is module._modules:
                continue
            try:
                copy.deepcopy(value, {**shared, **dict.fromkeys(known)})
            except Exception:
                kept[id(value)] = value
    try:
        made: nn.Module = copy.deepcopy(source, kept)
    except Exception as error:
        raise CannotMeasure(
            f"{type(source).__name__} cannot be copied: {error}", "keep only tensors and modules"
        ) from error
    return made


def with_own_slopes(model: nn.Module) -> nn.Module:
    """Let a still copy take derivatives by its inputs also where no gradient is asked for.

    A physics-informed net calls `torch.autograd.grad` in its forward pass, which fails under
    `torch.no_grad`, as forward instruments run. It is then called with gradients, and its output
    is detached. The copy's type keeps its name. On the processor it draws the same at every call.

    >>> class Slope(nn.Module):
    ...     def forward(self, x):
    ...         x = x.clone().requires_grad_()
    ...         return torch.autograd.grad((x**2).sum(), x, create_graph=True)[0]
    >>> with torch.no_grad():
    ...     with_own_slopes(Slope())(torch.tensor([3.0]))
    tensor([6.])
    """
    own = type(model)
    if isinstance(model, torch.jit.ScriptModule):
        return model

    differentiates: list[bool] = []
    drawn = torch.get_rng_state()

    def evaluated(self: nn.Module, args: Any, words: Any) -> Any:
        # What a model draws, such as noise or an augmentation, is the same at every call.
        with torch.random.fork_rng(devices=[]):
            torch.set_rng_state(drawn)
            return own.forward(self, *args, **words)

    def forward(self: nn.Module, *args: Any, **words: Any) -> Any:
        if torch.is_grad_enabled():
            return evaluated(self, args, words)
        if not differentiates:
            try:
                return evaluated(self, args, words)
            except RuntimeError as error:
                if "does not require grad" not in str(error):
                    raise
                # Remembered, since who listens to layers would hear each of them twice.
                differentiates.append(True)
        with torch.enable_grad():
            out = evaluated(self, args, words)
        return tree.tree_map(lambda t: t.detach() if isinstance(t, Tensor) else t, out)

    model.__class__ = type(own.__name__, (own,), {"forward": forward, "__module__": own.__module__})
    return model

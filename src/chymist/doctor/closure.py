"""A user's own model while the doctor evaluates it: a closure cannot be given a copy."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from chymist.doctor.moment import placed

_HOOKS = tuple(n for n in vars(nn.Module()) if n.endswith(("_hooks", "_hooks_with_kwargs")))


class Closed(nn.Module):
    """A loss without arguments as the output of the user's own modules, at any parameters.

    It has the model's modules, under their names and not copied, since that is where the closure
    looks: while it is called, `torch.func.functional_call` puts other tensors in their places, and
    takes them away again. The random numbers that it draws are the same at every call.
    """

    def __init__(self, model: nn.Module, closure: Callable[[], Any]) -> None:
        super().__init__()
        for own in ("_modules", "_parameters", "_buffers", "_non_persistent_buffers_set"):
            vars(self)[own] = vars(model)[own]
        vars(self)["_model"], vars(self)["_closure"] = model, closure
        vars(self)["_drawn"] = torch.get_rng_state()
        self.training = False

    def __deepcopy__(self, memory: dict[int, Any]) -> Elsewhere:
        return Elsewhere(self, copy.deepcopy(vars(self)["_model"], memory))

    def forward(self, _: Tensor) -> Any:
        """Evaluate the closure."""
        wanted = torch.is_grad_enabled()
        # The closure may differentiate by its inputs, as residuals of equations do.
        with torch.random.fork_rng(), torch.enable_grad():
            torch.set_rng_state(vars(self)["_drawn"])
            value = vars(self)["_closure"]()
        # In a tuple: it is no output that could be held against a target.
        return (value if wanted or not isinstance(value, Tensor) else value.detach(),)


class Elsewhere(nn.Module):
    """A closure's loss at parameters of its own, which are lent to the user's modules at a call."""

    def __init__(self, closed: Closed, model: nn.Module) -> None:
        super().__init__()
        for own in ("_modules", "_parameters", "_buffers", "_non_persistent_buffers_set"):
            vars(self)[own] = vars(model)[own]
        vars(self)["_closed"] = closed
        self.training = False

    def forward(self, x: Tensor) -> Any:
        """Evaluate the closure here."""
        state = {**dict(self.named_parameters()), **dict(self.named_buffers())}
        return torch.func.functional_call(vars(self)["_closed"], state, (x,))


@contextmanager
def bare(model: nn.Module, optimizer: torch.optim.Optimizer) -> Iterator[None]:
    """Take hooks, gradients and training mode away from a user's model, and give them back.

    Batch normalisation in training mode goes by the batch's own statistics, and keeps none.
    """
    modules = list(model.modules())
    hooks = [(vars(m), n, vars(m)[n]) for m in modules for n in _HOOKS]
    modes = [m.training for m in modules]
    held = [*model.parameters(), *(p for g in optimizer.param_groups for p in g["params"])]
    grads = [(p, p.grad) for p in {id(p): p for p in held}.values()]
    values = [(b, b.clone()) for b in model.buffers()]
    statistics = [
        (m._buffers, dict(m._buffers)) for m in modules
        if isinstance(m, nn.modules.batchnorm._BatchNorm) and m.training
    ]  # fmt: skip
    try:
        for own, _ in statistics:
            own.update(dict.fromkeys(own))
        for home, name, _ in hooks:
            home[name] = OrderedDict()
        for module in modules:
            module.training = False
        for p, _ in grads:
            p.grad = None
        yield
    finally:
        for p, grad in grads:
            p.grad = grad
        for module, mode in zip(modules, modes, strict=True):
            module.training = mode
        for home, name, hook in hooks:
            home[name] = hook
        for own, buffers in statistics:
            own.update(buffers)
        with torch.no_grad():
            for buffer, value in values:
                if not torch.equal(buffer, value):
                    buffer.copy_(value)


@contextmanager
def lent(model: nn.Module, values: Mapping[str, Tensor]) -> Iterator[None]:
    """Put other values in the place of a user's parameters, and the user's back in the end."""
    kept = [(m._parameters, dict(m._parameters)) for m in model.modules()]
    try:
        placed(model, values)
        yield
    finally:
        for own, parameters in kept:
            own.update(parameters)


@contextmanager
def without_global_hooks() -> Iterator[None]:
    """Keep what the user registered for all modules from seeing the doctor's calls."""
    home = vars(torch.nn.modules.module)
    every = [n for n, v in home.items() if n.startswith("_global_") and isinstance(v, dict)]
    kept = {n: home[n] for n in every}
    home.update({n: OrderedDict() for n in every})
    try:
        yield
    finally:
        home.update(kept)

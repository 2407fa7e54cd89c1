"""The forward pass of many networks at once, from stacked parameters (lane, ...).

A module whose forward is made of linear layers, matrix products, functions that act element by
element, and joins along the features is rewritten for stacked parameters: the calls it makes are
recorded once, each linear layer becomes one batched matrix product. Every other module without
randomness or data-dependent control flow is vectorised by `torch.vmap`, or, where one network's
operations are large enough, called for one lane after another.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.func import functional_call

from chymist.recording import Call, record_module

Forward = Callable[[Mapping[str, Tensor], Mapping[str, Tensor], Tensor], Tensor]
"""(parameters, buffers, x) -> outputs (lane, sample, feature); x is (sample, feature) if shared."""

_ELEMENTWISE = {
    "__rdiv__", "__rpow__", "__rsub__", "abs", "add", "cos", "div", "elu", "exp", "gelu",
    "leaky_relu", "maximum", "minimum", "mul", "neg", "pow", "relu", "sigmoid", "sign", "silu",
    "sin", "softplus", "sqrt", "square", "sub", "tanh", "true_divide",
}  # fmt: skip

_FORWARDS: WeakKeyDictionary[nn.Module, dict[tuple[int, bool], Forward | None]] = (
    WeakKeyDictionary()
)
"""What came of rewriting a module, since recording it takes tens of milliseconds."""

_ONE_BY_ONE: WeakKeyDictionary[nn.Module, dict[int, bool]] = WeakKeyDictionary()
"""Whether a module of so many features has to be called for one lane after another."""


def stacked_forward(
    module: nn.Module, features: int, *, training: bool = False, one_by_one: bool = False
) -> Forward:
    """Return the forward pass of stacked copies of a module on inputs with so many features.

    The result is not to be shared between threads. With `training` its backward pass is faster, and
    `torch.func` cannot transform it. With `one_by_one`, what cannot be rewritten is called for one
    lane after another; otherwise `torch.vmap` takes all at once.
    """
    rewritten = stacked_rewritten(module, features, training=training)
    return rewritten or (_one_by_one(module) if one_by_one else _vectorised(module))


def stacked_rewritten(
    module: nn.Module, features: int, *, training: bool = False
) -> Forward | None:
    """Return a module's forward pass rewritten for stacked parameters, if all its calls are known.

    Modules are taken to do always what they did when first seen here.
    """
    known = _FORWARDS.setdefault(module, {})
    if (features, training) not in known:
        linear = _Linear.apply if training else _linear
        known[features, training] = _rewritten(module, features, linear)
    return known[features, training]


def must_go_one_by_one(
    module: nn.Module, parameters: Mapping[str, Tensor], buffers: Mapping[str, Tensor], x: Tensor
) -> bool:
    """Whether a module decides by its data what it does, so that no two lanes can share a pass.

    Tried on stacked parameters of two lanes or more and a few samples, when first asked of a
    module and so many features.

    Raises:
        ValueError: it draws random numbers, or keeps a state that changes as it is called.
    """
    known = _ONE_BY_ONE.setdefault(module, {})
    if x.shape[-1] not in known:
        known[x.shape[-1]] = not stacked_rewritten(module, x.shape[-1]) and _cannot_be_stacked(
            module, parameters, buffers, x
        )
    return known[x.shape[-1]]


def _cannot_be_stacked(
    module: nn.Module, parameters: Mapping[str, Tensor], buffers: Mapping[str, Tensor], x: Tensor
) -> bool:
    name = type(module).__name__
    tried = {n: b.clone() for n, b in buffers.items()}
    try:
        with torch.no_grad():
            _vectorised(module)(parameters, tried, x)
    except RuntimeError as error:
        said = str(error)
        if "data-dependent control flow" in said or ".item()" in said:
            return True
        if "random" in said:
            raise ValueError(
                f"{name} draws random numbers in its forward pass: put dropout into eval mode, "
                "or take it out"
            ) from error
        raise
    if any(not torch.equal(b, tried[n]) for n, b in buffers.items()):
        raise ValueError(
            f"{name} changes a state in its forward pass, which cannot be stacked: put batch "
            "normalisation into eval mode, or take another norm"
        )
    return False


def _linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    if bias is None:
        return torch.bmm(x, weight.mT)
    return torch.baddbmm(bias, x, weight.mT)


class _Linear(torch.autograd.Function):
    """A linear layer a lane, whose backward pass avoids slow shapes of matrix products.

    The weights' gradient is a product over samples; with a narrow left factor it takes a tenth of
    the time that a narrow right factor takes, and `torch.bmm`'s own gradient knows one order only.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return _linear(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, out: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        for_x, for_weight, for_bias = ctx.needs_input_grad
        outputs, inputs = weight.shape[1:]
        x_grad = weight_grad = None
        if for_x:
            x_grad = out * weight if outputs == 1 else torch.bmm(out, weight)
        if for_weight:
            left = outputs <= inputs
            weight_grad = torch.bmm(out.mT, x) if left else torch.bmm(x.mT, out).mT
        return x_grad, weight_grad, out.sum(1, keepdim=True) if for_bias else None


def _vectorised(module: nn.Module) -> Forward:
    # functional_call swaps the module's parameters while it runs: each caller needs its own copy.
    module = copy.deepcopy(module)

    def one(parameters: dict[str, Tensor], buffers: dict[str, Tensor], x: Tensor) -> Any:
        return functional_call(module, {**parameters, **buffers}, (x,))

    def forward(
        parameters: Mapping[str, Tensor], buffers: Mapping[str, Tensor], x: Tensor
    ) -> Tensor:
        in_dims = (0, 0 if buffers else None, 0 if x.ndim == 3 else None)
        out: Tensor = torch.vmap(one, in_dims=in_dims)(dict(parameters), dict(buffers), x)
        return out

    return forward


def _one_by_one(module: nn.Module) -> Forward:
    module = copy.deepcopy(module)

    def forward(
        parameters: Mapping[str, Tensor], buffers: Mapping[str, Tensor], x: Tensor
    ) -> Tensor:
        # Not by indexing, whose gradient is as large as the whole stack for every lane.
        apart = {n: state.unbind(0) for n, state in {**parameters, **buffers}.items()}
        lanes = len(next(iter(apart.values())))
        return torch.stack(
            [
                functional_call(
                    module,
                    {n: states[lane] for n, states in apart.items()},
                    (x[lane] if x.ndim == 3 else x,),
                )
                for lane in range(lanes)
            ]
        )

    return forward


@dataclass(frozen=True)
class _Step:
    """One call on stacked values: takes those at `uses` from a list, appends its own."""

    function: Callable[..., Tensor]
    uses: tuple[int, ...]


def _rewritten(module: nn.Module, features: int, linear: Callable[..., Tensor]) -> Forward | None:
    """Rewrite a module for stacked parameters, or return None if it calls something unknown.

    In the module's own forward, values are matrices, (sample, feature) above all; stacked, they are
    (lane, sample, feature). Smaller parameters enter as matrices too, so that they broadcast
    likewise.
    """
    recorded = record_module(module, features)
    if recorded is None:
        return None
    recording, states = recorded
    names = [n for n, tensor in states.items() if tensor.ndim <= 2]
    place = {id(recording.inputs[0]): 0} | {id(states[n]): 1 + i for i, n in enumerate(names)}
    steps: list[_Step] = []
    for call in recording.calls:
        step = _step(call, place, linear)
        if step is None:
            return None
        place[id(call.made)] = 1 + len(names) + len(steps)
        steps.append(step)
    if id(recording.result) not in place or recording.result.ndim != 2:
        return None
    last = place[id(recording.result)]
    padding = [(1,) * (2 - states[n].ndim) for n in names]
    fresh = 1 + len(names)
    # Values are dropped after their last use, so that as little as possible is held at a time.
    used = {place: number for number, step in enumerate(steps) for place in step.uses}
    dropped = [
        [p for p in step.uses if p >= fresh and used[p] == number and p != last]
        for number, step in enumerate(steps)
    ]

    def forward(
        parameters: Mapping[str, Tensor], buffers: Mapping[str, Tensor], x: Tensor
    ) -> Tensor:
        state = {**parameters, **buffers}
        lanes = len(next(iter(state.values())))
        values: list[Any] = [x if x.ndim == 3 else x.expand(lanes, *x.shape)]
        for name, missing in zip(names, padding, strict=True):
            stacked = state[name]
            values.append(stacked.view(lanes, *missing, *stacked.shape[1:]) if missing else stacked)
        for step, done in zip(steps, dropped, strict=True):
            values.append(step.function(*[values[place] for place in step.uses]))
            for place in done:
                values[place] = None
        out: Tensor = values[last]
        return out

    return forward


def _step(call: Call, place: Mapping[int, int], linear: Callable[..., Tensor]) -> _Step | None:
    """Return what a call does to stacked values, or None if that is not known."""
    function, args, options, name = call.function, call.args, call.options, call.name
    if name == "cat" and options.get("dim", args[1] if len(args) > 1 else 0) in (-1, 1):
        return _on_matrices(lambda *parts: torch.cat(parts, dim=-1), args[0], place)
    if name == "matmul" and not options:
        return _on_matrices(torch.matmul, args, place)
    if name == "__get__" and function.__self__ in (Tensor.T, Tensor.mT):
        return _on_matrices(lambda matrix: matrix.mT, args[:1], place)
    if name == "linear":
        x, weight, bias = (*args, options.get("bias"))[:3]
        if bias is None:
            return _on_matrices(lambda x, w: linear(x, w, None), (x, weight), place)
        if id(bias) in place:
            step = _on_matrices(linear, (x, weight), place)
            return step and _Step(linear, (*step.uses, place[id(bias)]))
    if name in _ELEMENTWISE and not options.get("inplace"):
        return _elementwise(function, args, options, place)
    return None


def _on_matrices(
    function: Callable[..., Tensor], args: Sequence[Any], place: Mapping[int, int]
) -> _Step | None:
    if not all(isinstance(a, Tensor) and a.ndim == 2 and id(a) in place for a in args):
        return None
    return _Step(function, tuple(place[id(a)] for a in args))


def _elementwise(
    function: Any, args: Sequence[Any], options: Mapping[str, Any], place: Mapping[int, int]
) -> _Step | None:
    tensors = [a for a in args if isinstance(a, Tensor)]
    constants = [*(a for a in args if not isinstance(a, Tensor)), *options.values()]
    if not all(id(a) in place for a in tensors):
        return None
    if not all(a is None or isinstance(a, bool | int | float | str) for a in constants):
        return None
    uses = tuple(place[id(a)] for a in tensors)
    if not options and len(tensors) == len(args):
        return _Step(function, uses)
    pattern = [None if isinstance(a, Tensor) else (a,) for a in args]

    def call(*values: Tensor) -> Tensor:
        given = iter(values)
        out: Tensor = function(*[next(given) if p is None else p[0] for p in pattern], **options)
        return out

    return _Step(call, uses)

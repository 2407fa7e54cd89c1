"""The forward pass of many networks at once, from stacked parameters (lane, ...).

A module whose forward is made of linear layers, functions that act element by element, and joins
along the features is rewritten for stacked parameters: its graph is traced once, each linear layer
becomes one batched matrix product. Every other module is vectorised by `torch.vmap`, which is
slower but takes anything without randomness or data-dependent control flow.
"""

from __future__ import annotations

import copy
import operator
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.func import functional_call

Forward = Callable[[Mapping[str, Tensor], Mapping[str, Tensor], Tensor], Tensor]
"""(parameters, buffers, x) -> outputs (lane, sample, feature); x is (sample, feature) if shared."""

_ELEMENTWISE_FUNCTIONS = {
    operator.add, operator.mul, operator.neg, operator.pow, operator.sub, operator.truediv,
    torch.abs, torch.add, torch.cos, torch.div, torch.exp, torch.maximum, torch.minimum, torch.mul,
    torch.neg, torch.pow, torch.relu, torch.sigmoid, torch.sin, torch.square, torch.sub, torch.tanh,
    nn.functional.elu, nn.functional.gelu, nn.functional.leaky_relu, nn.functional.relu,
    nn.functional.sigmoid, nn.functional.silu, nn.functional.softplus, nn.functional.tanh,
}  # fmt: skip
_ELEMENTWISE_METHODS = {
    "abs", "add", "cos", "div", "exp", "mul", "neg", "pow", "relu", "sigmoid", "sin", "square",
    "sub", "tanh",
}  # fmt: skip
_ELEMENTWISE_MODULES = (
    nn.ELU, nn.GELU, nn.Identity, nn.LeakyReLU, nn.ReLU, nn.SiLU, nn.Sigmoid, nn.Softplus, nn.Tanh,
)  # fmt: skip


def stacked_forward(module: nn.Module, *, training: bool = False) -> Forward:
    """Return the forward pass of stacked copies of a module; not to be shared between threads.

    With `training` its backward pass is faster, and it cannot be transformed by `torch.func`.
    """
    return _rewritten(module, _Linear.apply if training else _linear) or _vectorised(module)


def _linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    if bias is None:
        return torch.bmm(x, weight.mT)
    return torch.baddbmm(bias.unsqueeze(1), x, weight.mT)


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
        return x_grad, weight_grad, out.sum(1) if for_bias else None


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


Step = Callable[[dict[Any, Any], Mapping[str, Tensor]], Tensor]


def _rewritten(module: nn.Module, linear: Callable[..., Tensor]) -> Forward | None:
    """Rewrite a module for stacked parameters, or return None if it holds something unknown.

    In the module's own forward every value is (sample, feature); stacked, it is
    (lane, sample, feature). Parameters enter in that form too, so that they broadcast likewise.
    """
    if any(m._forward_hooks or m._forward_pre_hooks for m in module.modules()):
        return None
    try:
        graph = fx.Tracer().trace(module)
    except Exception:
        # Whatever stops the tracer (control flow, unusual code) is left to vmap.
        return None
    known = dict(module.named_parameters()) | dict(module.named_buffers())
    inputs = [node for node in graph.nodes if node.op == "placeholder"]
    [last] = next(node for node in graph.nodes if node.op == "output").args
    inner = [node for node in graph.nodes if node.op not in ("placeholder", "output")]
    made = [_step(module, node, known, linear) for node in inner]
    if len(inputs) != 1 or not isinstance(last, fx.Node) or None in made:
        return None
    steps = [(node, step) for node, step in zip(inner, made, strict=True) if step]
    freed = _last_uses(steps, last)

    def forward(
        parameters: Mapping[str, Tensor], buffers: Mapping[str, Tensor], x: Tensor
    ) -> Tensor:
        state = {**parameters, **buffers}
        lanes = len(next(iter(state.values())))
        values: dict[Any, Any] = {inputs[0]: x if x.ndim == 3 else x.expand(lanes, *x.shape)}
        for (node, step), done in zip(steps, freed, strict=True):
            values[node] = step(values, state)
            for used in done:
                del values[used]
        out: Tensor = values[last]
        return out

    return forward


def _last_uses(steps: list[tuple[fx.Node, Step]], last: fx.Node) -> list[list[fx.Node]]:
    seen = {last}
    freed: list[list[fx.Node]] = []
    for node, _ in reversed(steps):
        fresh = [used for used in dict.fromkeys(node.all_input_nodes) if used not in seen]
        seen.update(fresh)
        freed.append(fresh)
    return freed[::-1]


def _step(
    module: nn.Module, node: fx.Node, known: Mapping[str, Tensor], linear: Callable[..., Tensor]
) -> Step | None:
    """Return what a node of the graph does to stacked values, or None if that is not known."""
    if node.op == "get_attr":
        return _parameter(node.target, known)
    if node.op == "call_module":
        layer = module.get_submodule(str(node.target))
        if type(layer) is nn.Linear:
            return _layer(node, layer, known, linear)
        if type(layer) in _ELEMENTWISE_MODULES and not getattr(layer, "inplace", False):
            return _elementwise(node, layer)
    if node.op == "call_function":
        if node.target in _ELEMENTWISE_FUNCTIONS:
            return _elementwise(node, node.target)
        if node.target is torch.cat:
            return _joined(node)
    if node.op == "call_method" and node.target in _ELEMENTWISE_METHODS:
        return _elementwise(node, operator.methodcaller)
    return None


def _parameter(target: Any, known: Mapping[str, Tensor]) -> Step | None:
    if target not in known or known[target].ndim > 2:
        return None
    missing = (1,) * (2 - known[target].ndim)

    def step(values: dict[Any, Any], state: Mapping[str, Tensor]) -> Tensor:
        stacked = state[target]
        return stacked.reshape(len(stacked), *missing, *stacked.shape[1:])

    return step


def _layer(
    node: fx.Node, layer: nn.Linear, known: Mapping[str, Tensor], linear: Callable[..., Tensor]
) -> Step | None:
    weight, bias, source = f"{node.target}.weight", f"{node.target}.bias", node.args[0]
    # A parameter shared by two layers has one name only.
    if weight not in known or (layer.bias is not None and bias not in known) or node.kwargs:
        return None
    if layer.bias is None:
        return lambda values, state: linear(values[source], state[weight], None)
    return lambda values, state: linear(values[source], state[weight], state[bias])


def _elementwise(node: fx.Node, function: Any) -> Step | None:
    operands = [*node.args, *node.kwargs.values()]
    if node.kwargs.get("inplace") or node.kwargs.get("out") is not None:
        return None
    if not all(isinstance(a, fx.Node | bool | int | float | str) for a in operands):
        return None
    if any(isinstance(a, fx.Node) for a in node.kwargs.values()):
        return None
    if function is operator.methodcaller:
        name = str(node.target)

        def function(first: Tensor, *rest: Any, **options: Any) -> Any:
            return getattr(first, name)(*rest, **options)

    args, options = node.args, dict(node.kwargs)
    if len(args) == 1 and not options:
        [only] = args
        return lambda values, state: function(values[only])
    taken = [(a, isinstance(a, fx.Node)) for a in args]
    return lambda values, state: function(
        *(values[a] if is_value else a for a, is_value in taken), **options
    )


def _joined(node: fx.Node) -> Step | None:
    parts = node.args[0]
    dim = node.args[1] if len(node.args) > 1 else node.kwargs.get("dim", 0)
    if not isinstance(parts, list | tuple) or dim not in (-1, 1):
        return None
    if not all(isinstance(part, fx.Node) for part in parts):
        return None
    return lambda values, state: torch.cat([values[part] for part in parts], dim=-1)

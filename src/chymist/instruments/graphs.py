"""What a module is made of, where its forward pass is a graph of known layers.

Norms of whole networks are defined for linear layers, convolutions, activations, sums and changes
of shape. What a module does is read off a symbolic trace of its forward pass; any other step is
refused by its name, so that no norm is returned for a network that it does not hold of.
"""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from chymist.errors import CannotMeasure

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_SHAPES = (nn.Flatten, nn.Unflatten, nn.Identity)
_AVERAGES = (nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d)
_GELU = 0.5 * (1 + math.erf(1)) + math.exp(-1) / math.sqrt(math.pi)
"""Largest slope of x Phi(x), which is at sqrt(2)."""

_MODULES: dict[type[nn.Module], tuple[str, float]] = {
    nn.ReLU: ("relu", 1.0),
    nn.Tanh: ("tanh", 1.0),
    nn.Sigmoid: ("sigmoid", 0.25),
    nn.Softplus: ("softplus", 1.0),
    nn.SiLU: ("silu", 1.0999),
}
_FUNCTIONS: dict[Any, tuple[str, float]] = {
    torch.relu: ("relu", 1.0),
    F.relu: ("relu", 1.0),
    torch.tanh: ("tanh", 1.0),
    F.tanh: ("tanh", 1.0),
    torch.sigmoid: ("sigmoid", 0.25),
    F.sigmoid: ("sigmoid", 0.25),
    torch.sin: ("sin", 1.0),
    torch.cos: ("cos", 1.0),
    torch.abs: ("abs", 1.0),
}
_METHODS = {"relu": 1.0, "tanh": 1.0, "sigmoid": 0.25, "sin": 1.0, "cos": 1.0, "abs": 1.0}
_SUMS = (operator.add, operator.iadd, torch.add)
_RESHAPES = (torch.flatten, torch.reshape, torch.squeeze, torch.unsqueeze)
_RESHAPING = {"flatten", "view", "reshape", "squeeze", "unsqueeze", "contiguous"}


@dataclass(frozen=True, eq=False)
class Step:
    """One step of a forward pass: its kind, from which steps it takes, and into what shape.

    `kind` is "input", "linear", "convolution", "average", "shape", "sum", "output" or the name of
    an activation, whose largest slope is `slope`. `layer` is the module's name, `shape` that of one
    sample's result.
    """

    name: str
    kind: str
    sources: tuple[str, ...]
    shape: tuple[int, ...]
    layer: str = ""
    module: Any = None
    slope: float = 1.0


def steps(model: nn.Module, x: Tensor) -> list[Step]:
    """Return the steps of a model's forward pass on inputs shaped as x, in order.

    Cost: a symbolic trace and one forward pass on one sample.

    Raises:
        CannotMeasure: the forward pass cannot be traced, or has a step that is not known.
    """
    try:
        traced = fx.symbolic_trace(model)
    except Exception as error:
        raise CannotMeasure(
            f"the forward pass of {type(model).__name__} cannot be traced: {error}",
            "norms of networks need a forward pass without decisions by data",
        ) from error
    # A trace of a lone layer has no module to call.
    if not any(n.op == "call_module" for n in traced.graph.nodes):
        own = nn.Sequential(model)
        if not list(model.children()) and list(model.parameters()):
            return steps(own, x)
    shapes = _Shapes(traced)
    with torch.no_grad():
        shapes.run(x[:1])
    return [_step(node, traced, shapes.found[node.name]) for node in traced.graph.nodes]


class _Shapes(fx.Interpreter):
    """Runs a graph, and notes the shape of every result without its samples."""

    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module)
        self.found: dict[str, tuple[int, ...]] = {}

    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        self.found[n.name] = tuple(result.shape[1:]) if isinstance(result, Tensor) else ()
        return result


def _step(node: fx.Node, traced: fx.GraphModule, shape: tuple[int, ...]) -> Step:
    sources = tuple(n.name for n in node.all_input_nodes)
    if node.op in ("placeholder", "output"):
        kind = "input" if node.op == "placeholder" else "output"
        if len(sources) > 1:
            raise CannotMeasure("the model has several outputs", "give a model with one")
        return Step(node.name, kind, sources, shape)
    if node.op == "call_module":
        layer = str(node.target)
        module = traced.get_submodule(layer)
        kind, slope = _of_module(module, layer)
        return Step(node.name, kind, sources, shape, layer, module, slope)
    kind, slope = _of_call(node)
    return Step(node.name, kind, sources, shape, slope=slope)


def _of_module(module: nn.Module, layer: str) -> tuple[str, float]:
    if type(module) is nn.Linear:
        return "linear", 1.0
    if type(module) in CONVOLUTIONS:
        return "convolution", 1.0
    if type(module) in _MODULES:
        return _MODULES[type(module)]
    if isinstance(module, nn.LeakyReLU) and abs(module.negative_slope) <= 1:
        return "leaky relu", 1.0
    if isinstance(module, nn.GELU) and module.approximate == "none":
        return "gelu", _GELU
    if isinstance(module, _SHAPES) or (isinstance(module, nn.Dropout) and not module.training):
        return "shape", 1.0
    if isinstance(module, _AVERAGES):
        window, stride = module.kernel_size, module.stride
        if module.padding in (0, (0,)) and window == stride:
            return "average", 1.0
    raise CannotMeasure(
        f"layer {layer} is a {type(module).__name__}, of which this norm is not known",
        "known: Linear, Conv, ReLU and other activations, AvgPool side by side, Flatten, sums; "
        "fold batch norm into the layer before",
    )


def _of_call(node: fx.Node) -> tuple[str, float]:
    target, nodes = node.target, node.all_input_nodes
    if node.op == "call_function":
        if target in _SUMS and len(nodes) == len(node.args) and set(node.kwargs) <= {"inplace"}:
            return "sum", 1.0
        if target in _FUNCTIONS:
            return _FUNCTIONS[target]
        if target in _RESHAPES:
            return "shape", 1.0
    if node.op == "call_method":
        if target in _METHODS:
            return str(target), _METHODS[str(target)]
        if target in _RESHAPING:
            return "shape", 1.0
    what = getattr(target, "__name__", str(target))
    raise CannotMeasure(
        f"the forward pass does {what}, of which this norm is not known",
        "known: Linear, Conv, ReLU and other activations, changes of shape, sums of two",
    )

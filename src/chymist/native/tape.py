"""The tape: a network's forward pass and its loss as nodes that the compiled kernel knows.

Built from recorded PyTorch calls. Every value is a matrix (rows, cols): one row a sample, or one
row for what does not depend on samples. What has no node here is left to PyTorch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from chymist.recording import ROWS, Call, record, record_module

OPERATIONS = (
    "input", "target", "parameter", "buffer", "linear", "matmul", "cat", "add", "sub", "mul",
    "scale", "shift", "tanh", "relu", "sigmoid", "sin", "cos", "gelu", "silu", "exp", "abs",
    "square", "sum_columns", "sum_all", "mean_all", "cross_entropy", "convolution", "max_pool",
    "average_pool",
)  # fmt: skip
"""In the kernel's order."""
_UNARY = {"tanh", "relu", "sigmoid", "sin", "cos", "gelu", "silu", "exp", "abs", "square"}
_BY_OUTPUT = {"tanh", "relu", "sigmoid"}
"""Their gradient needs the output alone: they may lie where their input lay."""
_KEEP_NOTHING = {"linear", "matmul", "cat", "add", "sub", "scale", "shift", "convolution"}
"""Their gradient does not need the output: it may be overwritten."""
_POOLS = {
    "max_pool2d": ("kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices"),
    "avg_pool2d": ("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad",
                   "divisor_override"),
}  # fmt: skip
"""Their arguments after the first."""
_PLAIN_POOL = {
    "padding": 0, "dilation": 1, "ceil_mode": False, "return_indices": False,
    "divisor_override": None,
}  # fmt: skip
SAMPLES = 0
"""Number of rows of what has one row a sample."""
LAYOUT = np.dtype(
    [("op", "i4"), ("uses", "i4", 3), ("adds", "i4", 3), ("rows", "i4"), ("cols", "i4"),
     ("needed", "i4"), ("fixed", "i4"), ("pad", "i4"), ("image", "i4", 8), ("value", "i8"),
     ("grad", "i8"), ("scratch", "i8"), ("k", "f8")]
)  # fmt: skip
"""A node as the kernel reads it."""
_ALIGNED = 16


class Unknown(Exception):
    """The tape has no node for this; the message says what it is."""


@dataclass(frozen=True)
class Node:
    """One value: what makes it of which others, its shape, and a constant or a place in a row."""

    op: str
    uses: tuple[int, ...] = ()
    rows: int = SAMPLES
    cols: int = 1
    k: float = 0.0
    place: int = 0
    image: tuple[int, ...] = ()


@dataclass(frozen=True)
class Tape:
    """Nodes in the order of evaluation; the last is the loss, `prediction` the network's output.

    Where the loss is not `judged` on the tape, the last is the prediction.
    """

    nodes: tuple[Node, ...]
    prediction: int
    judged: bool = True

    def needed(self) -> list[bool]:
        """Whether each node depends on a parameter."""
        known: list[bool] = []
        for node in self.nodes:
            known.append(node.op == "parameter" or any(known[u] for u in node.uses))
        return known

    def flops(self, samples: int) -> int:
        """Floating-point operations of a step's matrix products, about."""
        total = 0
        for node in self.nodes:
            if node.op in ("linear", "matmul"):
                total += 6 * samples * node.cols * self.nodes[node.uses[0]].cols
            if node.op == "convolution":
                total += 6 * samples * node.cols * _patch(node)
        return total

    def laid_out(self, samples: int, parameters: int, moved: bool) -> tuple[np.ndarray, int]:
        """Return the nodes as the kernel reads them, and the size of its workspace in numbers.

        `parameters` is the length of a lane's row; the workspace begins with its gradient. With
        `moved`, inputs and targets are gathered into the workspace too (minibatches).
        """
        needed = self.needed()
        users = [[j for j, n in enumerate(self.nodes) if i in n.uses] for i in range(len(needed))]
        table = np.zeros(len(self.nodes), LAYOUT)
        end = _aligned(parameters)
        for i, node in enumerate(self.nodes):
            row = table[i]
            rows = node.rows or samples
            row["op"], row["k"] = OPERATIONS.index(node.op), node.k
            row["rows"], row["cols"] = rows, node.cols
            row["uses"] = [*node.uses, -1, -1, -1][:3]
            row["needed"], row["fixed"] = needed[i], not needed[i]
            if node.op in ("parameter", "buffer"):
                row["value"] = row["grad"] = node.place
                continue
            if node.op in ("input", "target") and not moved:
                continue
            row["image"][: len(node.image)] = node.image
            if node.op == "convolution":
                row["scratch"] = end
                end += _aligned(_patch(node) * node.image[3] * node.image[4] + _with_margin(node))
            first = node.uses[0] if node.uses else 0
            if (
                node.op in _BY_OUTPUT
                and needed[i]
                and self.nodes[first].op in _KEEP_NOTHING
                and users[first] == [i]
                and first != self.prediction
            ):
                row["value"], row["grad"] = table[first]["value"], table[first]["grad"]
                continue
            row["value"] = end
            end += _aligned(rows * node.cols)
            if needed[i]:
                row["grad"] = end
                end += _aligned(rows * node.cols)
        written: set[int] = set()
        for i in reversed(range(len(self.nodes))):
            for j, use in enumerate(self.nodes[i].uses):
                table[i]["adds"][j] = use in written
                if needed[use]:
                    written.add(use)
        return table, end


def _patch(node: Node) -> int:
    """Inputs of one output pixel of a convolution."""
    return node.image[0] * node.image[5] ** 2


def _with_margin(node: Node) -> int:
    """Pixels of a convolution's input with the margin of zeros around it."""
    channels, height, width, *_, padding = node.image
    return channels * (height + 2 * padding) * (width + 2 * padding)


def _aligned(size: int) -> int:
    return -(-size // _ALIGNED) * _ALIGNED


def network_tape(
    module: nn.Module, features: int, places: Mapping[str, int], buffers: Mapping[str, int]
) -> Tape:
    """Return the tape of a module on so many features, without a loss.

    `places` and `buffers` say where each parameter and buffer begins in a lane's row.

    Raises:
        Unknown: a call that has no node.
    """
    recorded = record_module(module, features)
    if recorded is None:
        raise Unknown("the forward pass needs values, so it cannot be recorded")
    recording, states = recorded
    builder = _Builder()
    builder.known[id(recording.inputs[0])] = builder.add(Node("input", cols=features))
    for name, tensor in states.items():
        if tensor.ndim in (0, 1, 2, 4):
            op, place = ("parameter", places[name]) if name in places else ("buffer", buffers[name])
            # The weights of a convolution are a matrix too: one row an output channel.
            matrix = tensor.flatten(1) if tensor.ndim == 4 else tensor
            rows, cols = (1, 1, *matrix.shape)[-2:]
            builder.static.add(len(builder.nodes))
            builder.known[id(tensor)] = builder.add(Node(op, (), rows, cols, place=place))
    for call in recording.calls:
        builder.lower(call)
    prediction = builder.node(recording.result)
    if recording.result.ndim != 2 or prediction in builder.static:
        raise Unknown("the output is not one row a sample")
    return _without_dead_ends(builder.nodes, prediction, prediction, judged=False)


def with_loss(tape: Tape, loss: Callable[[Tensor, Tensor], Tensor], outputs: int) -> Tape:
    """Return a network's tape that goes on to its loss against so many target columns.

    Raises:
        Unknown: a call that has no node.
    """
    made, target = (
        torch.empty(ROWS, cols, device="meta")
        for cols in (tape.nodes[tape.prediction].cols, outputs)
    )
    judged = record(loss, made, target)
    if judged is None:
        raise Unknown("the loss needs values, so it cannot be recorded")
    builder = _Builder(list(tape.nodes), {id(made): tape.prediction})
    builder.static.update(i for i, n in enumerate(tape.nodes) if n.op in ("parameter", "buffer"))
    builder.known[id(target)] = builder.add(Node("target", cols=outputs))
    for call in judged.calls:
        builder.lower(call)
    last = builder.node(judged.result)
    if judged.result.ndim != 0:
        raise Unknown("the loss is not a number")
    return _without_dead_ends(builder.nodes, tape.prediction, last, judged=True)


def _without_dead_ends(nodes: Sequence[Node], prediction: int, last: int, *, judged: bool) -> Tape:
    """Keep what the last node depends on; all else would have a gradient that nobody writes."""
    kept = {last}
    for i in reversed(range(len(nodes))):
        if i in kept:
            kept.update(nodes[i].uses)
    if prediction not in kept:
        raise Unknown("a loss that does not depend on the output")
    place = {old: new for new, old in enumerate(sorted(kept))}
    moved = (replace(nodes[i], uses=tuple(place[u] for u in nodes[i].uses)) for i in place)
    return Tape(tuple(moved), place[prediction], judged)


@dataclass
class _Builder:
    """Turns recorded calls into nodes."""

    nodes: list[Node] = field(default_factory=list)
    known: dict[int, int] = field(default_factory=dict)
    static: set[int] = field(default_factory=set)
    transposed: dict[int, int] = field(default_factory=dict)

    def add(self, node: Node) -> int:
        self.nodes.append(node)
        return len(self.nodes) - 1

    def node(self, tensor: Any) -> int:
        if not isinstance(tensor, Tensor) or id(tensor) not in self.known:
            raise Unknown("a value of which the tape has no record")
        return self.known[id(tensor)]

    def make(
        self,
        op: str,
        *uses: int,
        rows: int = SAMPLES,
        cols: int = 0,
        k: float = 0.0,
        image: tuple[int, ...] = (),
    ) -> int:
        """Add a node; its shape is that of its first input unless given."""
        first = self.nodes[uses[0]]
        if uses[0] in self.static:
            raise Unknown(f"{op} of parameters alone")
        return self.add(Node(op, uses, rows or first.rows, cols or first.cols, k, image=image))

    def lower(self, call: Call) -> None:
        """Add the nodes of one call.

        Raises:
            Unknown: the call has no node.
        """
        name = call.name
        options = {n: v for n, v in call.options.items() if not _default(name, n, v)}
        if name == "__get__" and call.function.__self__ in (Tensor.T, Tensor.mT):
            self.transposed[id(call.made)] = self.node(call.args[0])
            return
        if name in ("reshape", "view", "flatten", "unflatten"):
            # A sample's numbers stay in their order.
            before, after = call.args[0], call.made
            node = self.node(before)
            if node in self.static or before.shape[0] != ROWS or after.shape[:1] != (ROWS,):
                raise Unknown(f"{name} that mixes samples")
            self.known[id(after)] = node
            return
        if name == "__get__":
            raise Unknown(f"{call.function.__self__.__name__} has no node")
        if name in ("sum", "mean"):
            made = self._reduced(name, call)
        else:
            made = self._made(name, call.args, call.options)
            if options:
                raise Unknown(f"{name} with {', '.join(options)}")
        self.known[id(call.made)] = made

    def _made(self, name: str, args: Sequence[Any], options: Mapping[str, Any]) -> int:
        name = {"div": "true_divide", "absolute": "abs"}.get(name, name)
        if name in _UNARY and len(args) == 1:
            return self.make(name, self.node(args[0]))
        if name in ("linear", "matmul", "cross_entropy") and args[0].ndim != 2:
            raise Unknown(f"{name} of what is not a matrix")
        match name, args:
            case "linear", (x, weight, *bias):
                bias = [b for b in (*bias, options.get("bias")) if b is not None]
                uses = [self.node(t) for t in (x, weight, *bias)]
                return self._product("linear", uses, self.nodes[uses[1]].rows)
            case "matmul", (x, right) if id(right) in self.transposed:
                uses = [self.node(x), self.transposed[id(right)]]
                return self._product("linear", uses, self.nodes[uses[1]].rows)
            case "matmul", (x, right):
                uses = [self.node(x), self.node(right)]
                return self._product("matmul", uses, self.nodes[uses[1]].cols)
            case "cat", (parts, *_) if (*args[1:], options.get("dim"))[0] in (
                1,
                1 - parts[0].ndim,
            ):
                whole = self.node(parts[0])
                for part in map(self.node, parts[1:]):
                    if part in self.static:
                        raise Unknown("cat with a parameter")
                    cols = self.nodes[whole].cols + self.nodes[part].cols
                    whole = self.make("cat", whole, part, cols=cols)
                return whole
            case "conv2d", (x, weight, bias, *geometry):
                return self._convolution(x, weight, bias, *geometry)
            case (("max_pool2d" | "avg_pool2d"), (x, *geometry)):
                return self._pool(name, x, geometry, options)
            case "neg", (x,):
                return self.make("scale", self.node(x), k=-1.0)
            case "pow", (x, 2 | 2.0):
                return self.make("square", self.node(x))
            case "mse_loss", (x, y):
                apart = self._both("sub", self.node(x), self.node(y))
                return self.make("mean_all", self.make("square", apart), rows=1, cols=1)
            case "cross_entropy", (x, y):
                uses = [self.node(x), self.node(y)]
                if self.nodes[uses[0]].cols != self.nodes[uses[1]].cols:
                    raise Unknown("cross_entropy without class probabilities")
                return self.make("cross_entropy", *uses, rows=1, cols=1)
            case (("add" | "sub" | "mul" | "true_divide" | "__rsub__"), (x, int() | float() as k)):
                return self._with_number(name, self.node(x), float(k))
            case (("add" | "sub" | "mul"), (int() | float() as k, y)):
                return self._with_number("__rsub__" if name == "sub" else name, self.node(y), k)
            case (("add" | "sub" | "mul"), (x, y)):
                a, b = self.node(x), self.node(y)
                if not {a, b} & self.static and x.ndim != y.ndim:
                    raise Unknown(f"{name} of a vector and a matrix")
                if max(x.ndim, y.ndim) > 2 and x.shape != y.shape:
                    raise Unknown(f"{name} of these shapes")
                return self._both(name, a, b)
        raise Unknown(f"{name or 'a call'} has no node")

    def _convolution(
        self, x: Tensor, weight: Tensor, bias: Tensor | None,
        stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1,
    ) -> int:  # fmt: skip
        stride, padding, dilation = _one(stride), _one(padding), _one(dilation)
        made, channels, side, across = weight.shape
        if x.ndim != 4 or dilation != 1 or groups != 1 or side != across:
            raise Unknown("conv2d that is dilated, grouped or not square")
        high, wide = (1 + (n + 2 * padding - side) // stride for n in x.shape[2:])
        image = (channels, x.shape[2], x.shape[3], high, wide, side, stride, padding)
        uses = [self.node(t) for t in (x, weight, bias) if t is not None]
        if any(u not in self.static for u in uses[1:]):
            raise Unknown("conv2d with weights that depend on samples")
        return self.make("convolution", *uses, cols=made * high * wide, image=image)

    def _pool(
        self, name: str, x: Tensor, geometry: Sequence[Any], options: Mapping[str, Any]
    ) -> int:
        given = dict(zip(_POOLS[name], geometry, strict=False)) | dict(options)
        side = _one(given.pop("kernel_size"))
        stride = _one(given.pop("stride", None) or side)
        # Without padding it does not matter whether padding is counted.
        given.pop("count_include_pad", None)
        odd = [n for n, v in given.items() if v not in (_PLAIN_POOL[n], (_PLAIN_POOL[n],) * 2)]
        if x.ndim != 4 or odd:
            raise Unknown(f"{name} with {', '.join(odd) or 'other than four dimensions'}")
        channels, height, width = x.shape[1:]
        high, wide = (1 + (n - side) // stride for n in (height, width))
        image = (channels, height, width, high, wide, side, stride, 0)
        op = "max_pool" if name == "max_pool2d" else "average_pool"
        return self.make(op, self.node(x), cols=channels * high * wide, image=image)

    def _product(self, op: str, uses: Sequence[int], cols: int) -> int:
        if any(u not in self.static for u in uses[1:]):
            raise Unknown("a product of two values that depend on samples")
        return self.make(op, *uses, cols=cols)

    def _with_number(self, name: str, x: int, k: float) -> int:
        match name:
            case "add":
                return self.make("shift", x, k=k)
            case "sub":
                return self.make("shift", x, k=-k)
            case "mul":
                return self.make("scale", x, k=k)
            case "true_divide" if k:
                return self.make("scale", x, k=1 / k)
            case "__rsub__":
                return self.make("shift", self.make("scale", x, k=-1.0), k=k)
        raise Unknown(f"{name} with {k:g}")

    def _both(self, name: str, x: int, y: int) -> int:
        """Combine two values; the second may be one row, one column or one number for all."""
        a, b = self.nodes[x], self.nodes[y]
        if x in self.static or b.cols > a.cols:
            a, b, x, y = b, a, y, x
            turned = self._fitting(name, x, y)
            return self.make("scale", turned, k=-1.0) if name == "sub" else turned
        return self._fitting(name, x, y)

    def _fitting(self, name: str, x: int, y: int) -> int:
        a, b = self.nodes[x], self.nodes[y]
        alike = b.rows == a.rows or (y in self.static and b.rows == 1)
        if x in self.static or b.cols not in (1, a.cols) or not alike:
            raise Unknown(f"{name} of these shapes")
        return self.make(name, x, y)

    def _reduced(self, name: str, call: Call) -> int:
        x, *rest = call.args
        given = dict(zip(("dim", "keepdim"), rest, strict=False)) | dict(call.options)
        dim = given.pop("dim", None)
        # Over the last of two dimensions keepdim changes nothing here: all is a matrix.
        keeps = given.pop("keepdim", False) and (dim not in (-1, 1) or x.ndim != 2)
        if keeps or any(value is not None for value in given.values()):
            raise Unknown(f"{name} with options")
        node = self.node(x)
        axes = {d % x.ndim for d in ((dim,) if isinstance(dim, int) else dim or range(x.ndim))}
        if axes == set(range(x.ndim)):
            return self.make("sum_all" if name == "sum" else "mean_all", node, rows=1, cols=1)
        if axes == {x.ndim - 1} and x.ndim == 2:
            total = self.make("sum_columns", node, cols=1)
            return total if name == "sum" else self.make("scale", total, k=1 / x.shape[-1])
        raise Unknown(f"{name} over samples alone")


def _one(value: Any) -> int:
    """Return the number that holds for both axes of pixels."""
    sides = set(value) if isinstance(value, tuple | list) else {value}
    if len(sides) != 1 or not isinstance(next(iter(sides)), int):
        raise Unknown("pixels treated otherwise along one axis")
    return int(sides.pop())


def _default(name: str, option: str, value: Any) -> bool:
    """Whether an option of a call says what the node does anyway."""
    usual = {
        "inplace": False, "approximate": "none", "alpha": 1, "weight": None, "size_average": None,
        "reduce": None, "reduction": "mean", "ignore_index": -100, "label_smoothing": 0.0,
        "keepdim": False, "dtype": None,
    }  # fmt: skip
    if name in _POOLS or (name, option) in (("linear", "bias"), ("cat", "dim")):
        return True
    return option in usual and value == usual[option]


def offsets(shapes: Mapping[str, torch.Size]) -> dict[str, int]:
    """Return where each tensor begins when all are laid in one row in their order."""
    ends = np.cumsum([0, *(shape.numel() for shape in shapes.values())])
    return dict(zip(shapes, ends.tolist(), strict=False))

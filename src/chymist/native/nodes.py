"""Nodes: what the compiled kernel computes, and where their numbers lie in its workspace.

A node makes a block of numbers for every sample, row-major, or one block for all; whoever takes it
sees it as rows of so many columns, whichever way suits. So a reshape is no node.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

OPERATIONS = (
    "input", "target", "parameter", "buffer",
    "linear", "matmul", "each_product",
    "cat", "copy",
    "add", "sub", "mul", "divide", "fill",
    "scale", "shift", "tanh", "relu", "sigmoid", "sin", "cos", "gelu", "gelu_tanh", "silu", "exp",
    "erf", "abs", "square", "sqrt", "equals",
    "softmax", "layer_norm", "rms_norm",
    "sum_axis", "sum_all", "mean_all", "cross_entropy",
    "convolution", "max_pool", "average_pool",
)  # fmt: skip
"""In the kernel's order."""
HELD = ("parameter", "buffer")
_BY_OUTPUT = {"tanh", "relu", "sigmoid", "sqrt", "scale", "shift", "softmax"}
"""Their gradient needs the output at most: they may lie where their input lay."""
_KEEP_NOTHING = {
    "linear", "matmul", "each_product", "cat", "copy", "add", "sub", "scale", "shift",
    "convolution", "layer_norm", "rms_norm",
}  # fmt: skip
"""Their gradient does not need the output: it may be overwritten."""
_ELEMENTWISE = {
    "sin", "cos", "gelu", "gelu_tanh", "silu", "exp", "erf", "abs", "square", *_BY_OUTPUT,
}  # fmt: skip
"""Their input's gradient may be written where their own is read."""
_VECTOR = 16
"""Numbers in the kernel's widest vector."""
LAYOUT = np.dtype(
    [("op", "i4"), ("uses", "i4", 3), ("adds", "i4", 3), ("rows", "i4"), ("cols", "i4"),
     ("needed", "i4"), ("fixed", "i4"), ("pad", "i4"), ("shape", "i4", 16), ("value", "i8"),
     ("grad", "i8"), ("scratch", "i8"), ("k", "f8")]
)  # fmt: skip
"""A node as the kernel reads it."""


class Unknown(Exception):
    """The tape has no node for this; the message says what it is."""


@dataclass(frozen=True)
class Node:
    """One value: what makes it of which others, its numbers, and a constant or a place in a row.

    With `each`, every sample has `rows` of `cols` numbers of its own; else there are so many for
    all. `shape` is what its kind of node says further (see the kernel's headers).
    """

    op: str
    uses: tuple[int, ...] = ()
    rows: int = 1
    cols: int = 1
    each: bool = True
    k: float = 0.0
    place: int = 0
    shape: tuple[int, ...] = ()

    @property
    def size(self) -> int:
        """Numbers of a sample, or of all."""
        return self.rows * self.cols


@dataclass(frozen=True)
class Tape:
    """Nodes in the order of evaluation; the last is the loss, `prediction` the network's output.

    Where the loss is not `judged` on the tape, the last is the prediction. `constants` come after
    a lane's buffers, which are `held` numbers.
    """

    nodes: tuple[Node, ...]
    prediction: int
    held: int = 0
    constants: tuple[float, ...] = ()
    judged: bool = True

    def needed(self) -> list[bool]:
        """Whether each node depends on a parameter."""
        return needed(self.nodes)

    def kept(self, samples: int) -> int:
        """Numbers that a forward pass keeps for the backward pass, about."""
        made = zip(self.nodes, self.needed(), strict=True)
        return sum(
            node.size * (samples if node.each else 1)
            for node, needed in made
            if needed and node.op not in HELD
        )

    def flops(self, samples: int) -> int:
        """Floating-point operations of a step's matrix products, about."""
        total = 0
        for node in self.nodes:
            made = node.size * (samples if node.each else 1)
            if node.op in ("linear", "matmul"):
                total += 6 * made * self.nodes[node.uses[1]].size // node.cols
            if node.op == "each_product":
                total += 6 * made * node.shape[3]
            if node.op == "convolution":
                total += 6 * made * _patch(node)
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
            rows = node.rows * (samples if node.each else 1)
            row["op"], row["k"] = OPERATIONS.index(node.op), node.k
            row["rows"], row["cols"] = rows, node.cols
            row["uses"] = [*node.uses, -1, -1, -1][:3]
            row["needed"], row["fixed"] = needed[i], not needed[i]
            row["shape"][: len(node.shape)] = node.shape
            if node.op in HELD:
                row["value"] = row["grad"] = node.place
                continue
            if node.op in ("input", "target") and not moved:
                continue
            row["scratch"] = end
            end += _aligned(_scratch(self.nodes, node, rows))
            first = node.uses[0] if node.uses else 0
            alone = needed[i] and users[first] == [i] and self.nodes[first].op not in HELD
            alone = alone and first != self.prediction
            if alone and node.op in _BY_OUTPUT and self.nodes[first].op in _KEEP_NOTHING:
                row["value"], row["grad"] = table[first]["value"], table[first]["grad"]
                continue
            row["value"] = end
            end += _aligned(rows * node.cols)
            if alone and node.op in _ELEMENTWISE:
                row["grad"] = table[first]["grad"]
            elif needed[i]:
                row["grad"] = end
                end += _aligned(rows * node.cols)
        written: set[int] = set()
        for i in reversed(range(len(self.nodes))):
            for j, use in enumerate(self.nodes[i].uses):
                table[i]["adds"][j] = use in written
                if needed[use]:
                    written.add(use)
        return table, end


def needed(nodes: Sequence[Node]) -> list[bool]:
    """Whether each node depends on a parameter."""
    known: list[bool] = []
    for node in nodes:
        known.append(node.op == "parameter" or any(known[u] for u in node.uses))
    return known


def _scratch(nodes: Sequence[Node], node: Node, rows: int) -> int:
    """Numbers that a node keeps for itself."""
    match node.op:
        case "convolution":
            return _patch(node) * node.shape[3] * node.shape[4] + _with_margin(node)
        case "layer_norm" | "rms_norm":
            return 2 * rows
        case "linear" | "matmul":
            return _room(rows, node.cols, nodes[node.uses[1]].size // node.cols)
        case "each_product":
            return _room(*node.shape[1:4])
    return 0


def _room(*lengths: int) -> int:
    """Numbers of two panels that products of matrices of these lengths may need, either way up."""
    return 2 * _VECTOR * sum(sorted(lengths)[1:])


def _patch(node: Node) -> int:
    """Inputs of one output pixel of a convolution."""
    return node.shape[0] * node.shape[5] ** 2


def _with_margin(node: Node) -> int:
    """Pixels of a convolution's input with the margin of zeros around it."""
    channels, height, width, *_, padding = node.shape
    return channels * (height + 2 * padding) * (width + 2 * padding)


def _aligned(size: int) -> int:
    return math.ceil(size / _VECTOR) * _VECTOR

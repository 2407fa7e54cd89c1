"""Nodes: what the compiled kernel computes.

A node makes a block of numbers for every sample, row-major, or one block for all; whoever takes it
sees it as rows of so many columns, whichever way suits. So a reshape is no node.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

OPERATIONS = (
    "input", "target", "parameter", "buffer",
    "linear", "matmul", "each_product",
    "cat", "copy",
    "add", "sub", "mul", "divide", "fill",
    "scale", "shift", "tanh", "relu", "sigmoid", "sin", "cos", "gelu", "gelu_tanh", "silu", "exp",
    "erf", "abs", "square", "sqrt", "sign", "equals",
    "softmax", "layer_norm", "rms_norm",
    "sum_axis", "sum_all", "mean_all", "cross_entropy",
    "convolution", "max_pool", "average_pool",
)  # fmt: skip
"""In the kernel's order."""
HELD = ("parameter", "buffer")


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

    @cached_property
    def needed(self) -> tuple[bool, ...]:
        """Whether each node depends on a parameter."""
        return tuple(needed(self.nodes))

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
                total += 6 * made * patch(node)
        return total


def needed(nodes: Sequence[Node]) -> list[bool]:
    """Whether each node depends on a parameter."""
    known: list[bool] = []
    for node in nodes:
        known.append(node.op == "parameter" or any(known[u] for u in node.uses))
    return known


def patch(node: Node) -> int:
    """Inputs of one output pixel of a convolution."""
    return node.shape[0] * node.shape[5] ** 2

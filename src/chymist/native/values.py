"""Recorded tensors as nodes: which node holds a tensor's numbers, and in what order they are read.

A transpose, a slice or a head of a value has the numbers of the value's own node, read in strides.
What needs them in a row gets a copy, which is a node; products of matrices take the strides.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from chymist.native.nodes import Node, Unknown, needed

Shape = Sequence[int]


@dataclass(frozen=True, eq=False)
class Value:
    """Numbers of a node, as `seen`: a tensor without values, of so many samples, with strides.

    `turned` says that the samples are along another axis than the first, for the time being.
    """

    node: int
    seen: Tensor
    turned: bool = False

    @property
    def shape(self) -> torch.Size:
        """The tensor's shape, samples first where each has its own."""
        return self.seen.shape


@dataclass
class Values:
    """The nodes made so far for a recording of so many samples, and which tensors they are."""

    samples: int
    nodes: list[Node] = field(default_factory=list)
    held: int = 0
    constants: list[float] = field(default_factory=list)
    known: dict[int, Value] = field(default_factory=dict)
    fixed: dict[int, Tensor] = field(default_factory=dict)
    """Tensors that the forward pass makes from nothing, such as masks, with their values."""
    copies: dict[tuple[Any, ...], Value] = field(default_factory=dict)

    def enter(self, tensor: Tensor, node: Node) -> None:
        """Add a node that holds a recorded tensor's numbers in their order."""
        self.nodes.append(node)
        self.known[id(tensor)] = Value(len(self.nodes) - 1, _unseen(tensor.shape))

    def new(
        self, op: str, uses: Shape, shape: Shape, *, each: bool, cols: int = 0, k: float = 0.0,
        numbers: tuple[int, ...] = (),
    ) -> Value:  # fmt: skip
        """Add the node that makes a value of this shape, in rows of `cols`."""
        size, left = divmod(math.prod(shape), self.samples if each else 1)
        cols = cols or size
        if left or not cols or size % cols:
            raise Unknown(f"{op} that mixes samples")
        self.nodes.append(Node(op, tuple(uses), size // cols, cols, each, k, shape=numbers))
        return Value(len(self.nodes) - 1, _unseen(shape))

    def of(self, tensor: Any) -> Value:
        """Return the value that a recorded tensor is, samples first."""
        value = self.seen_anyhow(tensor)
        if value.turned:
            raise Unknown("samples along another axis than the first")
        return value

    def seen_anyhow(self, tensor: Any) -> Value:
        """Return the value that a recorded tensor is, along whatever axis the samples are."""
        if isinstance(tensor, Tensor) and id(tensor) in self.fixed and id(tensor) not in self.known:
            numbers = self.fixed[id(tensor)]
            place, cols = self.held + len(self.constants), max(1, numbers.numel())
            self.constants += numbers.double().reshape(-1).tolist()
            self.enter(tensor, Node("buffer", (), 1, cols, False, place=place))
        if not isinstance(tensor, Tensor) or id(tensor) not in self.known:
            raise Unknown("a value of which the tape has no record")
        return self.known[id(tensor)]

    def each(self, value: Value) -> bool:
        """Whether every sample has numbers of its own, be they the same."""
        return self.nodes[value.node].each or self._repeated(value)

    def _repeated(self, value: Value) -> bool:
        """Whether numbers of all are repeated for every sample, as by expand."""
        seen = value.seen
        repeated = seen.ndim > 1 and seen.shape[0] == self.samples > 1 and seen.stride(0) == 0
        return repeated and not self.nodes[value.node].each

    def needed(self, value: Value) -> bool:
        """Whether a value depends on a parameter."""
        return needed(self.nodes)[value.node]

    def total(self, node: int) -> int:
        """Numbers of a node in this recording."""
        return self.nodes[node].size * (self.samples if self.nodes[node].each else 1)

    def whole(self, value: Value) -> bool:
        """Whether a value is all numbers of its node in their order."""
        seen = value.seen
        in_order = seen.is_contiguous() and seen.storage_offset() == 0
        return in_order and seen.numel() == self.total(value.node) and not self._repeated(value)

    def plain(self, value: Value) -> int:
        """Return a node that holds a value's numbers in their order."""
        return value.node if self.whole(value) else self.copied(value).node

    def copied(self, value: Value) -> Value:
        """Put a value's numbers in their order.

        Raises:
            Unknown: they lie in too many strides.
        """
        seen, node = value.seen, self.nodes[value.node]
        key = (value.node, seen.shape, seen.stride(), seen.storage_offset())
        if key in self.copies:
            return self.copies[key]
        each = self.each(value)
        axes = list(zip(seen.shape, seen.stride(), strict=True))
        if each:
            (count, stride), *axes = axes
            axes = [(count // self.samples, stride), *axes]
        lengths, strides = collapsed(axes)
        if len(lengths) > 3:
            raise Unknown("numbers rearranged along more than three axes")
        whole = node.each == each and 0 not in strides and seen.numel() == self.total(value.node)
        missing = 3 - len(lengths)
        offset = int(seen.storage_offset())
        numbers = (
            *(1,) * missing, *lengths, offset, node.size if node.each else 0,
            *(0,) * missing, *strides, int(whole),
        )  # fmt: skip
        made = self.new("copy", [value.node], seen.shape, each=each, numbers=numbers)
        self.copies[key] = made
        return made

    def viewed(self, name: str, value: Value, seen: Tensor) -> Value:
        """Return a value seen otherwise, as PyTorch's views do it.

        Raises:
            Unknown: the view takes some samples only, or mixes them.
        """
        node = self.nodes[value.node]
        if node.each:
            # Merged with others, the first axis has `rows` places a sample.
            rows, left = divmod(seen.shape[0] if seen.ndim else 0, self.samples)
            first = not left and rows and seen.stride(0) * rows == node.size
            axes = zip(seen.shape, seen.stride(), strict=True)
            turned = not first and (self.samples, node.size) in axes
            if not (first or turned) or seen.storage_offset() >= node.size:
                raise Unknown(f"{name} that mixes samples")
            return Value(value.node, seen, turned)
        if self._repeated(value) and not self._repeated(Value(value.node, seen)):
            raise Unknown(f"{name} of a repeated parameter")
        return Value(value.node, seen)

    def spread(self, value: Value, shape: Shape) -> tuple[int, int, int]:
        """Return a node, and how its numbers are dealt out to an array of this shape.

        One number goes to so many places in a row, and after so many numbers they begin anew (0:
        never).
        """
        seen, node = value.seen.expand(shape), self.nodes[value.node]
        axes = [(n, s) for n, s in zip(seen.shape, seen.stride(), strict=True) if n != 1]
        inner = 1
        # The first axis may be that of samples, of which nothing may say how many there are.
        while len(axes) > 1 and axes[-1][1] == 0:
            inner *= axes.pop()[0]
        while axes and axes[0][1] == 0:
            axes.pop(0)
        lengths, strides = collapsed(axes)
        in_order = len(lengths) < 2 and strides in ([], [1]) and seen.storage_offset() == 0
        period = math.prod(lengths)
        if in_order and period == self.total(value.node):
            return value.node, inner, 0 if node.each else period
        copy = self.copied(Value(value.node, seen))
        return copy.node, 1, 0 if self.nodes[copy.node].each else math.prod(shape)


def broadcast(*shapes: Shape) -> torch.Size:
    """Return the shape that values of these shapes have together."""
    shape: torch.Size = torch.broadcast_shapes(*shapes)  # type: ignore[no-untyped-call]
    return shape


def collapsed(axes: Sequence[tuple[int, int]]) -> tuple[list[int], list[int]]:
    """Return lengths and strides with neighbours joined that are one axis in memory."""
    lengths: list[int] = []
    strides: list[int] = []
    for length, stride in axes:
        if length == 1:
            continue
        if lengths and strides[-1] == length * stride:
            lengths[-1] *= length
            strides[-1] = stride
        else:
            lengths.append(length)
            strides.append(stride)
    return lengths, strides


def _unseen(shape: Shape) -> Tensor:
    return torch.empty(tuple(shape), device="meta")

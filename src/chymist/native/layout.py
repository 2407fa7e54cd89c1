"""Where the numbers of a tape lie in the kernel's workspace, so that it stays small.

A training step goes through the nodes twice: node i of N is evaluated at time i, and its gradient
is handed on at time 2 N - 1 - i. A value, a gradient or a scratch is needed from the first of these
times at which it is written to the last at which it is read, and its place is another's before and
after.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache

import numpy as np

from chymist.native.nodes import HELD, OPERATIONS, Node, Tape, patch
from chymist.native.packing import Block, packed

LAYOUT = np.dtype(
    [("op", "i4"), ("uses", "i4", 3), ("adds", "i4", 3), ("rows", "i4"), ("cols", "i4"),
     ("needed", "i4"), ("fixed", "i4"), ("pad", "i4"), ("shape", "i4", 16), ("value", "i8"),
     ("grad", "i8"), ("scratch", "i8"), ("k", "f8")]
)  # fmt: skip
"""A node as the kernel reads it."""
_BY_OUTPUT = {"tanh", "relu", "sigmoid", "sqrt", "scale", "shift", "softmax"}
"""Their gradient needs the output at most: they may lie where their input lay."""
_KEEP_NOTHING = {
    "linear", "matmul", "each_product", "cat", "copy", "add", "sub", "mul", "fill", "scale",
    "shift", "sin", "cos", "gelu", "gelu_tanh", "silu", "erf", "abs", "square", "convolution",
    "layer_norm", "rms_norm", "sum_axis",
}  # fmt: skip
"""Their gradient does not need the output: it may be overwritten."""
_FORGET_INPUTS = {
    "cat", "copy", "add", "sub", "exp", "sum_axis", "sum_all", "mean_all", "average_pool",
    *_BY_OUTPUT,
}  # fmt: skip
"""Their gradient does not need what they are of."""
_ELEMENTWISE = {
    "sin", "cos", "gelu", "gelu_tanh", "silu", "exp", "erf", "abs", "square", *_BY_OUTPUT,
}  # fmt: skip
"""Their input's gradient may be written where their own is read."""
_NORMS = {"layer_norm", "rms_norm"}
"""What they note of every row in the forward half they read in the backward half."""
_GATED = {"gelu", "gelu_tanh", "silu"}
"""They keep their slope, where their input lay if nothing else reads that."""
_VECTOR = 16
"""Numbers in the kernel's widest vector."""


@lru_cache(maxsize=64)
def laid_out(tape: Tape, samples: int, parameters: int, moved: bool) -> tuple[np.ndarray, int]:
    """Return the nodes as the kernel reads them, and the size of its workspace in numbers.

    `parameters` is the length of a lane's row; the workspace begins with its gradient. With
    `moved`, inputs and targets are gathered into the workspace too (minibatches).
    """
    table = _table(tape, samples)
    begin = _aligned(parameters)
    fields, blocks = zip(*_blocks(tape, table, moved), strict=True)
    places, size = packed(blocks)
    for home, place in zip(fields, places, strict=True):
        for name, i in home:
            table[i][name] = begin + place
    table.flags.writeable = False
    return table, begin + size


def _table(tape: Tape, samples: int) -> np.ndarray:
    """Return all of a node that does not depend on where its numbers lie."""
    needed = tape.needed
    table = np.zeros(len(tape.nodes), LAYOUT)
    for row, node, wanted in zip(table, tape.nodes, needed, strict=True):
        row["op"], row["k"] = OPERATIONS.index(node.op), node.k
        row["rows"], row["cols"] = node.rows * (samples if node.each else 1), node.cols
        row["uses"] = [*node.uses, -1, -1, -1][:3]
        row["needed"], row["fixed"] = wanted, not wanted
        row["shape"][: len(node.shape)] = node.shape
        if node.op in HELD:
            row["value"] = row["grad"] = node.place
    written: set[int] = set()
    for i in reversed(range(len(tape.nodes))):
        for j, use in enumerate(tape.nodes[i].uses):
            table[i]["adds"][j] = use in written
            if needed[use]:
                written.add(use)
    for i in range(len(tape.nodes)):
        for j, which in _dealt_out(tape, i):
            table[j]["adds"][which], table[j]["shape"][14 + which] = False, True
    return table


def _dealt_out(tape: Tape, i: int) -> list[tuple[int, int]]:
    """Return the sides of products that take all numbers of a node once, between them."""
    node = tape.nodes[i]
    uses = [(j, w) for j, n in enumerate(tape.nodes) for w, use in enumerate(n.uses) if use == i]
    if not node.each or any(tape.nodes[j].op != "each_product" for j, _ in uses):
        return []
    taken = [_taken(tape.nodes[j], which).reshape(-1) for j, which in uses]
    once = taken and np.array_equal(np.sort(np.concatenate(taken)), np.arange(node.size))
    return uses if once else []


def _taken(node: Node, which: int) -> np.ndarray:
    """Return which numbers of a sample are a side of its products, [head][row][column]."""
    heads, rows, cols, inner = node.shape[:4]
    offset, _, head, down, across = node.shape[4 + 5 * which : 9 + 5 * which]
    high, wide = (inner, cols) if which else (rows, inner)
    heads_at, rows_at = np.arange(heads) * head, np.arange(high) * down
    return offset + heads_at[:, None, None] + rows_at[:, None] + np.arange(wide) * across


Fields = list[tuple[str, int]]


def _blocks(tape: Tape, table: np.ndarray, moved: bool) -> Iterator[tuple[Fields, Block]]:
    """Yield blocks of the workspace, each with the fields of the table that are its place."""
    nodes, needed, count = tape.nodes, tape.needed, len(tape.nodes)
    users = [[j for j, n in enumerate(nodes) if i in n.uses] for i in range(count)]
    sizes = [_aligned(int(row["rows"] * row["cols"])) for row in table]
    inside = [n.op not in HELD and (moved or n.op not in ("input", "target")) for n in nodes]
    values, gradients = _homes(tape, users)

    def back(i: int) -> int:
        return 2 * count - 1 - i

    def kept(i: int) -> bool:
        """Whether a value is found once a visit, or is read after a step."""
        return i in (tape.prediction, count - 1) or not (moved or needed[i])

    def value(members: list[int]) -> Block:
        if any(map(kept, members)):
            return Block(0, 2 * count, sizes[members[0]])
        read = [u for i in members for u in (i, *users[i])]
        read += [back(i) for i in members if needed[i] and nodes[i].op not in _KEEP_NOTHING]
        read += [
            back(u)
            for i in members
            for u in users[i]
            if needed[u] and nodes[u].op not in _FORGET_INPUTS
        ]
        first = 0 if nodes[members[0]].op in ("input", "target") else members[0]
        return Block(first, max(read), sizes[members[0]])

    def gradient(members: list[int]) -> Block:
        written = min(back(max(users[i], default=i)) for i in members)
        return Block(written, back(members[0]), sizes[members[0]])

    over_input = {
        i for i, n in enumerate(nodes) if n.op in _GATED and _may_overwrite(tape, users, i)
    }
    for members in _shared(values, inside):
        slopes = [("scratch", u) for i in members for u in users[i] if u in over_input]
        yield [*(("value", i) for i in members), *slopes], value(members)
    for members in _shared(gradients, [a and b for a, b in zip(inside, needed, strict=True)]):
        yield [("grad", i) for i in members], gradient(members)
    for i, node in enumerate(nodes):
        if node.op in _NORMS:
            span = (0, 2 * count) if kept(i) else (i, back(i))
            yield [("scratch", i)], Block(*span, _aligned(2 * int(table[i]["rows"])))
        if node.op in _GATED and i not in over_input:
            yield [("scratch", i)], Block(i, back(i), sizes[i])
    rooms = {i: _room(tape, i, int(table[i]["rows"])) for i in range(count)}
    yield (
        [("scratch", i) for i, room in rooms.items() if room],
        Block(0, 2 * count, _aligned(max(rooms.values()))),
    )


def _homes(tape: Tape, users: list[list[int]]) -> tuple[list[int], list[int]]:
    """Return for every node at which node's place its value lies, and its gradient."""
    nodes = tape.nodes
    values, gradients = list(range(len(nodes))), list(range(len(nodes)))
    for i, node in enumerate(nodes):
        first = node.uses[0] if node.uses else 0
        passed = _passed_on(tape, users, i)
        if passed is not None:
            gradients[i] = gradients[passed]
            if nodes[passed].op in _KEEP_NOTHING:
                values[i] = values[passed]
        if not _alone(tape, users, i, first):
            continue
        if node.op in _ELEMENTWISE:
            gradients[i] = gradients[first]
        if node.op in _BY_OUTPUT and nodes[first].op in _KEEP_NOTHING:
            values[i], gradients[i] = values[first], gradients[first]
    return values, gradients


def _passed_on(tape: Tape, users: list[list[int]], i: int) -> int | None:
    """Return a node of which a sum is, and nothing else, whose gradient is the sum's own."""
    node = tape.nodes[i]
    if node.op != "add" or node.uses[0] == node.uses[1]:
        return None
    first, second = node.uses
    other = tape.nodes[second]
    if (other.each, other.size) == (node.each, node.size) and _alone(tape, users, i, second):
        return second
    return first if _alone(tape, users, i, first) else None


def _alone(tape: Tape, users: list[list[int]], i: int, of: int) -> bool:
    """Whether a node is all that reads one of the values that it is of, in training."""
    held = tape.nodes[of].op in HELD or of == tape.prediction
    return tape.needed[of] and users[of] == [i] and not held


def _may_overwrite(tape: Tape, users: list[list[int]], i: int) -> bool:
    """Whether nothing reads the value that a node is of after it, not even what made it."""
    (of,) = tape.nodes[i].uses
    return _alone(tape, users, i, of) and tape.nodes[of].op in _KEEP_NOTHING


def _shared(homes: list[int], inside: list[bool]) -> Iterator[list[int]]:
    """Yield the nodes that lie at one place, for every place."""
    for home in sorted(set(homes)):
        if inside[home]:
            yield [i for i, at in enumerate(homes) if at == home]


def _room(tape: Tape, i: int, rows: int) -> int:
    """Numbers that a node needs while it is evaluated, and while its gradient is handed on."""
    node = tape.nodes[i]
    match node.op:
        case "convolution":
            taken, pixels = patch(node), node.shape[3] * node.shape[4]
            made = node.cols // pixels
            apart = taken * (pixels + made) + 2 * _with_margin(node)
            return apart + _panels(taken, pixels, made)
        case "linear" | "matmul":
            return _panels(rows, node.cols, tape.nodes[node.uses[1]].size // node.cols)
        case "each_product":
            return _panels(*node.shape[1:4])
    return 0


def _panels(*lengths: int) -> int:
    """Numbers of two panels that products of matrices of these lengths may need, either way up."""
    return 2 * _VECTOR * sum(sorted(lengths)[1:])


def _with_margin(node: Node) -> int:
    """Pixels of a convolution's input with the margin of zeros around it."""
    channels, height, width, *_, padding = node.shape
    return channels * (height + 2 * padding) * (width + 2 * padding)


def _aligned(size: int) -> int:
    return math.ceil(size / _VECTOR) * _VECTOR

"""The tape: a network's forward pass and its loss as nodes that the compiled kernel knows.

Built from recorded PyTorch calls. What has no node is left to PyTorch. Every recording is made for
two numbers of samples, one of them the training's: a network or loss that does otherwise with
another number of samples, or computes with that number, is not taken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from chymist.native.calls import asks_for_sizes, has_node, lower
from chymist.native.nodes import HELD, Node, Tape, Unknown
from chymist.native.values import Value, Values
from chymist.recording import ROWS, Call, record, record_module

_OTHER_ROWS = 11
"""Samples of the second recording where the training's are as many as the first's."""


def network_tape(
    module: nn.Module, features: int, samples: int, parameters: Shapes, buffers: Shapes
) -> Tape:
    """Return the tape of a module on so many samples of so many features, without a loss.

    `parameters` and `buffers` lie in a lane's rows in their order.

    Raises:
        Unknown: a call that has no node, or what depends on the number of samples.
    """
    places, held = offsets(parameters), offsets(buffers)
    end = sum(shape.numel() for shape in buffers.values())

    def made(rows: int) -> Tape:
        recorded = record_module(module, features, rows)
        if recorded is None:
            raise Unknown("the forward pass needs values, so it cannot be recorded")
        recording, states = recorded
        _check(recording.calls, samples)
        values = Values(rows, held=end)
        values.enter(recording.inputs[0], Node("input", cols=features))
        for name, tensor in states.items():
            op, place = ("parameter", places[name]) if name in places else ("buffer", held[name])
            # The weights of a convolution are a matrix too: one row an output channel.
            rows_, cols = (tensor.shape[0], tensor[0].numel()) if tensor.ndim > 1 else (1, None)
            cols = tensor.numel() if cols is None else cols
            values.enter(tensor, Node(op, (), rows_, cols, False, place=place))
        for call in recording.calls:
            lower(values, call)
        out = values.of(recording.result)
        if out.seen.ndim != 2 or out.shape[0] != rows or not values.each(out):
            raise Unknown("the output is not one row a sample")
        last = values.plain(out)
        return _without_dead_ends(values, last, last, judged=False)

    return _agreed(made, samples)


def with_loss(
    tape: Tape, loss: Callable[[Tensor, Tensor], Tensor], samples: int, outputs: int
) -> Tape:
    """Return a network's tape that goes on to its loss against so many target columns.

    Raises:
        Unknown: a call that has no node, or what depends on the number of samples.
    """

    def made(rows: int) -> Tape:
        width = tape.nodes[tape.prediction].size
        prediction, target = (torch.empty(rows, n, device="meta") for n in (width, outputs))
        judged = record(loss, prediction, target)
        if judged is None:
            raise Unknown("the loss needs values, so it cannot be recorded")
        _check(judged.calls, samples)
        values = Values(rows, list(tape.nodes), tape.held, list(tape.constants))
        values.known[id(prediction)] = Value(tape.prediction, torch.empty_like(prediction))
        values.enter(target, Node("target", cols=outputs))
        for call in judged.calls:
            lower(values, call)
        if judged.result.ndim != 0:
            raise Unknown("the loss is not a number")
        last = values.plain(values.of(judged.result))
        return _without_dead_ends(values, tape.prediction, last, judged=True)

    return _agreed(made, samples)


Shapes = Mapping[str, torch.Size]


def _agreed(made: Callable[[int], Tape], samples: int) -> Tape:
    counts = (ROWS, samples if samples not in (1, ROWS) else _OTHER_ROWS)
    first, second = (made(count) for count in counts)
    if first != second:
        raise Unknown("a number that depends on how many samples there are")
    return first


def _check(calls: Iterable[Call], samples: int) -> None:
    """Name first what is not known at all, whatever else there is."""
    for call in calls:
        if not has_node(call):
            raise Unknown(f"{call.name or 'a call'} has no node")
        # One sample cannot be told from an axis of length one, so nothing is recorded of it.
        if samples == 1 and asks_for_sizes(call):
            raise Unknown("sizes asked for in training on single samples")


def _without_dead_ends(values: Values, prediction: int, last: int, *, judged: bool) -> Tape:
    """Keep what the last node depends on; all else would have a gradient that nobody writes."""
    nodes: Sequence[Node] = values.nodes
    kept = {last}
    for i in reversed(range(len(nodes))):
        if i in kept:
            kept.update(nodes[i].uses)
    if prediction not in kept:
        raise Unknown("a loss that does not depend on the output")
    place = {old: new for new, old in enumerate(sorted(kept))}
    moved = tuple(replace(nodes[i], uses=tuple(place[u] for u in nodes[i].uses)) for i in place)
    if moved[-1].op in HELD:
        raise Unknown("an output that is a parameter")
    return Tape(moved, place[prediction], values.held, tuple(values.constants), judged)


def offsets(shapes: Shapes) -> dict[str, int]:
    """Return where each tensor begins when all are laid in one row in their order."""
    ends = np.cumsum([0, *(shape.numel() for shape in shapes.values())])
    return dict(zip(shapes, ends.tolist(), strict=False))

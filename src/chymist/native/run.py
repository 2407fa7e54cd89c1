"""Training a group of lanes by the compiled kernel, in visits from one recording to the next."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from chymist.group import Group, Part, Task
from chymist.native.build import kernel, matrix_product
from chymist.native.tape import LAYOUT, Tape, Unknown, build_tape, offsets
from chymist.solvers import Adam, GradientDescent, Momentum, Solver

VISIT = 10**9
"""Floating-point operations of a visit, about: some hundredths of a second."""


class _Tape(ctypes.Structure):
    _fields_ = (
        ("nodes", ctypes.c_void_p),
        *((n, ctypes.c_int64) for n in ("count", "prediction", "samples", "batch")),
        *((n, ctypes.c_int64) for n in ("parameters", "buffers", "solver")),
        ("gemm", ctypes.c_void_p),
    )


class _Visit(ctypes.Structure):
    _fields_ = (
        *((n, ctypes.c_int64) for n in ("lanes", "first", "last", "evaluate")),
        *((n, ctypes.c_void_p) for n in ("x", "y")),
        *((n, ctypes.c_int64) for n in ("x_stride", "y_stride")),
        *((n, ctypes.c_void_p) for n in ("parameters", "moment1", "moment2", "buffers", "order")),
        *((n, ctypes.c_void_p) for n in ("stream", "numbers", "losses", "predictions")),
        *((n, ctypes.c_void_p) for n in ("diverged_at", "workspace", "stop")),
    )


def plan(task: Task) -> Tape:
    """Return the tape of a task if the kernel can train it.

    Raises:
        NoKernel: there is none here.
        Unknown: a device, solver, loss or call that it does not know.
    """
    if task.like.device.type != "cpu":
        raise Unknown("not on the CPU")
    _rule(task.solver)
    loss = task.loss
    if isinstance(loss, functools.partial) and any(
        isinstance(v, xr.DataArray) for v in loss.keywords.values()
    ):
        raise Unknown("the loss has a number for each lane")
    kernel(task.like.dtype)
    shapes = {n: p.shape[1:] for n, p in task.parameters.items()}
    held = {n: b.shape[1:] for n, b in task.buffers.items()}
    return build_tape(
        task.module, loss, task.x.shape[-1], task.y.shape[-1], offsets(shapes), offsets(held)
    )


def _rule(solver: Solver) -> tuple[int, tuple[str, ...]]:
    """Return the kernel's number of an update rule, and which numbers it takes."""
    # By exact type: a rule derived from one of these may do anything.
    if type(solver) is GradientDescent:
        return 0, ("lr",)
    if type(solver) is Momentum:
        return (2 if solver.nesterov else 1), ("lr", "momentum")
    if type(solver) is Adam:
        return 3, ("lr", "beta1", "beta2", "eps")
    raise Unknown(f"the update rule {type(solver).__name__}")


def train(group: Group, tape: Tape, report: Callable[[int], None], stop: np.ndarray) -> Part:
    """Train the group's lanes; `stop` is one 32-bit integer, not zero when to stop."""
    task = group.task
    machine = _Machine(group, tape, stop)
    per_step = max(1, tape.flops(machine.samples) * group.count)
    stride = max(1, min(VISIT // per_step, 10_000))
    marks = sorted({0, task.steps, *(s for due in task.due.values() for s in due)})
    step = 0
    for mark in marks:
        while step < mark and mark - step > stride:
            machine.visit(step, step + stride, evaluate=False)
            step += stride
            report(step)
        machine.visit(step, mark, evaluate=True)
        step = mark
        group.mark(machine.diverged_at < 0, machine.diverged_at)
        group.record(step, **machine.known())
        report(step)
    return group.part()


class _Machine:
    """The kernel with one group's tensors."""

    def __init__(self, group: Group, tape: Tape, stop: np.ndarray) -> None:
        task, lanes = group.task, len(group.rows)
        self.group = group
        like = group.flat
        self.train = kernel(like.dtype).train
        self.whole = task.batch is None
        self.samples = task.batch or group.x.shape[-2]
        self.kept: list[Any] = [stop]
        parameters = group.flat.shape[1]
        table, size = tape.laid_out(self.samples, parameters, moved=not self.whole)
        buffers = [b.reshape(lanes, -1) for b in group.buffers.values()]
        held = torch.cat(buffers, dim=1).contiguous() if buffers else like.new_empty(lanes, 0)
        solver, names = _rule(task.solver)
        numbers = torch.zeros(lanes, 4, dtype=torch.float64)
        for column, name in enumerate(names):
            numbers[:, column] = torch.as_tensor(group.numbers[name], dtype=torch.float64)
        moments = [torch.zeros_like(like) for _ in range(task.solver.moments)] + [None, None]
        x, x_stride = _strided(group.x)
        y, y_stride = _strided(group.y)
        self.losses = like.new_zeros(lanes)
        output = table[tape.prediction]
        self.predictions = like.new_zeros(lanes, int(output["rows"]), int(output["cols"]))
        self.diverged_at = torch.full((lanes,), -1, dtype=torch.int64)
        self.tape = _Tape(
            nodes=self._at(table), count=len(table), prediction=tape.prediction,
            samples=group.x.shape[-2], batch=task.batch or 0, parameters=parameters,
            buffers=held.shape[1], solver=solver, gemm=matrix_product(like.dtype),
        )  # fmt: skip
        workspace = torch.empty(size + 64, dtype=like.dtype)
        # Rows of vectors begin at a cache line's start.
        skip = (-workspace.data_ptr() % 64) // workspace.element_size()
        stream = np.asarray(group.batches.stream if group.batches else [0] * lanes, dtype=np.int64)
        self.visited = _Visit(
            lanes=group.count, x=self._at(x), y=self._at(y), x_stride=x_stride, y_stride=y_stride,
            parameters=self._at(like), moment1=self._at(moments[0]), moment2=self._at(moments[1]),
            buffers=self._at(held), stream=self._at(stream), numbers=self._at(numbers),
            losses=self._at(self.losses), predictions=self._at(self.predictions),
            diverged_at=self._at(self.diverged_at), stop=self._at(stop),
            workspace=self._at(workspace) + skip * workspace.element_size(),
        )  # fmt: skip

    def _at(self, values: Tensor | np.ndarray | None) -> int:
        """Return an array's address, and keep the array."""
        if values is None:
            return 0
        self.kept.append(values)
        return values.data_ptr() if isinstance(values, Tensor) else values.ctypes.data

    def visit(self, first: int, last: int, *, evaluate: bool) -> None:
        """Do updates first + 1 to last of all lanes; then evaluate the loss, if asked for."""
        visit = self.visited
        visit.first, visit.last, visit.evaluate = first, last, evaluate
        if self.group.batches:
            steps = range(first, last + evaluate)
            picked = [self.group.batches.at(step) for step in steps]
            order = torch.stack(picked, dim=1).contiguous()
            visit.order = order.data_ptr()
        self.train(ctypes.byref(self.tape), ctypes.byref(visit))
        if self.group.count < len(self.group.rows):
            # The padding of a single lane is its copy.
            for rows in (self.group.flat, self.losses, self.predictions, self.diverged_at):
                rows[1:] = rows[:1]

    def known(self) -> dict[str, Tensor]:
        """Return what the last evaluation found; over all samples, so not with minibatches."""
        return {"prediction": self.predictions, "loss": self.losses} if self.whole else {}


def _strided(data: Tensor) -> tuple[Tensor, int]:
    """Return data with contiguous samples, and how far apart lanes are; 0 if they share it."""
    if data.ndim == 3 and data.stride(0):
        data = data.contiguous()
        return data, data.shape[1] * data.shape[2]
    return (data[0] if data.ndim == 3 else data).contiguous(), 0


assert LAYOUT.itemsize == 72, "the kernel's Node has 72 bytes"  # noqa: S101

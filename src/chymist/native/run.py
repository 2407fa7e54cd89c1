"""Training a group of lanes by the compiled kernel, in visits from one recording to the next.

A visit does not end at every recording. Where all samples are trained on, the forward half of an
update has found what most instruments read, outputs and losses; the kernel keeps them at marked
steps and goes on. It ends where an instrument is due that reads parameters.
"""

from __future__ import annotations

import ctypes
import math
from bisect import bisect_left
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from chymist.group import Group, Part, Task
from chymist.native.build import NoKernel, kernel, matrix_product
from chymist.native.layout import laid_out
from chymist.native.nodes import Tape, Unknown
from chymist.native.tape import network_tape, with_loss
from chymist.solvers import Adam, GradientDescent, Momentum, Solver

VISIT = 10**10
"""Floating-point operations of a visit, about: a tenth of a second."""
MARKED = 4 * 2**20
"""Bytes of the outputs that a visit keeps for recordings that it goes past; one is always kept."""


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
        ("marks", ctypes.c_void_p),
        *((n, ctypes.c_int64) for n in ("marked", "across")),
        *((n, ctypes.c_void_p) for n in ("diverged_at", "gradients", "workspace")),
        ("workspace_stride", ctypes.c_int64),
        ("stop", ctypes.c_void_p),
    )


def plan(task: Task) -> tuple[Tape, str]:
    """Return the tape of a task if the kernel can train it, and what is left to PyTorch.

    Raises:
        NoKernel: there is none here.
        Unknown: a device, update rule or call that it does not know.
    """
    if task.like.device.type != "cpu":
        raise Unknown("not on the CPU")
    _rule(task.solver)
    kernel(task.like.dtype)
    shapes = {n: p.shape[1:] for n, p in task.parameters.items()}
    held = {n: b.shape[1:] for n, b in task.buffers.items()}
    samples = task.batch or task.x.shape[-2]
    tape = network_tape(task.module, task.x.shape[-1], samples, shapes, held)
    try:
        return with_loss(tape, _without_lanes(task.loss), samples, task.y.shape[-1]), ""
    except Unknown as error:
        return tape, f"the loss, for {error}"


def _without_lanes(loss: Callable[..., Tensor]) -> Callable[..., Tensor]:
    if isinstance(loss, partial) and any(
        isinstance(v, xr.DataArray) for v in loss.keywords.values()
    ):
        raise Unknown("it has a number for each lane")
    return loss


def knows_rule(task: Task) -> bool:
    """Whether the kernel can take the steps, though not find the gradients."""
    try:
        _rule(task.solver)
        kernel(task.like.dtype)
    except (NoKernel, Unknown):
        return False
    return task.like.device.type == "cpu"


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
    machine = _Machine(group, tape, stop)
    if tape.judged:
        _train_in_visits(group, machine, report)
    else:
        _train_by_halves(group, machine, report)
    return group.part()


def _train_in_visits(group: Group, machine: _Machine, report: Callable[[int], None]) -> None:
    """Train each lane by itself until an instrument is due that reads its parameters.

    What instruments read of outputs alone comes from the marks of a visit, in order, after it. One
    that did not read parameters at its first recording and does later sends the training back to
    the start, and from there to the step where they are wanted: the same bits again, and no copy of
    the state is kept for what hardly ever happens.
    """
    steps, known, evaluated = group.task.steps, 0, False
    due = sorted({s for schedule in group.task.due.values() for s in schedule})
    while not evaluated or machine.done < steps:
        stop = group.next_reading(due[known]) if known < len(due) else steps
        last = min(machine.done + machine.stride, stop)
        passed = bisect_left(due, last)
        if passed > known + machine.room:
            passed = known + machine.room
            last = due[passed]
        evaluated = last == stop
        marks = due[known : passed + (evaluated and last in due[passed : passed + 1])]
        machine.visit(last, marks, evaluate=evaluated)
        died = machine.some_died()
        for number, mark in enumerate(marks):
            report(mark)
            if died:
                group.mark(machine.finite_until(mark), machine.diverged_at)
            group.record(mark, machine.known(number), partial(machine.go_to, mark, report))
            known += 1
            if machine.done != last:
                break
        report(machine.done)
    group.mark(machine.finite_until(steps), machine.diverged_at)


def _train_by_halves(group: Group, machine: _Machine, report: Callable[[int], None]) -> None:
    """Train all lanes a step at a time, the loss and its gradient by PyTorch in between."""
    task = group.task
    for step in range(task.steps + 1):
        prediction = machine.predict(step).detach().requires_grad_()
        y = group.y if group.batches is None else group.batches.take(step, group.x, group.y)[1]
        with torch.enable_grad():
            losses = group.losses(prediction, y)
            total = losses.sum()
        if not math.isfinite(total.item()):
            group.mark(torch.isfinite(losses.detach()), step)
            machine.diverged_at[~group.alive] = step
        machine.losses[0] = losses.detach()
        group.record(step, machine.known(0))
        if step < task.steps:
            machine.learn(step, torch.autograd.grad(total, prediction)[0])
        report(step)


class Steps:
    """The kernel's update rule on one group's rows, from gradients found elsewhere."""

    def __init__(self, group: Group, stop: np.ndarray) -> None:
        lanes, like = len(group.rows), group.flat
        self.group = group
        self.kernel = kernel(like.dtype)
        self.kept: list[Any] = []
        self.diverged_at = torch.full((lanes,), -1, dtype=torch.int64)
        solver, names = _rule(group.task.solver)
        numbers = torch.zeros(lanes, 4, dtype=torch.float64)
        for column, name in enumerate(names):
            numbers[:, column] = torch.as_tensor(group.numbers[name], dtype=torch.float64)
        self.moments = [torch.zeros_like(like) for _ in range(group.task.solver.moments)]
        group.state = self.state
        moments = [*self.moments, None, None]
        self.tape = _Tape(parameters=like.shape[1], solver=solver)
        self.visited = _Visit(
            lanes=group.count, parameters=self._at(like), numbers=self._at(numbers),
            moment1=self._at(moments[0]), moment2=self._at(moments[1]),
            diverged_at=self._at(self.diverged_at), stop=self._at(stop),
        )  # fmt: skip

    def state(self) -> dict[str, dict[str, Tensor]]:
        """Return the update rule's state as the rule itself would hold it, in rows."""
        self._pad(*self.moments)
        names = self.group.task.solver.state_names
        return {name: {"": rows} for name, rows in zip(names, self.moments, strict=True)}

    def _at(self, values: Tensor | np.ndarray | None) -> int:
        """Return an array's address, and keep the array."""
        if values is None:
            return 0
        self.kept.append(values)
        return values.data_ptr() if isinstance(values, Tensor) else values.ctypes.data

    def step(self, step: int, gradients: Tensor) -> None:
        """Do update number step + 1 of all lanes that are alive, from rows of gradients."""
        if self.group.some_dead:
            self.diverged_at[~self.group.alive] = step
        self._call("step", step, gradients)

    def _call(self, function: str, step: int, gradients: Tensor) -> None:
        gradients = gradients.contiguous()
        self.visited.first, self.visited.gradients = step, gradients.data_ptr()
        getattr(self.kernel, function)(ctypes.byref(self.tape), ctypes.byref(self.visited))
        self._pad(self.group.flat)

    def _pad(self, *tensors: Tensor) -> None:
        """Make the padding of a single lane its copy."""
        if self.group.count < len(self.group.rows):
            for rows in tensors:
                rows[1:] = rows[:1]


class _Machine(Steps):
    """The kernel with one group's network, data and rule."""

    def __init__(self, group: Group, tape: Tape, stop: np.ndarray) -> None:
        super().__init__(group, stop)
        task, lanes = group.task, len(group.rows)
        like = group.flat
        self.whole = task.batch is None
        self.samples = task.batch or group.x.shape[-2]
        self.stride = max(1, min(VISIT // max(1, tape.flops(self.samples) * group.count), 10_000))
        self.done = 0
        parameters = group.flat.shape[1]
        table, size = laid_out(tape, self.samples, parameters, moved=not self.whole)
        # Masks and counts become numbers like all others; constants are those of every lane.
        buffers = [b.reshape(lanes, -1).to(like.dtype) for b in group.buffers.values()]
        held = torch.cat([*buffers, like.new_tensor(tape.constants).expand(lanes, -1)], dim=1)
        x, x_stride = _strided(group.x)
        y, y_stride = _strided(group.y)
        outputs = lanes, self.samples, tape.nodes[tape.prediction].size
        due = len(set().union(*task.due.values())) if tape.judged else 1
        self.room = max(1, min(MARKED // (math.prod(outputs) * like.element_size()), due))
        # One more than a visit goes past, for where it ends.
        self.losses = like.new_zeros(self.room + 1, lanes)
        self.predictions = like.new_zeros(self.room + 1, *outputs)
        self.tape.nodes, self.tape.count = self._at(table), len(table)
        self.tape.prediction, self.tape.gemm = tape.prediction, matrix_product(like.dtype)
        self.tape.samples, self.tape.batch = group.x.shape[-2], task.batch or 0
        self.tape.buffers = held.shape[1]
        # By halves every lane's activations wait for the loss; in visits all use one place.
        apart = 0 if tape.judged else size
        workspace = torch.empty(size + apart * (group.count - 1) + 64, dtype=like.dtype)
        # Rows of vectors begin at a cache line's start.
        skip = (-workspace.data_ptr() % 64) // workspace.element_size()
        stream = np.asarray(group.batches.stream if group.batches else [0] * lanes, dtype=np.int64)
        visit = self.visited
        visit.x, visit.y, visit.x_stride, visit.y_stride = (
            self._at(x),
            self._at(y),
            x_stride,
            y_stride,
        )
        visit.buffers, visit.stream = self._at(held), self._at(stream)
        visit.losses, visit.predictions = self._at(self.losses), self._at(self.predictions)
        visit.across = lanes
        visit.workspace = self._at(workspace) + skip * workspace.element_size()
        visit.workspace_stride = apart

    def visit(self, last: int, marks: Sequence[int] = (), *, evaluate: bool = False) -> None:
        """Go on to step `last`; keep outputs and losses at the marks, which are steps on the way.

        With `evaluate` the loss is found at the last step, too, which may then be a mark.
        """
        visit = self.visited
        visit.first, visit.last, visit.evaluate = self.done, last, evaluate
        kept = np.asarray(marks, dtype=np.int64)
        visit.marks, visit.marked = kept.ctypes.data, len(kept)
        if self.group.batches:
            steps = range(self.done, last + evaluate)
            picked = [self.group.batches.at(step) for step in steps]
            order = torch.stack(picked, dim=1).contiguous()
            visit.order = order.data_ptr()
        self.kernel.train(ctypes.byref(self.tape), ctypes.byref(visit))
        self.done = last
        self._pad(self.group.flat, self.diverged_at)
        self._pad(*self.losses[: len(kept)], *self.predictions[: len(kept)])

    def go_to(self, step: int, report: Callable[[int], None]) -> None:
        """Be at a step that the last visit went past, by way of the start."""
        if self.done == step:
            return
        self.group.start()
        for moment in self.moments:
            moment.zero_()
        self.diverged_at.fill_(-1)
        self.done = 0
        while self.done < step:
            self.visit(min(self.done + self.stride, step))
            report(step)

    def some_died(self) -> bool:
        """Return whether any lane had a loss that is not finite."""
        return bool((self.diverged_at >= 0).any())

    def finite_until(self, step: int) -> Tensor:
        """Return which lanes had a finite loss at every step up to this one."""
        return (self.diverged_at < 0) | (self.diverged_at > step)

    def predict(self, step: int) -> Tensor:
        """Return all lanes' outputs on the samples of a step."""
        visit = self.visited
        visit.evaluate = step == 0
        if self.group.batches:
            order = self.group.batches.at(step).contiguous()
            visit.order = order.data_ptr()
        self.kernel.predict(ctypes.byref(self.tape), ctypes.byref(visit))
        self._pad(self.predictions[0])
        return self.predictions[0]

    def learn(self, step: int, gradients: Tensor) -> None:
        """Do update number step + 1, from the gradients with respect to the outputs."""
        self._call("learn", step, gradients)

    def known(self, mark: int) -> dict[str, Tensor]:
        """Return what was kept at a mark; over all samples, so nothing with minibatches."""
        if not self.whole:
            return {}
        return {"prediction": self.predictions[mark], "loss": self.losses[mark]}


def _strided(data: Tensor) -> tuple[Tensor, int]:
    """Return data with contiguous samples, and how far apart lanes are; 0 if they share it."""
    if data.ndim == 3 and data.stride(0):
        data = data.contiguous()
        return data, data.shape[1] * data.shape[2]
    return (data[0] if data.ndim == 3 else data).contiguous(), 0

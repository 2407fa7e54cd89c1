"""A group of lanes in training: their tensors, minibatches, divergence and records."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from chymist.instruments import Instrument, Snapshot, SolverState, loss
from chymist.keys import Key
from chymist.lanes import Lanes
from chymist.solvers import Solver
from chymist.stacked import Forward, stacked_forward, stacked_rewritten

Look = Callable[[Instrument, int, Tensor, Tensor], None]
"""Sees what an instrument recorded at a step: which lanes (row), and their values (row, *dims).

It is called in the thread that trains, may change nothing, and must not keep the values.
"""


def mean_squared_error(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean over samples of half the squared error summed over outputs."""
    return 0.5 * ((prediction - target) ** 2).sum(-1).mean(-1)


@dataclass(frozen=True, eq=False)
class Task:
    """What all groups of a training share."""

    module: nn.Module
    parameters: Mapping[str, Tensor]
    buffers: Mapping[str, Tensor]
    lanes: Lanes
    key: Callable[[int, str], Key]
    solver: Solver
    loss: Callable[..., Tensor]
    x: Tensor | xr.DataArray
    y: Tensor | xr.DataArray
    steps: int
    batch: int | None
    due: Mapping[Instrument, frozenset[int]]
    one_by_one: bool = False
    epochs: bool = True
    shuffle: bool = True
    look: Look | None = None

    @property
    def like(self) -> Tensor:
        """A tensor of the dtype and device of the training."""
        return next(iter(self.parameters.values()))


@dataclass(frozen=True, eq=False)
class Part:
    """What one group leaves."""

    records: Mapping[Instrument, Tensor]
    diverged_at: Tensor
    parameters: Mapping[str, Tensor]


def _here() -> None:
    """Parameters are at the step of the recording already."""


class Group:
    """Some lanes of a training, each with a row of `flat` that holds all its parameters."""

    def __init__(self, task: Task, rows: Tensor) -> None:
        self.task = task
        self.count = len(rows)
        # A batch of one takes another matrix-product path: pad it, so a lane does not feel packing.
        # Networks that are called one after another are in no batch.
        alone = len(rows) == 1 and not (
            task.one_by_one and not stacked_rewritten(task.module, task.x.shape[-1])
        )
        self.rows = rows.repeat(2) if alone else rows
        self.pick = self.rows.to(task.like.device)
        self.shapes = {n: p.shape[1:] for n, p in task.parameters.items()}
        self.flat = self._first_parameters()
        self.fixed = self.split(self.flat)
        self.buffers = {n: b[self.pick] for n, b in task.buffers.items()}
        self.placed: dict[int, tuple[xr.DataArray, Tensor]] = {}
        self.x, self.y = self.place(task.x), self.place(task.y)
        if self.y.ndim == 2 and self.x.ndim == 3:
            self.y = self.y.expand(len(self.rows), *self.y.shape)
        self.losses = self._losses(task.loss)
        self.numbers = {
            n: self._number(v) for n, v in task.solver.numbers().items() if v is not None
        }
        self.alive = torch.ones(len(self.rows), dtype=torch.bool, device=task.like.device)
        self.some_dead = False
        self.diverged_at = torch.full((len(self.rows),), math.nan, dtype=torch.float64)
        self.batches = Batches(task, self.rows, self.x.shape[-2]) if task.batch else None
        self.records: dict[Instrument, list[Tensor]] = {i: [] for i in task.due}
        self.memory: dict[Any, Any] = {}
        self.schedules = {i: sorted(steps) for i, steps in task.due.items()}
        self.readers: set[Instrument] = set()
        self.state: Callable[[], Mapping[str, Mapping[str, Tensor]]] = dict
        """The update rule's state, from whoever trains; one that is elementwise has rows."""

    def _first_parameters(self) -> Tensor:
        return torch.cat(
            [p[self.pick].reshape(len(self.rows), -1) for p in self.task.parameters.values()], dim=1
        )

    def start(self) -> None:
        """Put the parameters back to where the training began."""
        self.flat.copy_(self._first_parameters())
        self.memory.clear()

    def split(self, rows: Tensor) -> dict[str, Tensor]:
        """Return views of rows like `flat` under the parameters' names and in their shapes."""
        pieces = torch.split(rows, [s.numel() for s in self.shapes.values()], dim=1)
        named = zip(self.shapes.items(), pieces, strict=True)
        return {n: piece.view(-1, *shape) for (n, shape), piece in named}

    def forward(self, *, training: bool = False) -> Forward:
        """Return the forward pass of stacked parameters."""
        return stacked_forward(
            self.task.module,
            self.x.shape[-1],
            training=training,
            one_by_one=self.task.one_by_one,
        )

    @cached_property
    def predict(self) -> Forward:
        """The forward pass, rewritten when it is first wanted: the kernel may do without."""
        return self.forward()

    @cached_property
    def twice(self) -> Forward:
        """A forward pass to differentiate twice, which batched convolutions make ruinously slow."""
        convolution = any(len(shape) > 2 for shape in self.shapes.values())
        return stacked_forward(
            self.task.module,
            self.x.shape[-1],
            one_by_one=self.task.one_by_one or convolution,
        )

    def keys(self, purpose: str) -> list[Key]:
        """Return every lane's key for a purpose."""
        lanes = self.task.lanes
        seeds = np.broadcast_to(np.asarray(lanes.coords["seed"]), lanes.shape).reshape(-1)
        return [self.task.key(int(seeds[row]), purpose) for row in self.rows]

    def place(self, value: xr.DataArray | Tensor) -> Tensor:
        """Lay a value out for this group's lanes; a named array is laid out once."""
        if id(value) in self.placed:
            return self.placed[id(value)][1]
        tensor = self._placed(value, self.task.like.dtype)
        if isinstance(value, xr.DataArray):
            # Holding the array keeps its identity from passing to another.
            self.placed[id(value)] = (value, tensor)
        return tensor

    def _placed(self, value: xr.DataArray | Tensor, dtype: torch.dtype) -> Tensor:
        device = self.task.like.device
        if not isinstance(value, xr.DataArray):
            return torch.as_tensor(value, dtype=dtype, device=device)
        tensor = torch.as_tensor(self.task.lanes.place(value), dtype=dtype, device=device)
        return tensor[self.pick] if set(value.dims) & set(self.task.lanes.dims) else tensor

    def _number(self, value: xr.DataArray | float) -> Tensor | float:
        """A number of the solver; in double precision, since powers of it are taken."""
        return self._placed(value, torch.float64) if isinstance(value, xr.DataArray) else value

    def _losses(self, loss: Callable[..., Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
        """One loss a lane, from predictions and targets."""
        if loss is mean_squared_error:
            return loss
        function = loss.func if isinstance(loss, partial) else loss
        keywords = loss.keywords if isinstance(loss, partial) else {}
        arguments = loss.args if isinstance(loss, partial) else ()
        constants = {n: v for n, v in keywords.items() if not isinstance(v, xr.DataArray)}
        varying = {n: self.place(v) for n, v in keywords.items() if n not in constants}
        laned = [bool(set(keywords[n].dims) & set(self.task.lanes.dims)) for n in varying]

        def one(prediction: Tensor, y: Tensor, *values: Tensor) -> Tensor:
            own = dict(zip(varying, values, strict=True))
            return function(*arguments, prediction, y, **constants, **own)

        def all_lanes(prediction: Tensor, y: Tensor) -> Tensor:
            in_dims = (0, 0 if y.ndim == 3 else None, *(0 if own else None for own in laned))
            out: Tensor = torch.vmap(one, in_dims=in_dims)(prediction, y, *varying.values())
            return out

        return all_lanes

    def mark(self, finite: Tensor, step: Tensor | int) -> None:
        """Note at which step lanes diverged: those still alive whose loss is not finite."""
        steps = torch.as_tensor(step, dtype=torch.float64).expand(len(self.rows))
        gone = (self.alive & ~finite).cpu()
        self.diverged_at[gone] = steps[gone]
        self.alive &= finite
        self.some_dead = not bool(self.alive.all())

    def next_reading(self, step: int) -> int:
        """Return the first step from this one on at which an instrument may read parameters.

        The last step if there is none. It may at its first recording, and at all once it has; with
        minibatches, whose outputs are not those of all samples, it always may.
        """
        found = self.task.steps
        for instrument, steps in self.schedules.items():
            content = self.records[instrument] and instrument not in self.readers
            place = bisect_left(steps, step)
            if place < len(steps) and (self.batches or not content):
                found = min(found, steps[place])
        return found

    @torch.no_grad()
    def record(
        self, step: int, known: Mapping[str, Tensor], reach: Callable[[], None] = _here
    ) -> None:
        """Let the instruments that are due measure; what is `known` of the snapshot saves time.

        `reach` is called before parameters are read, to bring them to this step.
        """
        due = [i for i, steps in self.task.due.items() if step in steps]
        if not due:
            return
        measuring = due[0]

        def read() -> dict[str, Tensor]:
            self.readers.add(measuring)
            reach()
            return self.fixed

        def read_solver() -> SolverState:
            read()
            return self.solver_state(step)

        snapshot = Snapshot(
            step=step,
            read=read,
            predict=lambda x: self.predict(read(), self.buffers, x),
            place=self.place,
            x=self.x,
            y=self.y,
            losses=lambda prediction: self.losses(prediction, self.y),
            losses_of=self.losses,
            forward=lambda parameters, x: self.twice(parameters, self.buffers, x),
            keys=self.keys,
            read_solver=read_solver,
            memory=self.memory,
        )
        snapshot.__dict__.update(known)
        for measuring in due:
            value = measuring.measure(snapshot)
            if self.some_dead:
                value = value.masked_fill(~_wide(self.alive, value), math.nan)
            # The copy keeps an instrument from handing out what the next update changes in place.
            self.records[measuring].append(value.detach().to("cpu", copy=True))
        if self.task.look is not None:
            self._show(self.task.look, step, due, known)

    def _show(
        self, look: Look, step: int, due: Sequence[Instrument], known: Mapping[str, Tensor]
    ) -> None:
        """Let somebody see what was recorded just now; and the loss, where it is known anyway."""
        rows = self.rows[: self.count]
        for instrument in due:
            look(instrument, step, rows, self.records[instrument][-1][: self.count])
        if "loss" in known and all(instrument.name != loss.name for instrument in due):
            look(loss, step, rows, known["loss"][: self.count].to("cpu"))

    def solver_state(self, step: int) -> SolverState:
        """Return the update rule's state after so many updates, by parameter."""
        solver, state = self.task.solver, self.state()

        def named(tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
            return self.split(tensors[""]) if solver.elementwise else tensors

        def precondition() -> Mapping[str, Tensor] | None:
            found = solver.preconditioner(state, step, self.numbers)
            return None if found is None else named(found)

        held = {name: named(tensors) for name, tensors in state.items()}
        return SolverState(type(solver).__name__, held, self.numbers, precondition)

    def part(self) -> Part:
        """Return what the group leaves."""
        return Part(
            {i: torch.stack(values, 1)[: self.count] for i, values in self.records.items()},
            self.diverged_at[: self.count],
            {n: p[: self.count].clone() for n, p in self.fixed.items()},
        )


class Batches:
    """Each lane's own order of samples, by its key; lanes of equal seed share a stream.

    Without `shuffle` it is the order of the data.
    """

    def __init__(self, task: Task, rows: Tensor, samples: int) -> None:
        every = np.broadcast_to(np.asarray(task.lanes.coords["seed"]), task.lanes.shape)
        seeds, self.stream = np.unique(every.reshape(-1)[rows.numpy()], return_inverse=True)
        self.generators = [task.key(int(s), "batches").torch() for s in seeds]
        self.samples, self.batch = samples, task.batch or samples
        # Without epochs every step draws from all samples: an epoch of one step.
        self.steps_an_epoch = samples // self.batch if task.epochs else 1
        self.shuffle = task.shuffle
        self.epoch, self.order = -1, torch.empty(0)

    def at(self, step: int) -> Tensor:
        """Return the samples of every stream's minibatch (stream, batch) at a step.

        Steps are asked for in order, each as often as wanted. An epoch's incomplete last batch is
        dropped.
        """
        epoch, place = divmod(step, self.steps_an_epoch)
        while self.epoch < epoch:
            drawn = [
                torch.randperm(self.samples, generator=g)
                if self.shuffle
                else torch.arange(self.samples)
                for g in self.generators
            ]
            self.order, self.epoch = torch.stack(drawn), self.epoch + 1
        return self.order[:, place * self.batch : (place + 1) * self.batch]

    def take(self, step: int, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return every lane's minibatch at a step."""
        picked = self.at(step)[torch.as_tensor(self.stream)].to(x.device)
        return _gather(x, picked), _gather(y, picked)


def _gather(data: Tensor, picked: Tensor) -> Tensor:
    if data.ndim == 2:
        return data[picked]
    return torch.take_along_dim(data, picked.unsqueeze(-1), dim=1)


def _wide(mask: Tensor, like: Tensor) -> Tensor:
    return mask.reshape(-1, *(1,) * (like.ndim - 1))

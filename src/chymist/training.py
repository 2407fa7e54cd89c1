"""The training loop of a group of lanes, and the groups that share out an ensemble's lanes.

Lanes are independent, so groups of them that fit a core's cache each run all their steps before the
next group starts, one group a worker thread, and within a thread every operation runs on one
thread. That is the fastest way through many small networks on a processor, and it holds when others
use the machine too, where threads that wait for each other inside every operation stall.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from chymist.instruments import Instrument, Snapshot
from chymist.keys import Key
from chymist.lanes import Lanes
from chymist.solvers import Solver
from chymist.stacked import stacked_forward

Progress = Callable[[int, int], None]
CACHE = 6 * 2**20
"""Bytes a group should hold; 4 to 8 MiB were the best measured, on cores with 2 MiB of L2 cache."""
WORTH_SPLITTING = 2**19
"""Bytes below which a second group costs more than a second thread brings."""


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


class Stopped(Exception):
    """The training was told to stop."""


def groups(lanes: int, in_step: float, held: float, memory: float) -> list[Tensor]:
    """Split lanes into groups of at least two that fit the cache and the memory.

    `in_step` is the bytes of a lane that every step goes through, which should fit the cache;
    `held` the most that it ever holds, as when all samples are evaluated: that must fit the memory.

    A group of one would take another matrix-product path, and its lane would feel its packing. The
    number of threads has no say: the same lanes are packed alike on every machine.
    """
    total = lanes * in_step
    count = max(math.ceil(total / CACHE), math.ceil(lanes * held / memory))
    if total > WORTH_SPLITTING:
        count = 2 * math.ceil(max(count, 1) / 2)
    count = max(1, min(count, lanes // 2))
    return [torch.as_tensor(rows) for rows in np.array_split(np.arange(lanes), count)]


def train_groups(
    task: Task, split: Sequence[Tensor], workers: int, progress: Progress
) -> list[Part]:
    """Train all groups, in this thread or in several; `progress` is called in this thread only."""
    stop = threading.Event()
    done = [0] * len(split)

    def run(number: int, tell: Callable[[], None]) -> Part:
        def report(step: int) -> None:
            if stop.is_set():
                raise Stopped
            done[number] = step
            tell()

        return _Loop(task, split[number]).run(report)

    def show() -> None:
        progress(sum(done) // len(done), task.steps)

    _keep_freed_memory()
    with _one_thread_an_operation():
        if workers == 1 or len(split) == 1:
            return [run(number, _seldom(show, task.steps, done)) for number in range(len(split))]
        with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            waiting = [pool.submit(run, number, lambda: None) for number in range(len(split))]
            try:
                _watch(waiting, show)
            finally:
                stop.set()
                for future in waiting:
                    future.cancel()
            return [future.result() for future in waiting]


def _seldom(show: Callable[[], None], steps: int, done: Sequence[int]) -> Callable[[], None]:
    """Call back about 200 times in a training and at its end."""
    tick = max(1, steps * len(done) // 200)

    def tell() -> None:
        if sum(done) % tick == 0 or sum(done) == steps * len(done):
            show()

    return tell


def _watch(futures: Sequence[Future[Part]], show: Callable[[], None]) -> None:
    """Wait for all, showing progress, until one fails; short waits let an interrupt through."""
    pending = set(futures)
    while pending:
        finished, pending = wait(pending, timeout=0.1, return_when=FIRST_COMPLETED)
        show()
        for future in finished:
            future.result()


def _keep_freed_memory() -> None:
    """Let the C library keep what one step frees for the next, rather than give it back.

    glibc gives memory back beyond a threshold that follows the largest block ever freed, up to
    32 MiB. Where that is small, every step pays for fresh pages: half of the time of wide layers.
    """
    torch.empty(31 * 2**20, dtype=torch.uint8)


@contextmanager
def _one_thread_an_operation() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class _Loop:
    """The training of one group of lanes."""

    def __init__(self, task: Task, rows: Tensor) -> None:
        self.task = task
        self.count = len(rows)
        # A batch of one takes another matrix-product path: pad it, so a lane does not feel packing.
        self.rows = rows if len(rows) > 1 else rows.repeat(2)
        self.pick = self.rows.to(task.like.device)
        shapes = {n: p.shape[1:] for n, p in task.parameters.items()}
        self.flat = torch.cat([p[self.pick].flatten(1) for p in task.parameters.values()], dim=1)
        pieces = torch.split(self.flat, [shape.numel() for shape in shapes.values()], dim=1)
        self.fixed = {
            n: piece.view(-1, *shape)
            for (n, shape), piece in zip(shapes.items(), pieces, strict=True)
        }
        self.parameters = {n: p.detach().requires_grad_() for n, p in self.fixed.items()}
        self.buffers = {n: b[self.pick] for n, b in task.buffers.items()}
        self.placed: dict[int, tuple[xr.DataArray, Tensor]] = {}
        self.x, self.y = self.place(task.x), self.place(task.y)
        if self.y.ndim == 2 and self.x.ndim == 3:
            self.y = self.y.expand(len(self.rows), *self.y.shape)
        features = self.x.shape[-1]
        self.forward = stacked_forward(task.module, features, training=True)
        self.predict = stacked_forward(task.module, features)
        self.losses = self._losses(task.loss)
        self.numbers = {
            n: self._number(v) for n, v in task.solver.numbers().items() if v is not None
        }
        self.alive = torch.ones(len(self.rows), dtype=torch.bool, device=task.like.device)
        self.some_dead = False
        self.diverged_at = torch.full((len(self.rows),), math.nan, dtype=torch.float64)
        self.orders = _Batches(task, self.rows, self.x.shape[-2]) if task.batch else None

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

    @torch.enable_grad()
    def run(self, report: Callable[[int], None]) -> Part:
        """Train; return records, the step of divergence and the final parameters."""
        task, leaves = self.task, list(self.parameters.values())
        state = task.solver.start(self._updated())
        records: dict[Instrument, list[Tensor]] = {i: [] for i in task.due}
        for step in range(task.steps + 1):
            x, y = self.orders.take(self.x, self.y) if self.orders else (self.x, self.y)
            prediction = self.forward(self.parameters, self.buffers, x)
            losses = self.losses(prediction, y)
            total = losses.sum()
            self._mark(total, losses, step)
            self._record(records, step, prediction.detach(), losses.detach())
            if step < task.steps:
                # A parameter that the loss does not depend on gets the gradient zero.
                gradients = torch.autograd.grad(
                    total, leaves, allow_unused=True, materialize_grads=True
                )
                self._update(state, gradients, step)
            del prediction, losses, total
            report(step)
        return Part(
            {i: torch.stack(values, 1)[: self.count] for i, values in records.items()},
            self.diverged_at[: self.count],
            {n: p[: self.count].clone() for n, p in self.fixed.items()},
        )

    def _mark(self, total: Tensor, losses: Tensor, step: int) -> None:
        if math.isfinite(total.item()):
            return
        finite = torch.isfinite(losses.detach())
        self.diverged_at[(self.alive & ~finite).cpu()] = step
        self.alive &= finite
        self.some_dead = not bool(self.alive.all())

    def _updated(self) -> Mapping[str, Tensor]:
        """The parameters as the solver sees them: all in one where it acts element by element."""
        return {"": self.flat} if self.task.solver.elementwise else self.fixed

    @torch.no_grad()
    def _update(self, state: dict[str, Any], gradients: Sequence[Tensor], step: int) -> None:
        before = self.flat.clone() if self.some_dead else None
        named = (
            {"": torch.cat([g.flatten(1) for g in gradients], dim=1)}
            if self.task.solver.elementwise
            else dict(zip(self.fixed, gradients, strict=True))
        )
        self.task.solver.update(self._updated(), named, state, step, self.numbers)
        if before is not None:
            self.flat.copy_(torch.where(self.alive.unsqueeze(1), self.flat, before))

    @torch.no_grad()
    def _record(
        self, records: dict[Instrument, list[Tensor]], step: int, out: Tensor, losses: Tensor
    ) -> None:
        due = [i for i, steps in self.task.due.items() if step in steps]
        if not due:
            return
        snapshot = Snapshot(
            step=step,
            parameters=self.fixed,
            predict=lambda x: self.predict(self.fixed, self.buffers, x),
            place=self.place,
            x=self.x,
            y=self.y,
            losses=lambda prediction: self.losses(prediction, self.y),
        )
        if self.orders is None:
            snapshot.__dict__["prediction"], snapshot.__dict__["loss"] = out, losses
        for instrument in due:
            value = instrument.measure(snapshot)
            if self.some_dead:
                value = value.masked_fill(~_wide(self.alive, value), math.nan)
            # The copy keeps an instrument from handing out what the next update changes in place.
            records[instrument].append(value.detach().to("cpu", copy=True))


class _Batches:
    """Each lane's own order of samples, by its key."""

    def __init__(self, task: Task, rows: Tensor, samples: int) -> None:
        seeds = np.broadcast_to(np.asarray(task.lanes.coords["seed"]), task.lanes.shape)
        self.seeds = seeds.reshape(-1)[rows.numpy()].tolist()
        self.generators = {s: task.key(s, "batches").torch() for s in sorted(set(self.seeds))}
        self.samples, self.batch = samples, task.batch or samples
        self.used = samples
        self.order = torch.empty(0)

    def take(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return the next minibatch of every lane; an epoch's incomplete last batch is dropped."""
        if self.used + self.batch > self.samples:
            orders = {
                s: torch.randperm(self.samples, generator=g) for s, g in self.generators.items()
            }
            self.order = torch.stack([orders[s] for s in self.seeds]).to(x.device)
            self.used = 0
        picked = self.order[:, self.used : self.used + self.batch]
        self.used += self.batch
        return _gather(x, picked), _gather(y, picked)


def _gather(data: Tensor, picked: Tensor) -> Tensor:
    if data.ndim == 2:
        return data[picked]
    return torch.take_along_dim(data, picked.unsqueeze(-1), dim=1)


def _wide(mask: Tensor, like: Tensor) -> Tensor:
    return mask.reshape(-1, *(1,) * (like.ndim - 1))

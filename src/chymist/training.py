"""Groups that share out an ensemble's lanes over threads, and two ways to train one.

Lanes are independent, so groups of them that fit a core's cache each run all their steps before the
next group starts, one group a worker thread, and within a thread every operation runs on one
thread. That is the fastest way through many small networks on a processor, and it holds when others
use the machine too, where threads that wait for each other inside every operation stall.

A network and a loss that the compiled kernel knows are trained by it, lane after lane; all others
by PyTorch's automatic differentiation, all lanes of a group at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from chymist.errors import TooLarge
from chymist.group import Group, Part, Task
from chymist.memory import free, size
from chymist.native import run as native
from chymist.native.build import NoKernel, one_thread_a_product
from chymist.native.layout import laid_out
from chymist.native.nodes import Tape, Unknown

Progress = Callable[[int, int], None]
Engine = Literal["auto", "native", "stacked"]
CACHE = 6 * 2**20
"""Bytes a group should hold; 4 to 8 MiB were the best measured, on cores with 2 MiB of L2 cache."""
LARGE = 2**18
"""Bytes that a network keeps for its backward pass from which `torch.vmap` saves nothing."""
BY_KERNEL = 4
"""Times as many bytes when the kernel trains, which has one lane in the cache at a time."""
WORTH_SPLITTING = 2**19
"""Bytes below which a second group costs more than a second thread brings."""


@dataclass(frozen=True)
class Path:
    """The way a training goes, and why: by the kernel if there is a tape.

    Without one the kernel may still take the steps, from gradients of PyTorch.
    """

    tape: Tape | None
    why: str
    kernel_steps: bool = False

    def __str__(self) -> str:
        """One line for a log."""
        return f"{'compiled kernel' if self.tape else 'PyTorch operations'}: {self.why}"


class Stopped(Exception):
    """The training was told to stop."""


def choose(task: Task, engine: Engine = "auto") -> Path:
    """Choose how to train.

    Raises:
        ValueError: the kernel was asked for and cannot do it.
    """
    if engine == "stacked":
        return Path(None, "asked for")
    try:
        tape, left = native.plan(task)
        known = "network, loss and update rule are known to it"
        return Path(tape, f"PyTorch takes {left}" if left else known)
    except (NoKernel, Unknown) as error:
        if engine == "native":
            raise ValueError(f"the compiled kernel cannot train this: {error}") from error
        return Path(None, str(error), native.knows_rule(task))


def groups(
    lanes: int, in_step: float, held: float, memory: float, by_kernel: bool = False
) -> list[Tensor]:
    """Split lanes into groups of at least two that fit the cache and the memory.

    `in_step` is the bytes of a lane that every step goes through, which should fit the cache;
    `held` the most that it ever holds, as when all samples are evaluated: that must fit the memory.

    A group of one would take another matrix-product path, and its lane would feel its packing. The
    number of threads has no say: the same lanes are packed alike on every machine.
    """
    total = lanes * in_step
    cache = BY_KERNEL * CACHE if by_kernel else CACHE
    count = max(math.ceil(total / cache), math.ceil(lanes * held / memory))
    if total > WORTH_SPLITTING:
        count = 2 * math.ceil(max(count, 1) / 2)
    count = max(1, min(count, lanes // 2))
    return [torch.as_tensor(rows) for rows in np.array_split(np.arange(lanes), count)]


def split_for_memory(
    split: Sequence[Tensor], in_step: float, held: float, memory: float, by_kernel: bool
) -> str:
    """Say that it was the memory that split lanes so, or that it was too small; else nothing."""
    sizes = sorted(set(map(len, split)))
    lanes = f"{' or '.join(map(str, sizes))} lane{'s' * (sizes != [1])}"
    groups_of = f"; in {len(split)} group{'s' * (len(split) != 1)} of {lanes}"
    if held * sizes[-1] > memory:
        return f"{groups_of}, the least, of up to {size(held * sizes[-1])}: above {size(memory)}"
    if len(split) > len(groups(sum(map(len, split)), in_step, held, math.inf, by_kernel)):
        return f"{groups_of} to stay below {size(memory)}"
    return ""


def require_room(task: Task, path: Path, held: float, state: float) -> None:
    """Refuse to start what cannot fit into the memory that is free, however it is split.

    The least that is needed: one group of two lanes (or one) beside the parameters at the end of
    all, in parts and joined. The kernel has the activations of one lane at a time.

    Raises:
        TooLarge: it is more than is free.
    """
    lanes = len(task.lanes)
    numbers = sum(p[0].numel() for p in task.parameters.values())
    batch = task.batch or int(task.x.shape[-2])
    bytes_a_number = task.like.element_size()
    least = held * min(2, lanes)
    if path.tape:
        _, work = laid_out(path.tape, batch, numbers, moved=task.batch is not None)
        least = state * min(2, lanes) + work * bytes_a_number
    least += 2.0 * lanes * numbers * bytes_a_number
    left = free()
    if least > left:
        raise TooLarge(
            f"{lanes} network{'s' * (lanes != 1)} of {numbers} parameters on {batch} samples at a "
            f"step need about {size(least)} of memory, however they are split; {size(left)} are "
            "free",
            "take smaller minibatches, fewer samples or networks, or narrower ones; or free memory",
        )


def train_groups(
    task: Task, path: Path, split: Sequence[Tensor], workers: int, progress: Progress
) -> list[Part]:
    """Train all groups, in this thread or in several; `progress` is called in this thread only."""
    stop = np.zeros(1, dtype=np.int32)
    done = [0] * len(split)

    def run(number: int, tell: Callable[[], None]) -> Part:
        def report(step: int) -> None:
            if stop[0]:
                raise Stopped
            done[number] = step
            tell()

        group = Group(task, split[number])
        with _without_denormals(task):
            if path.tape:
                return native.train(group, path.tape, report, stop)
            if path.kernel_steps:
                steps = native.Steps(group, stop)
                return _train_by_autograd(group, report, steps.step)
            return _train_by_autograd(group, report, _solver_steps(group))

    def show() -> None:
        progress(sum(done) // len(done), task.steps)

    _keep_freed_memory()
    with _one_thread_an_operation(), one_thread_a_product():
        if workers == 1 or len(split) == 1:
            return [run(number, _seldom(show, task.steps, done)) for number in range(len(split))]
        with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            waiting = [pool.submit(run, number, lambda: None) for number in range(len(split))]
            try:
                _watch(waiting, show)
            finally:
                stop[0] = 1
                for future in waiting:
                    future.cancel()
            return [future.result() for future in waiting]


def _seldom(show: Callable[[], None], steps: int, done: Sequence[int]) -> Callable[[], None]:
    """Call back about 200 times in a training and at its end."""
    tick = max(1, steps * len(done) // 200)
    shown = -tick

    def tell() -> None:
        nonlocal shown
        if sum(done) - shown >= tick or sum(done) == steps * len(done):
            shown = sum(done)
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


@contextmanager
def _without_denormals(task: Task) -> Any:
    """Take numbers too small to be normal as zero in this thread: they cost a hundredfold."""
    smallest = torch.tensor(torch.finfo(torch.float32).tiny)
    before = bool(smallest / 2 == 0)
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)


@torch.enable_grad()
def _train_by_autograd(
    group: Group, report: Callable[[int], None], update: Callable[[int, Tensor], None]
) -> Part:
    """Train all lanes of a group at once; one backward pass of the summed losses is all of theirs.

    A parameter that the loss does not depend on gets the gradient zero.
    """
    task = group.task
    parameters = {n: p.detach().requires_grad_() for n, p in group.fixed.items()}
    leaves = list(parameters.values())
    forward = group.forward(training=True)
    for step in range(task.steps + 1):
        x, y = group.batches.take(step, group.x, group.y) if group.batches else (group.x, group.y)
        prediction = forward(parameters, group.buffers, x)
        losses = group.losses(prediction, y)
        total = losses.sum()
        if not math.isfinite(total.item()):
            group.mark(torch.isfinite(losses.detach()), step)
        known = {"prediction": prediction.detach(), "loss": losses.detach()}
        group.record(step, {} if group.batches else known)
        if step < task.steps:
            gradients = torch.autograd.grad(
                total, leaves, allow_unused=True, materialize_grads=True
            )
            update(step, torch.cat([g.reshape(len(g), -1) for g in gradients], dim=1))
            del gradients
        del prediction, losses, total, known
        report(step)
    return group.part()


def _solver_steps(group: Group) -> Callable[[int, Tensor], None]:
    """Return the update by the solver itself, from rows of gradients.

    It sees all parameters in one where it acts element by element.
    """
    solver = group.task.solver
    updated = {"": group.flat} if solver.elementwise else group.fixed
    state = solver.start(updated)
    group.state = lambda: state

    @torch.no_grad()
    def update(step: int, gradients: Tensor) -> None:
        before = group.flat.clone() if group.some_dead else None
        named = {"": gradients} if solver.elementwise else group.split(gradients)
        solver.update(updated, named, state, step, group.numbers)
        if before is not None:
            group.flat.copy_(torch.where(group.alive.unsqueeze(1), group.flat, before))

    return update

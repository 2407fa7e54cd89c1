"""Watching a training as it runs, in any loop, at a stated share of its wall time."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import torch
from torch import Tensor, nn

from chymist.doctor import facts
from chymist.doctor.birth import Birth
from chymist.doctor.chart import Chart
from chymist.doctor.checkup import Checkup
from chymist.doctor.diary import Diary
from chymist.doctor.examination import examine, reason, undisturbed
from chymist.doctor.finding import Finding
from chymist.doctor.loop import Loop
from chymist.doctor.losses import Losses
from chymist.doctor.moment import unseen
from chymist.doctor.non_finite import located, sound
from chymist.doctor.patient import Patient, arguments
from chymist.doctor.patient import bare as inner
from chymist.doctor.quantities import QUANTITIES
from chymist.doctor.quantity import Quantity
from chymist.doctor.schedule import Schedule
from chymist.doctor.watched import Watched
from chymist.errors import BadParameter, UsageError
from chymist.lab import Lab
from chymist.lab.watched import Watched as Kept
from chymist.lab.watched import check_name

CLOSING = 2.0
"""Seconds that the last examination may take, when the training is over."""
EARLY = frozenset(4**k for k in range(12))
"""Steps at which what costs a fraction of a step is measured in any case: the shortest training
has a few readings of it."""
SLIGHT = 0.25
"""Gradient evaluations that such a quantity costs at most."""
FACTS = 0.001
"""Seconds that noting facts is guessed to take; it waits for ten times as many to be spent."""
TRIES = 3
"""Steps at which the loss is looked for before it is given up."""
FRUITLESS = 2
"""Measurements without a reading after which there is nothing to measure, as without a softmax."""
UNSEEN = (
    "the loss was not called between the model and the step: nothing that needs it is measured "
    "(call in the loop what watch was given, or w.loss(output, target); or give a loss of the "
    "output alone, or a closure)"
)


class Watch:
    """A training that is watched. See `watch`."""

    def __init__(
        self,
        model: nn.Module,
        loss: Callable[..., Any] | None,
        optimizer: torch.optim.Optimizer,
        budget: float,
        every: int | None,
        quantities: Sequence[Quantity],
        keep: tuple[Lab | str | Path | None, str] | None = None,
    ) -> None:
        self.chart = Chart()
        self.run: Kept | None = None
        self.steps = 0
        self.closing = 0.0
        self._model, self._loss, self._optimizer, self._every = model, loss, optimizer, every
        self._source: nn.Module = inner(model)
        self._takes = 2 if loss is None else arguments(loss, none=True)
        self._tasks = {f"{q.name}:{when}": (q, when) for q in quantities for when in _times(q)}
        prices = {t: q.price for t, (q, _) in self._tasks.items()}
        once = frozenset(t for t, (_, when) in self._tasks.items() if when == "before")
        self.schedule = Schedule(prices, budget, once=once)
        self._diary = None if keep is None else Diary(*keep, self.schedule)
        self._loop = Loop(model, loss, self._takes)
        self._watched = Watched(self._source, loss, self._takes, optimizer, self._loop)
        self._losses = Losses(self.chart)
        self._due: list[str] = sorted(self._tasks) if every else []
        self._calls = self._misses = 0
        self._off = self._met = self._gathered = self._diverged = False
        self._ended: float | None = None
        self._hooks: list[Any] = []
        self._ends: list[Tensor] = []
        self._slight = [
            t for t, (q, when) in self._tasks.items() if q.price <= SLIGHT and when != "before"
        ]
        self._fruitless: dict[str, int] = {}

    def __enter__(self) -> Self:
        """Begin to watch."""
        self.schedule.begin()
        with self._harmless(), self.schedule.spending():
            self.chart.facts["optimizer"] = facts.optimizer(self._optimizer)
            own = {n: p for n, p in self._source.named_parameters() if p.requires_grad}
            self._watched.memory["parameters"] = own
            # What is not finite in the end spreads to all gradients before it.
            every = list(own.values())
            self._ends = [min(part, key=Tensor.numel) for part in (every[:4], every[-4:]) if part]
            self._watched.birth = Birth.of(self._source, own, self._optimizer, self.chart)
            self._watched.memory["birth"] = self._watched.birth
            if self._watched.birth is not None:
                self._watched.birth.patient = self._watched.born
            self._loop.open()
            self._hooks = [
                self._optimizer.register_step_pre_hook(self._before),
                self._optimizer.register_step_post_hook(self._after),
            ]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        """Examine once more, for two seconds at most, and leave nothing behind."""
        self._leave()
        start = time.perf_counter()
        if not self._off and (kind is None or issubclass(kind, Exception)):
            with self._harmless():
                self._close(start + CLOSING)
        self.closing = time.perf_counter() - start
        self._tell()
        self._watched.memory, self._watched.birth = {}, None
        if self._diary is not None:
            self.run = self._diary.close(lambda: self.checkup)

    @property
    def checkup(self) -> Checkup:
        """The chart so far, and the findings that follow from it."""
        self._tell()
        return Checkup.of(self.chart)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The findings so far, worst first."""
        return self.checkup.findings

    @property
    def ended(self) -> bool:
        """Whether the watch is over."""
        return self._ended is not None

    def loss(self, output: Any, target: Any) -> Any:
        """Call the loss, and note its target: for loops whose loss is not seen otherwise."""
        if self._loss is None:
            raise UsageError("no loss was given", "watch(model, loss, optimizer)")
        value = self._loss(output, target)
        with self.schedule.spending():
            self._loop.tell(output, target, value)
        return value

    def _before(self, optimizer: Any, args: Any, words: Any) -> None:
        if self._off or self._loop.deaf:
            return
        start = time.perf_counter()
        try:
            self._look()
        except Exception as error:
            self._give_up(error)
        self.schedule.spent += time.perf_counter() - start

    def _look(self) -> None:
        self._loop.quiet()
        if not self._met:
            self._meet()
        self._losses.note(self.steps, self._loop.last)
        if not self._gathered and self._met and self.schedule.credit > 10 * FACTS:
            self._gather()
        self._check_finite()
        if self._due and self._watched.known:
            self._measure(self._due_when("before", "during"))
        if self._due and self._due_when("across"):
            own = self._watched.parameters
            self._watched.memory["before"] = {n: p.detach().clone() for n, p in own.items()}

    def _after(self, optimizer: Any, args: Any, words: Any) -> None:
        if self._off or self._loop.deaf:
            return
        start = time.perf_counter()
        try:
            self._step_on()
        except Exception as error:
            self._give_up(error)
        self.schedule.spent += time.perf_counter() - start
        self.schedule.stepped()

    def _step_on(self) -> None:
        if self._loop.calls and not self._calls:
            # At the first step of an optimizer that calls a closure there was no batch before.
            self._meet()
            self._measure(self._due_when("before", "during"))
        if self._due:
            self._measure(self._due_when("across"))
            self._watched.memory.pop("before", None)
        self.steps += 1
        self._calls = self._loop.calls
        self._due = self._plan()
        if self._diary is not None:
            self._diary.write(lambda: self.checkup)
        self.schedule.spent += self._loop.spent
        self._loop.spent = 0.0
        self._loop.looking = bool(self._due) or self._losses.wanted(
            self.steps, self.schedule.credit
        )

    def _plan(self) -> list[str]:
        if self._every is not None:
            due = self.schedule.prices if self.steps % self._every == 0 else []
            done, once = self.schedule.done, self.schedule.once
            return [t for t in due if t not in once or done(t) is None]
        found = self.schedule.plan(self.steps)
        if self.steps in EARLY:
            found += [t for t in self._slight if t in self.schedule.prices and t not in found]
        return found

    def _due_when(self, *whens: str) -> list[str]:
        return [t for t in self._due if self._tasks[t][1] in whens]

    def _measure(self, tasks: Sequence[str]) -> None:
        with ExitStack() as held:
            if any(self._tasks[t][0].needs != "parameters" for t in tasks):
                held.enter_context(undisturbed())
            now: Patient | None = None
            # Of a closure the user's own model is measured, whose gradients are put aside for it.
            for task in sorted(tasks, key=lambda t: self._tasks[t][0].needs != "parameters"):
                quantity, when = self._tasks[task]
                if self._diverged and when != "before":
                    continue
                start = time.perf_counter()
                with ExitStack() as once:
                    if when == "before":
                        one = once.enter_context(self._watched.born())
                    elif quantity.needs == "parameters":
                        one = self._watched.alone(self.steps)
                    elif quantity.needs == "inputs" and not self._takes:
                        one = once.enter_context(self._watched.passing(self.steps))
                    else:
                        now = now or held.enter_context(self._watched.now(self.steps))
                        one = now
                    if one is None or (quantity.needs == "loss" and one.loss is unseen):
                        continue
                    known = self._entered()
                    examine(one, self.chart, [quantity], alone=False)
                self.schedule.measured(task, time.perf_counter() - start, self.steps)
                if self._entered() > known:
                    self._fruitless.pop(task, None)
                    continue
                self._fruitless[task] = self._fruitless.get(task, 0) + 1
                if quantity.name in self.chart.off or self._fruitless[task] == FRUITLESS:
                    self.schedule.drop(task)

    def _entered(self) -> int:
        return sum(map(len, self.chart.readings.values()))

    def _meet(self) -> None:
        """Note facts when the first batch and its target are seen; give up a target that is not."""
        call = self._loop.last
        if self._met or (call is None and self._takes):
            return
        known = call is None or self._takes == 1 or isinstance(call.target, Tensor)
        if self._watched.birth is not None and (known or not self._misses):
            self._watched.birth.meet(call)
        self._met = known
        self._misses += not known
        if self._misses == TRIES:
            self._met = True
            self.chart.off["target"] = UNSEEN
            self._drop(lambda q: q.needs == "loss")

    def _gather(self) -> None:
        """Note facts of the model and its data, which take a copy of the model's modules."""
        self._gathered = self._met
        with undisturbed(), self._watched.now(self.steps) as one:
            found = facts.gather(one)
        if not self._takes:
            with undisturbed(), self._watched.passing(self.steps) as other:
                found["data"] = facts.data(other or one)
        found.pop("optimizer", None)  # That of the first step is known: a schedule may end at 0.
        self.chart.facts |= found
        self.chart.facts["loss"] = getattr(self._loss, "__name__", type(self._loss).__name__)

    def _drop(self, which: Callable[[Quantity], bool]) -> None:
        for task, (quantity, _) in self._tasks.items():
            if which(quantity):
                self.schedule.drop(task)

    def _check_finite(self) -> None:
        """Look at two small gradients; where they are not finite, find where it began."""
        ends = [p.grad for p in self._ends if p.grad is not None]
        if not ends:
            return
        total = sum((g.sum() for g in ends[1:]), ends[0].sum())
        if math.isfinite(float(total)) or sound(ends):
            if self._diverged:
                self._diverged = False
                self.chart.facts["non_finite"]["recovered"] = self.steps
            return
        if self._diverged or "non_finite" in self.chart.facts:
            return
        self._diverged = True
        self.chart.facts["non_finite"] = {"step": self.steps, "kind": "gradient", "layer": ""}
        with undisturbed(), self._watched.now(self.steps) as one:
            kind, name = located(
                one, self._watched.parameters, pass_through=self._loop.last is not None
            )
        self.chart.facts["non_finite"] |= {"kind": kind, "layer": name}

    def _close(self, until: float) -> None:
        """Measure what has not been measured lately, the cheapest first, as time allows."""
        self._losses.close(self.steps)
        if self._watched.known and not self._gathered:
            self._gather()
        if not self._watched.known or self._every is not None:
            return
        left = sorted(self.schedule.prices, key=self.schedule.expected)
        for task in left:
            done = self.schedule.done(task)
            if done is not None and (task in self.schedule.once or done >= 0.9 * self.steps):
                continue
            if task not in self.schedule.prices:
                continue
            cost = self.schedule.expected(task, 1.0)
            if not math.isfinite(cost) or time.perf_counter() + cost > until:
                continue
            self._measure([task])

    def _tell(self) -> None:
        self.chart.facts["watch"] = {
            "steps": self.steps, "budget": self.schedule.budget, "spent": self.schedule.spent,
            "elapsed": self.schedule.elapsed if self._ended is None else self._ended,
            "closing": self.closing,
        }  # fmt: skip

    def _leave(self) -> None:
        self._ended = self.schedule.elapsed
        self._loop.close()
        for hook in self._hooks:
            hook.remove()
        self._hooks = []

    @contextmanager
    def _harmless(self) -> Iterator[None]:
        """Whatever goes wrong in the doctor switches it off, and the training goes on."""
        try:
            yield
        except Exception as error:
            self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        self._off = True
        self.chart.off["watch"] = reason(error)
        self._leave()


def watch(
    model: nn.Module,
    loss: Callable[..., Any] | None,
    optimizer: torch.optim.Optimizer,
    budget: float = 0.05,
    *,
    every: int | None = None,
    quantities: Sequence[Quantity] | None = None,
    lab: Lab | str | Path | None = None,
    name: str = "",
) -> Watch:
    """Watch a training in any loop: `with chymist.watch(model, loss, optimizer) as w:`.

    `model` is what the loop calls. `loss(output, target)` is the function or module that the loop
    calls, which is how its target is seen (one of PyTorch's own is recognised where another was
    given, or None); `loss(output)` for a model that computes its own; `loss()` a closure that
    evaluates the model as it is, without backward, for several losses together. Where the loop's
    loss cannot be seen, call `w.loss(output, target)`. `w.findings`, `w.chart` and `w.checkup` may
    be read at any time.

    Measuring takes at most `budget` of the training's wall time, both measured; after it, one last
    examination takes at most two seconds more (a measurement that has begun is not cut short). With
    `every`, all `quantities` are measured every so many steps instead, whatever it costs.

    With a `name` or a `lab` the checkup is kept as the training goes, a few seconds apart and
    within the budget, and when it ends: as the run `w.run` in that lab (else $CHYMIST_LAB, else
    ./chymist-lab), for `chymist findings NAME`. What is killed is there, unfinished, as it was last
    kept. If the lab refuses, one warning says so.

    Nothing of the user's is changed: parameters, buffers, gradients, the optimizer's state,
    modes and generators are those of the same training without. What the doctor cannot measure is
    listed in `w.chart.off` with the reason, and training goes on. Memory: a copy of the parameters
    as they were at the start (up to 50 million numbers, else none), one at a step whose update is
    measured, the first batch and the last; while curvature is measured that of a gradient's graph,
    three times a gradient's, and some thirty vectors of the parameters' size.

    Raises:
        UsageError: the loss is no function of two, one or no arguments; no optimizer of PyTorch's;
            a name that a training cannot have.
        BadParameter: the budget is not between 0 and 1, or `every` no positive number.
    """
    if not isinstance(model, nn.Module):
        raise UsageError(f"the model is of type {type(model).__name__}", "give an nn.Module")
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise UsageError(
            f"the optimizer is of type {type(optimizer).__name__}", "give a torch.optim.Optimizer"
        )
    if not 0 < budget <= 1:
        raise BadParameter(f"budget is {budget}", "a share of the wall time, above 0 and at most 1")
    if every is not None and every < 1:
        raise BadParameter(f"every is {every}", "a number of steps, 1 or more")
    keep = None
    if name or lab is not None:
        keep = lab, name or "training"
        check_name(keep[1])
    chosen = QUANTITIES if quantities is None else quantities
    return Watch(model, loss, optimizer, budget, every, chosen, keep)


def _times(quantity: Quantity) -> Iterator[str]:
    """When a quantity is measured of a watched training: its start, as it runs, across a step."""
    for when in ("before", "during", "across"):
        if when in quantity.moments:
            yield when

"""What to measure at which step, so that measuring keeps its share of the training's wall time."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from statistics import median

SPACING = 0.02
"""Steps between two measurements of a quantity, as a share of those taken: a chart of a long
training has a few hundred readings of each."""
CAUTION = 2.0
"""How many times its guessed cost must be affordable, before a measurement has been timed."""
WAIT = 30
"""Steps after which the schedule looks again at what is due, however little it has saved."""
KEPT = 5
"""How many of the last costs the next is expected from."""


class Schedule:
    """Time spent measuring, held below `budget` times the wall time since it was begun.

    Both are measured. `prices` guess each task's cost in gradient evaluations, which is what is
    known before its first measurement; a step of the training is taken for one. The task whose
    equal share of the budget since its last measurement covers its cost most often is next: cheap
    ones come first and often, none is starved. If it cannot be afforded, it is saved for. `once`
    names tasks that are done when they have been measured.

    >>> now = 0.0
    >>> plan = Schedule({"cheap": 1.0, "dear": 50.0}, 0.05, clock=lambda: now)
    >>> plan.begin()
    >>> for now in (1.0, 2.0, 3.0):  # Steps of one second: nothing is affordable yet.
    ...     plan.stepped()
    >>> plan.next(3)
    >>> now = 60.0
    >>> plan.next(60)
    'cheap'
    """

    def __init__(
        self,
        prices: Mapping[str, float],
        budget: float,
        *,
        once: frozenset[str] = frozenset(),
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.prices, self.budget, self.once, self.clock = dict(prices), budget, once, clock
        self.spent = 0.0
        self._begun = clock()
        self._stepped: float | None = None
        self._spent_then = 0.0
        self._steps: deque[float] = deque(maxlen=50)
        self._costs: dict[str, deque[float]] = {}
        self._last: dict[str, tuple[float, int]] = {}
        self._saving = (0.0, 0)
        self._typical: float | None = None
        self._count = 0

    def begin(self) -> None:
        """Start the clock of the training."""
        self._begun = self.clock()

    @property
    def elapsed(self) -> float:
        """Wall time since the beginning, in seconds, measuring included."""
        return self.clock() - self._begun

    @property
    def share(self) -> float:
        """Measuring's share of the wall time without it."""
        own = self.elapsed - self.spent
        return self.spent / own if own > 0 else 0.0

    @property
    def credit(self) -> float:
        """Seconds that may be spent now."""
        return self.budget * (self.elapsed - self.spent) - self.spent

    @property
    def step_time(self) -> float:
        """Median time of the last steps without measuring; infinite before the second."""
        if self._typical is None:
            self._typical = median(self._steps) if self._steps else float("inf")
        return self._typical

    def stepped(self) -> None:
        """Note that a step of the training ends."""
        now = self.clock()
        if self._stepped is not None:
            self._steps.append(max(0.0, now - self._stepped - (self.spent - self._spent_then)))
        self._stepped, self._spent_then = now, self.spent
        self._count += 1
        if self._count % 16 == 0 or len(self._steps) < 16:
            self._typical = None

    @contextmanager
    def spending(self) -> Iterator[None]:
        """Count what is done here as time spent."""
        start = self.clock()
        try:
            yield
        finally:
            self.spent += self.clock() - start

    def expected(self, task: str, caution: float = CAUTION) -> float:
        """Return what a measurement is expected to cost, in seconds; a guess is held for low."""
        known = self._costs.get(task)
        if known:
            return median(known)
        return caution * self.prices[task] * self.step_time

    def measured(self, task: str, seconds: float, step: int) -> None:
        """Note the cost of a measurement, which `spending` has counted."""
        self._costs.setdefault(task, deque(maxlen=KEPT)).append(seconds)
        self._last[task] = self.clock(), step

    def drop(self, task: str) -> None:
        """Take a task off the schedule."""
        self.prices.pop(task, None)

    def done(self, task: str) -> int | None:
        """Return the step of a task's last measurement, None if there was none."""
        return self._last[task][1] if task in self._last else None

    def next(self, step: int, planned: float = 0.0) -> str | None:
        """Return the task to measure at a step, where so many seconds are planned already."""
        best, most = None, 0.0
        for task in self.prices:
            when, last = self._last.get(task, (self._begun, None))
            if last is not None and (task in self.once or step - last < max(1, SPACING * step)):
                continue
            due = (self.clock() - when) / max(self.expected(task), 1e-9)
            if due > most:
                best, most = task, due
        if best is None or self.expected(best) > self.credit - planned:
            return None
        return best

    def plan(self, step: int) -> list[str]:
        """Return all tasks to measure at a step; looks again only when more can be afforded."""
        needed, again = self._saving
        if self.credit < needed and step < again:
            return []
        found: list[str] = []
        planned = 0.0
        kept = dict(self.prices)
        while (task := self.next(step, planned)) is not None:
            found.append(task)
            planned += self.expected(task)
            self.prices.pop(task)
        self.prices = kept
        left = [self.expected(task) for task in kept if task not in found]
        needed = planned + min(left, default=0.0)
        # Before a step was timed nothing is known of costs.
        self._saving = (needed, step + WAIT) if needed < float("inf") else (0.0, step)
        return found

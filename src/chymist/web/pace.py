"""How often something may be done: a few times at once, and then at a steady rate."""

from __future__ import annotations

import time
from collections.abc import Callable

from chymist.web.queue import TooMany


class Pace:
    """Lets `burst` starts pass, then one every `seconds`."""

    def __init__(
        self, burst: int = 20, seconds: float = 3.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.burst, self.seconds, self.clock = burst, seconds, clock
        self._left, self._seen = float(burst), clock()

    def pass_one(self) -> None:
        """Let one pass.

        Raises:
            TooMany: they come too fast.

        >>> pace = Pace(burst=1, clock=lambda: 0.0)
        >>> pace.pass_one()
        """
        now = self.clock()
        self._left = min(float(self.burst), self._left + (now - self._seen) / self.seconds)
        self._seen = now
        if self._left < 1:
            raise TooMany("runs are started too fast", "wait some seconds")
        self._left -= 1

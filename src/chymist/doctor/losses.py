"""The training loss along a loop, from the batches at which it was seen."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from torch import Tensor

from chymist.doctor.chart import Chart, Reading
from chymist.doctor.loop import Call

SHARE = 0.02
"""Readings are means over windows of this share of the steps, and look at as many batches."""


@dataclass
class Losses:
    """Enters `loss`: means over windows of steps, with the standard error of the mean.

    A window grows with the training, so that a long one has a few hundred readings.
    """

    chart: Chart
    _values: list[float] = field(default_factory=list)
    _first: int = 0
    _looked: int = -1

    def wanted(self, step: int, credit: float) -> bool:
        """Whether to look at the loss of a step: while it is paid for, or now and then."""
        apart = max(1.0, SHARE * step)
        return step >= self._looked + (max(1.0, apart / 4) if credit > 0 else apart)

    def note(self, step: int, call: Call | None) -> None:
        """Take the loss of a step's call, if it was seen."""
        if call is None or not isinstance(call.value, Tensor) or call.value.numel() != 1:
            return
        value = float(call.value)
        call.value = None
        self._looked = step
        if not self._values:
            self._first = step
        self._values.append(value)
        if step >= self._first + max(1.0, SHARE * step) - 1:
            self.close(step)

    def close(self, _: int = 0) -> None:
        """Enter the window so far."""
        if not self._values:
            return
        values, self._values = self._values, []
        mean = sum(values) / len(values)
        errors = {}
        if len(values) > 2 and math.isfinite(mean):
            variance = sum((v - mean) ** 2 for v in values) / (len(values) - 1)
            errors[""] = math.sqrt(variance / len(values))
        self.chart.add("loss", Reading(self._first, {"": mean}, errors))

"""The chart of a patient: all that was measured of a training, which is all that rules see.

Rules are functions of a chart, so findings can be made again from one that was kept.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Layered = Mapping[str, float]
"""Numbers by layer or parameter; "" is the whole network."""


@dataclass(frozen=True)
class Reading:
    """One quantity at one step: its values by layer, and their standard errors where known."""

    step: int
    values: Layered
    errors: Layered = field(default_factory=dict)

    @property
    def value(self) -> float:
        """The number of the whole network; NaN if there is none."""
        return self.values.get("", math.nan)


@dataclass
class Chart:
    """Readings by quantity in the order of steps, facts that do not change, and what went wrong.

    `facts` are JSON values: the optimizer's rule and numbers, the loss, the data, the layers (see
    `facts.py`). `off` says of each quantity that was switched off why, in one line.
    """

    facts: dict[str, Any] = field(default_factory=dict)
    readings: dict[str, list[Reading]] = field(default_factory=dict)
    off: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, reading: Reading) -> None:
        """Enter a reading, in the order of steps; one of the same step is kept as it was."""
        several = self.readings.setdefault(name, [])
        place = bisect_left(several, reading.step, key=lambda r: r.step)
        if place == len(several) or several[place].step != reading.step:
            several.insert(place, reading)

    def last(self, name: str) -> Reading | None:
        """Return a quantity's last reading."""
        return self.readings[name][-1] if self.readings.get(name) else None

    def first(self, name: str) -> Reading | None:
        """Return a quantity's first reading."""
        return self.readings[name][0] if self.readings.get(name) else None

    def series(self, name: str, layer: str = "") -> list[tuple[int, float]]:
        """Return (step, value) of a quantity in one layer."""
        return [(r.step, r.values[layer]) for r in self.readings.get(name, []) if layer in r.values]

    def as_json(self) -> dict[str, Any]:
        """Return the chart as JSON values; numbers that are not finite are text."""
        readings = {
            name: [
                {"step": r.step, "values": _plain(r.values), "errors": _plain(r.errors)}
                for r in several
            ]
            for name, several in self.readings.items()
        }
        return {"facts": _plain(self.facts), "readings": readings, "off": dict(self.off)}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Chart:
        """Return the chart that `as_json` wrote.

        >>> chart = Chart({"lr": 0.1})
        >>> chart.add("sharpness", Reading(0, {"": math.inf}))
        >>> Chart.from_json(chart.as_json()).last("sharpness").value
        inf
        """
        readings = {
            name: [Reading(r["step"], _read(r["values"]), _read(r["errors"])) for r in several]
            for name, several in record["readings"].items()
        }
        return cls(dict(record["facts"]), readings, dict(record["off"]))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(n): _plain(v) for n, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _read(values: Mapping[str, Any]) -> dict[str, float]:
    return {n: float(v) for n, v in values.items()}

"""What a page draws of a run while it is computed: a few curves of each training, and pictures.

A sketch looks on in the process that computes. It changes nothing there, keeps few steps of few
networks, and stops looking for a while when that takes more than its share of the time.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import count
from typing import Any

import numpy as np
from torch import Tensor

from chymist.bench import Watcher
from chymist.figures import data_url
from chymist.group import Look
from chymist.instruments import Instrument, loss
from chymist.lab.chunk import Chunk
from chymist.lanes import Lanes
from chymist.study import Experiment

LINES = 6
"""Of a quantity, in a training."""
PICTURES = 8
"""Of a training."""
LARGEST = 64
"""Pixels a side of a picture; larger ones are thinned."""
RATIO, PARTS = 1.06, 80
"""A step is drawn when it is so many times the last one, or so large a part of all steps later."""
SHARE, GRACE = 0.004, 0.005
"""Of the time of a chunk; and seconds that looking may take in any case."""
TOGETHER = 40
"""Lines in one message."""


class Sketch:
    """Looks on at the trainings of a run; what is new since the last time is `taken`."""

    def __init__(self) -> None:
        self._numbers, self._trainings = count(), count()
        self._lock = threading.Lock()
        self._lines: dict[int, dict[str, Any]] = {}
        self._pictures: list[dict[str, Any]] = []

    def watcher(self, experiment: Experiment, chunk: Chunk) -> Watcher:
        """Return who looks on at the trainings of a chunk: see `lab.events.Onlooker`."""
        return partial(self._begin, experiment, chunk, _Purse())

    def taken(self) -> Iterator[dict[str, Any]]:
        """Yield what was drawn since this was last called, as plain JSON in small pieces."""
        with self._lock:
            lines, self._lines = list(self._lines.values()), {}
            pictures, self._pictures = self._pictures, []
        for first in range(0, len(lines), TOGETHER):
            yield {"lines": lines[first : first + TOGETHER], "pictures": []}
        for picture in pictures:
            yield {"lines": [], "pictures": [{**picture, "url": data_url(picture["url"])}]}

    def number(self) -> int:
        """Return the number of a new line."""
        return next(self._numbers)

    def add(self, number: int, about: Mapping[str, Any], step: int, value: float) -> None:
        """Add a point to a line; what it is about is told with its first points."""
        point = [step, float(f"{value:.5g}") if math.isfinite(value) else None]
        with self._lock:
            line = self._lines.setdefault(number, {"line": number, "about": about, "points": []})
            line["points"].append(point)

    def add_picture(
        self, about: Mapping[str, Any], step: int, picture: np.ndarray[Any, Any]
    ) -> None:
        """Add a picture (row, column, channel) with values in [0, 1]."""
        with self._lock:
            self._pictures.append({"about": about, "step": step, "url": picture})

    def _begin(
        self,
        experiment: Experiment,
        chunk: Chunk,
        purse: _Purse,
        label: str,
        instruments: Sequence[Instrument],
        lanes: Lanes,
        steps: int,
    ) -> Look:
        training = _Training(self, chunk, purse, label, lanes, steps, next(self._trainings))
        training.wanted = {loss.name, *_key(experiment, instruments)}
        return training.look


class _Purse:
    """The time that looking on at a chunk may take."""

    def __init__(self) -> None:
        self.begun, self.spent = time.perf_counter(), 0.0

    def empty(self, now: float) -> bool:
        return self.spent > GRACE + SHARE * (now - self.begun)


class _Training:
    """Looks on at one training: at the first repetition of up to so many of its networks."""

    def __init__(
        self,
        sketch: Sketch,
        chunk: Chunk,
        purse: _Purse,
        label: str,
        lanes: Lanes,
        steps: int,
        number: int,
    ) -> None:
        self.sketch, self.purse, self.lanes, self.steps = sketch, purse, lanes, steps
        self.wanted: set[str] = set()
        self.about = {
            "experiment": chunk.experiment,
            "arm": chunk.arm,
            "training": number,
            "steps": steps,
        }
        named = [] if label == "training" else [label]
        named += [f"{name} = {_text(value)}" for name, value in chunk.place.items()]
        self.name = named + ([f"seed {chunk.seeds[0]}"] if chunk.seeds[0] else [])
        repeated = len(lanes.coords["seed"]) if "seed" in lanes.coords else 1
        self.shown = [repeated * i for i in _spread(len(lanes) // repeated)]
        self.places: dict[int, list[tuple[int, int]]] = {}
        self.last: dict[tuple[str, int], int] = {}
        self.lines: dict[tuple[str, int], list[tuple[int, int, dict[str, Any]]]] = {}
        self.pictures = 0

    def look(self, instrument: Instrument, step: int, rows: Tensor, values: Tensor) -> None:
        """Keep what is worth drawing: see `group.Look`."""
        picture = instrument.dims[:2] == ("row", "column")
        if not picture and instrument.name not in self.wanted:
            return
        first = int(rows[0])
        last = self.last.get((instrument.name, first), -1)
        if not (self._is_next_picture(step, last) if picture else self._is_next(step, last)):
            return
        now = time.perf_counter()
        if self.purse.empty(now):
            return
        self.last[instrument.name, first] = step
        try:
            if picture:
                self._draw(step, rows, values)
            else:
                self._point(instrument, first, step, rows, values)
        except Exception:  # of whatever kind: what is only looked at must not fail
            self.wanted = set()
        self.purse.spent += time.perf_counter() - now

    def _is_next(self, step: int, last: int) -> bool:
        far = step >= RATIO * last or step - last >= self.steps / PARTS
        return step > last and (far or step == self.steps)

    def _is_next_picture(self, step: int, last: int) -> bool:
        far = self.pictures < PICTURES - 1 and step >= 1.7 * last
        return step > last and (far or step == self.steps)

    def _point(
        self, instrument: Instrument, first: int, step: int, rows: Tensor, values: Tensor
    ) -> None:
        key = instrument.name, first
        if key not in self.lines:
            self.lines[key] = list(self._named(instrument, rows, values))
        flat = values.reshape(len(values), -1)
        for row, entry, about in self.lines[key]:
            self.sketch.add(about["number"], about, step, flat[row, entry].item())

    def _named(
        self, instrument: Instrument, rows: Tensor, values: Tensor
    ) -> Iterator[tuple[int, int, dict[str, Any]]]:
        """Yield row, entry and description of the lines that a group of lanes has."""
        entries = _spread(math.prod(values.shape[1:]))
        # Of a network that has several curves, they are drawn; of several networks, one of each.
        shown = self.shown[:1] if len(entries) > 1 else self.shown
        for row, lane in enumerate(rows.tolist()):
            for entry in entries if lane in shown else ():
                parts = [*self.name, *self._lane(lane), *_entry(instrument, values, entry)]
                about = {
                    **self.about,
                    "number": self.sketch.number(),
                    "quantity": instrument.name,
                    "says": instrument.long_name or instrument.name.replace("_", " "),
                    "units": instrument.units,
                    "name": ", ".join(parts),
                }
                yield row, entry, about

    def _lane(self, lane: int) -> list[str]:
        """Name the coordinates of a lane that tell it from others, but for the repetition."""
        places = np.unravel_index(lane, self.lanes.shape)
        return [
            f"{dim} = {_text(values[place])}"
            for (dim, values), place in zip(self.lanes.coords.items(), places, strict=True)
            if dim != "seed" and len(values) > 1
        ]

    def _draw(self, step: int, rows: Tensor, values: Tensor) -> None:
        if 0 not in rows.tolist():
            return
        self.pictures += 1
        picture = values[rows.tolist().index(0)].numpy()
        thin = max(1, -(-max(picture.shape[:2]) // LARGEST))
        about = {**self.about, "name": ", ".join([*self.name, *self._lane(0)])}
        self.sketch.add_picture(about, step, picture[::thin, ::thin].copy())


def _key(experiment: Experiment, instruments: Sequence[Instrument]) -> set[str]:
    """Return the name of the quantity that is drawn beside the loss, if one is recorded.

    It is what the experiment says, or what its first claim reads, or else what is recorded first.
    """
    known = [i.name for i in instruments if i.dims[:2] != ("row", "column") and i.name != loss.name]
    wanted = experiment.live or _read(experiment)
    return {wanted if wanted in known else known[0]} if known else set()


def _read(experiment: Experiment) -> str:
    """Return the variable that the statistic of an experiment's first claim reads first."""
    try:
        experiment.claims[0].statistic(_Probe())  # type: ignore[arg-type]
    except _Asked as asked:
        return str(asked.args[0]).removeprefix("predicted_")
    except Exception:  # a statistic may do anything; that it is not known, is no fault
        return ""
    return ""


class _Asked(Exception):
    """A variable was asked for."""


class _Probe:
    """Stands for measured data, and tells the name of the first variable that is asked of it."""

    def __getattr__(self, name: str) -> Any:
        if name in ("isel", "sel", "drop_vars", "where"):
            return lambda *args, **options: self
        raise _Asked(name)

    def __getitem__(self, name: Any) -> Any:
        raise _Asked(name)


def _spread(number: int) -> list[int]:
    """Return up to so many places, evenly spread.

    >>> _spread(3), _spread(11)
    ([0, 1, 2], [0, 2, 4, 6, 8, 10])
    """
    return sorted({round(i) for i in np.linspace(0, number - 1, min(number, LINES)).tolist()})


def _entry(instrument: Instrument, values: Tensor, entry: int) -> list[str]:
    """Name the place of an entry in what an instrument measures of a lane."""
    shape = values.shape[1:]
    if math.prod(shape) < 2:
        return []
    places = map(int, np.unravel_index(entry, shape))
    return [
        f"{dim} = {_text(instrument.coords[dim][place] if dim in instrument.coords else place)}"
        for dim, place in zip(instrument.dims, places, strict=True)
    ]


def _text(value: Any) -> str:
    """Write a coordinate or a parameter.

    >>> _text(0.5), _text([0.25]), _text("siren")
    ('0.5', '0.25', 'siren')
    """
    if isinstance(value, list | tuple):
        return ", ".join(map(_text, value))
    if isinstance(value, bool | str):
        return str(value)
    return f"{float(value):.4g}"

"""The bench: what an experiment is handed. It hides devices, seeds, keys, memory and progress."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from chymist.ensemble import Ensemble, Schedule, Training, initialise, mean_squared_error
from chymist.group import Look
from chymist.instruments import Instrument
from chymist.keys import Key
from chymist.lanes import Lanes
from chymist.solvers import Solver


def _silent(what: str, done: int, steps: int) -> None:
    """Show no progress."""


def _forget(text: str) -> None:
    """Keep no note."""


Watcher = Callable[[str, Sequence[Instrument], Lanes, int], Look | None]
"""Asked, when a training of a label begins, for who looks on: see `ensemble.Onlooker`."""


@dataclass(frozen=True)
class Bench:
    """A place to experiment: the seeds to use, the user's input if any, and how to train."""

    study: str
    experiment: str
    seeds: tuple[int, ...]
    input: xr.Dataset | None = None
    device: str = "cpu"
    dtype: torch.dtype = torch.float32
    memory: int = 2**30
    progress: Callable[[str, int, int], None] = _silent
    note: Callable[[str], None] = _forget
    watcher: Watcher | None = None

    def key(self, seed: int, purpose: str) -> Key:
        """Return the key of a stream of random numbers of this experiment."""
        return Key(self.study, self.experiment, seed, purpose)

    def draw(
        self, purpose: str, sample: Callable[[np.random.Generator], xr.DataArray]
    ) -> xr.DataArray:
        """Draw once for each seed; return the draws along dimension seed."""
        draws = [sample(self.key(s, purpose).numpy()) for s in self.seeds]
        joined = xr.concat(draws, dim="seed", join="exact")
        return joined.assign_coords(seed=list(self.seeds))

    def networks(
        self,
        build: Callable[[], nn.Module],
        start: Callable[..., None] | None = None,
        *,
        dtype: torch.dtype | None = None,
    ) -> Ensemble:
        """Build one network a seed (and a lane of `start`'s numbers): see `ensemble.initialise`."""
        made = initialise(
            build, start, self.seeds, self.key, dtype=dtype or self.dtype, device=self.device
        )
        return replace(
            made,
            memory=self.memory,
            progress=lambda done, steps: self.progress("training", done, steps),
        )

    def train(
        self,
        networks: Ensemble,
        solver: Solver,
        x: Tensor | xr.DataArray,
        y: Tensor | xr.DataArray,
        *,
        steps: int,
        record: Mapping[Instrument, Schedule],
        loss: Callable[..., Tensor] = mean_squared_error,
        batch: int | None = None,
        epochs: bool = True,
        shuffle: bool = True,
        label: str = "training",
    ) -> Training:
        """Train all lanes and record: see `Ensemble.train`. `label` is shown in the progress.

        By which engine, and why, goes into the run's log.
        """
        shown = replace(
            networks,
            progress=lambda done, total: self.progress(label, done, total),
            onlooker=partial(self.watcher, label) if self.watcher else None,
        )
        done = shown.train(
            solver, x, y, steps=steps, loss=loss, batch=batch, epochs=epochs, shuffle=shuffle,
            record=record,
        )  # fmt: skip
        self.note(f"{label} by {done.path}")
        return done


def samples(values: Any, **lanes: Any) -> xr.DataArray:
    """Name the dimensions of data: (*lanes, sample, feature), lanes given with their coordinates.

    >>> samples(np.zeros((2, 5, 1)), k=[1, 3]).dims
    ('k', 'sample', 'feature')
    """
    array = np.asarray(values)
    if array.ndim == len(lanes) + 1:
        array = array[..., None]
    return xr.DataArray(
        array, dims=(*lanes, "sample", "feature"), coords={k: list(v) for k, v in lanes.items()}
    )

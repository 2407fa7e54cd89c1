"""Lanes: the named dimensions along which the networks of an ensemble differ."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

SAMPLE_DIMS = ("sample", "feature")


def lane_dims(array: xr.DataArray) -> tuple[str, ...]:
    """Return the dimensions of an array that make lanes: all but sample and feature."""
    return tuple(str(d) for d in array.dims if d not in SAMPLE_DIMS)


@dataclass(frozen=True)
class Lanes:
    """The named dimensions of an ensemble and their coordinates; the last varies fastest.

    >>> lanes = Lanes({"seed": (0, 1)}).joined([xr.DataArray([.1, .2], coords={"lr": [.1, .2]})])
    >>> lanes.dims, len(lanes)
    (('lr', 'seed'), 4)
    """

    coords: Mapping[str, tuple[Any, ...]]

    @property
    def dims(self) -> tuple[str, ...]:
        """Names of the dimensions."""
        return tuple(self.coords)

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of coordinates in each dimension."""
        return tuple(len(c) for c in self.coords.values())

    def __len__(self) -> int:
        return math.prod(self.shape)

    def joined(self, arrays: Iterable[xr.DataArray]) -> Lanes:
        """Add the dimensions that arrays bring, in their order; `seed` stays last.

        Raises:
            ValueError: a new dimension has no coordinate or repeats one, or a known dimension has
                another one.
        """
        coords = dict(self.coords)
        for array in arrays:
            for dim in lane_dims(array):
                values = _coordinate(array, dim)
                if coords.setdefault(dim, values) != values:
                    raise _differ(dim, coords[dim], values)
                if len(set(values)) < len(values):
                    raise ValueError(f"lane dimension {dim} repeats a coordinate: {values}")
        ordered = {d: c for d, c in coords.items() if d != "seed"}
        if "seed" in coords:
            ordered["seed"] = coords["seed"]
        return Lanes(ordered)

    def place(self, array: xr.DataArray) -> np.ndarray[Any, Any]:
        """Return a copy of an array laid out as (lane, *rest); without lane dimensions, as it is.

        Raises:
            ValueError: a lane dimension of the array has another coordinate than here.
        """
        own = [str(d) for d in array.dims if d in self.coords]
        if not own:
            return np.array(array.values)
        for dim in own:
            values = _coordinate(array, dim)
            if values != self.coords[dim]:
                raise _differ(dim, self.coords[dim], values)
        inner = [d for d in array.dims if d not in self.coords]
        ordered = array.transpose(*(d for d in self.dims if d in own), *inner).values
        rest = ordered.shape[len(own) :]
        kept = tuple(n if d in own else 1 for d, n in zip(self.dims, self.shape, strict=True))
        full = np.broadcast_to(ordered.reshape(kept + rest), self.shape + rest)
        # A copy always: a broadcast array is read-only, which PyTorch warns about.
        return np.array(full).reshape(len(self), *rest)


def _coordinate(array: xr.DataArray, dim: str) -> tuple[Any, ...]:
    if dim not in array.coords:
        raise ValueError(f"lane dimension {dim} needs a coordinate")
    return tuple(array[dim].values.tolist())


def _differ(dim: str, here: tuple[Any, ...], there: tuple[Any, ...]) -> ValueError:
    return ValueError(
        f"lane dimension {dim} has two different coordinates: {_short(here)} and {_short(there)}"
    )


def _short(values: tuple[Any, ...]) -> str:
    shown = ", ".join(map(str, values[:4]))
    return f"({shown}, ... {len(values)} in all)" if len(values) > 4 else f"({shown})"

"""One-dimensional signals from a user's file: two columns, x and y, over one period."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import xarray as xr
from jaxtyping import Float
from numpy import ndarray

from chymist.data.given_text import given_text
from chymist.errors import BadInput

FEWEST = 16
"""Fewest rows of a signal."""
MOST = 1024
"""Most points that `signal` keeps."""
LARGEST = 64 * 2**20
"""Most bytes of a file that is read."""
BOUND = 1e100
"""Largest absolute value; squares of what lies beyond leave the floating-point range."""


def signal(path: Path | str) -> xr.Dataset:
    """Read one period of a signal: `y` [sample], mean removed, and `x` [sample] in [-pi, pi).

    The file has a row `x, y` for each point, x increasing, separated by commas, semicolons or tabs;
    the first line may be a header. The span of x is taken as one period. Linear interpolation takes
    y to an even grid of one point fewer than rows, at most 1024: the endpoint is the start of the
    next period and is left out, as a point counted twice would leak into every frequency. Evenly
    spaced rows, up to 1025 of them, are kept as they are. No low-pass is applied before thinning.

    Raises:
        BadInput: no such file, not UTF-8, empty, over 64 MiB, a row that is not two finite numbers,
            x that repeats or decreases, fewer than 16 rows, y constant, or fewer than two peaks in
            its spectrum up to a quarter of the points: one frequency alone has no order.
    """
    path = Path(path)
    rows = list(_rows(path))
    if len(rows) < FEWEST:
        raise BadInput(f"{path.name} has {_counted(len(rows), 'row')} of numbers",
                       f"at least {FEWEST} are needed")  # fmt: skip
    _refuse_disorder(path, rows)
    _, place, height = np.array(rows).T
    n = min(len(rows) - 1, MOST)
    even = np.linspace(place[0], place[-1], n, endpoint=False)
    y = np.interp(even, place, height)
    size = np.abs(height).max()
    if np.ptp(height) <= 1e-9 * size:
        raise BadInput(f"{path.name}: y is constant ({height[0]:g})",
                       "give a signal that varies")  # fmt: skip
    _refuse_without_peaks(path, y - y.mean())
    data = xr.Dataset(
        {
            "x": ("sample", 2 * np.pi * np.arange(n) / n - np.pi),
            "y": ("sample", y - y.mean()),
        },
        attrs={"name": path.stem, "rows": len(rows), "period": float(place[-1] - place[0])},
    )
    data["x"].attrs = {"long_name": "place in the period", "units": "rad"}
    data["y"].attrs = {"long_name": f"signal of {path.name}, mean removed", "units": "1"}
    return data


def _rows(path: Path) -> Iterator[tuple[int, float, float]]:
    """Yield the line number, x and y of each row; blank lines are passed over."""
    lines = given_text(path, LARGEST, "thin it first").splitlines()
    first = next((line for line in lines if line.strip()), "")
    if not first:
        raise BadInput(f"{path.name} is empty", "give two columns, x and y")
    delimiter = next((mark for mark in ("\t", ";", ",") if mark in first), ",")
    header_allowed = True
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        cells = [cell.strip().strip('"') for cell in line.split(delimiter)]
        if len(cells) != 2:
            raise BadInput(f"{path.name}, row {number} has {_counted(len(cells), 'column')}",
                           "each row needs two: x and y, separated by a comma")  # fmt: skip
        if header_allowed and not any(map(_is_number, cells)):
            header_allowed = False
            continue
        header_allowed = False
        x, y = (_number(path, number, cell) for cell in cells)
        yield number, x, y


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _number(path: Path, row: int, cell: str) -> float:
    shown = cell if len(cell) <= 40 else f"{cell[:40]}..."
    if not _is_number(cell):
        raise BadInput(f"{path.name}, row {row}: {shown!r} is not a number",
                       "only the first row may be a header")  # fmt: skip
    value = float(cell)
    if not math.isfinite(value) or abs(value) > BOUND:
        raise BadInput(f"{path.name}, row {row}: {shown} cannot be used",
                       f"allowed: finite, from {-BOUND:g} to {BOUND:g}")  # fmt: skip
    return value


def _refuse_disorder(path: Path, rows: list[tuple[int, float, float]]) -> None:
    for (_, before, _), (number, x, _) in pairwise(rows):
        if x == before:
            raise BadInput(f"{path.name}, row {number}: x = {x:g} is repeated",
                           "give each x once")  # fmt: skip
        if x < before:
            raise BadInput(f"{path.name}, row {number}: x = {x:g} follows {before:g}",
                           "sort the rows by x")  # fmt: skip


def _refuse_without_peaks(path: Path, y: Float[ndarray, " sample"]) -> None:
    from scipy.signal import find_peaks

    spectrum = np.abs(np.fft.rfft(y))
    # Without its mean a signal has nothing at k = 0, so k = 1 can be a peak as any other.
    low = spectrum[: len(y) // 4 + 2]
    # What is 10^-6 of the whole is rounding of a file's few digits.
    peaks, _ = find_peaks(low, height=max(0.1 * low[:-1].max(), 1e-6 * spectrum.max()))
    if len(peaks) < 2:
        found = f"one peak (k = {peaks[0]})" if len(peaks) else "no peak"
        raise BadInput(
            f"{path.name}: the spectrum has {found} up to k = {len(y) // 4}",
            "give a signal of two frequencies or more, sampled densely enough",
        )


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"

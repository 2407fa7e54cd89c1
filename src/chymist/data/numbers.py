"""Whole numbers from a user's file: the first column of a CSV."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from chymist.data.given_text import given_text
from chymist.errors import BadInput

LARGEST = 10**12
"""Largest number that is read."""
MOST = 1000
"""Most different numbers that are read."""
BYTES = 2**20
"""Most bytes of a file that is read."""


def whole_numbers(path: Path | str) -> xr.Dataset:
    """Read `numbers` [number]: the whole numbers of a file's first column, ascending, each once.

    Columns are separated by commas, semicolons or tabs; the first line may be a header, and blank
    lines are passed over.

    Raises:
        BadInput: no such file, not UTF-8, over 1 MiB, a row that is no whole number from 1 to
            10^12, none at all, or more than 1000 different ones.
    """
    path = Path(path)
    found: set[int] = set()
    header_allowed = True
    for row, line in enumerate(given_text(path, BYTES).splitlines(), start=1):
        cell = re.split(r"[,;\t]", line)[0].strip().strip('"')
        if not line.strip():
            continue
        if not re.fullmatch(r"[+-]?\d{1,30}", cell, flags=re.ASCII):
            if header_allowed and not re.match(r"[+-]?[\d.]", cell):
                header_allowed = False
                continue
            shown = cell if len(cell) <= 40 else f"{cell[:40]}..."
            raise BadInput(f"{path.name}, row {row}: {shown!r} is not a whole number",
                           "give one a row, in the first column")  # fmt: skip
        header_allowed = False
        if not 1 <= int(cell) <= LARGEST:
            raise BadInput(f"{path.name}, row {row}: {int(cell)} cannot be used",
                           f"allowed: whole numbers from 1 to {LARGEST}")  # fmt: skip
        found.add(int(cell))
        if len(found) > MOST:
            raise BadInput(f"{path.name} has more than {MOST} different numbers",
                           "give fewer")  # fmt: skip
    if not found:
        raise BadInput(f"{path.name} has no numbers", "give one a row, in the first column")
    data = xr.Dataset({"numbers": ("number", np.array(sorted(found), dtype=np.int64))})
    data["numbers"].attrs = {"long_name": f"numbers of {path.name}", "units": "1"}
    return data


def whole_ranges(values: Any) -> tuple[int | Any, ...]:
    """Return whole numbers, given as they are, as text, or as text like 3-7 for all of them.

    What is neither stays as it is, to be refused by name.

    Raises:
        ValueError: a range goes down, or there are more than 1000 numbers.

    >>> whole_ranges(("3-5", 12, "x"))
    (3, 4, 5, 12, 'x')
    """
    several: list[Any] = []
    for value in values if isinstance(values, list | tuple) else (values,):
        ends = re.fullmatch(r"(\d{1,30})-(\d{1,30})", str(value), flags=re.ASCII)
        if ends is None:
            several.append(value)
            continue
        low, high = int(ends[1]), int(ends[2])
        if not 0 <= high - low < MOST:
            raise ValueError(f"{value} is no range of up to {MOST} numbers")
        several += range(low, high + 1)
    if len(several) > MOST:
        raise ValueError(f"{len(several)} numbers are more than {MOST}")
    return tuple(several)

"""Features and targets from a user's table: CSV with a header, or an NPZ archive of two arrays."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import xarray as xr
from numpy import ndarray

from chymist.data.given_arrays import given_arrays
from chymist.data.given_text import given_text
from chymist.data.made_arrays import numbers, sampled, two_of
from chymist.errors import BadInput

FEWEST, MOST = 4, 20_000
"""Rows of a table."""
SMALL = 512
"""Rows of a table whose kernel is kept for every network."""
SAMPLED = 200
"""Fewest rows of which half can be fitted and half judged by."""
LARGEST = 256 * 2**20
"""Most bytes of a file that is read."""
DRAWN = 4000
"""Points that are drawn of a function."""
MADE = "what it returns"
"""What a message calls the arrays of a user's function, which it names first."""
ARRAYS = "two arrays (x, y), samples first"
SAVE = "write it by numpy.savez(path, x=..., y=...)"
BOUND = 1e100
"""Largest absolute value; squares of what lies beyond leave the floating-point range."""

Columns: TypeAlias = tuple[ndarray[Any, Any], ndarray[Any, Any], list[str]]
"""Features (sample, feature), targets (sample, output), and what their columns are called."""


def table(path: Path | str) -> xr.Dataset:
    """Read `x` (sample, feature) and `y` (sample, output), in float64, as they stand in the file.

    CSV: the first row names the columns; those whose name begins with y are targets, or the last
    one if there are none; all others are features. NPZ: arrays x and y, samples first; of more
    dimensions the rest are flattened, and y of whole numbers in one dimension, as class labels
    are, gets a column for each class, 1 where it is the sample's.

    Raises:
        BadInput: no such file, over 256 MiB, no table, a cell that is not a finite number (its row
            and column are named), a constant target, fewer than 4 rows or more than 20 000.
    """
    return checked(*_read(Path(path)))[0]


def _read(path: Path) -> tuple[str, Columns]:
    return path.name, (_archive if path.suffix.lower() == ".npz" else _text)(path)


def checked(name: str, columns: Columns) -> tuple[xr.Dataset, list[str]]:
    """Return a table and the names of its features, then of its targets."""
    x, y, names = columns
    if not FEWEST <= len(x) <= MOST:
        raise BadInput(f"{name} has {len(x)} rows", f"allowed: {FEWEST} to {MOST}")
    _refuse_values(name, np.concatenate([x, y], axis=1), names)
    if np.ptp(y) == 0:
        raise BadInput(f"{name}: the target is constant ({y.flat[0]:g})",
                       "give a target that varies")  # fmt: skip
    data = xr.Dataset(
        {"x": (("sample", "feature"), x), "y": (("sample", "output"), y)},
        attrs={"name": Path(name).stem, "rows": len(x)},
    )
    data["x"].attrs = {"long_name": f"features of {name}", "units": "1"}
    data["y"].attrs = {"long_name": f"targets of {name}", "units": "1"}
    return data, names


def one_target(path: Path | str) -> xr.Dataset:
    """Read a small table of features and one target, and bring both to unit mean square.

    Features are centred and divided by one number, so that a row's mean square is 1 on average; the
    target is centred and divided by its root mean square. A kernel has a row and a column for each
    of its rows, of which there are 512 at most.

    Raises:
        BadInput: see `table`; more than 512 rows, more than one target, constant features, or two
            rows with the same features, whose kernel cannot be told apart.
    """
    return _one_target(*_read(Path(path)))


def made_target(made: Any) -> xr.Dataset:
    """Take what a user's function returned, arrays x and y, as `one_target` does a file's.

    Raises:
        BadInput: see `one_target`; no two arrays of numbers.
    """
    return _one_target(MADE, pair(MADE, *two_of(made, ARRAYS)))


def _one_target(name: str, columns: Columns) -> xr.Dataset:
    found = checked(name, columns)[0]
    rows = found.sizes["sample"]
    if rows > SMALL:
        raise BadInput(f"{name} has {rows} rows", f"allowed: at most {SMALL}; take fewer")
    if found.sizes["output"] > 1:
        raise BadInput(f"{name} has {found.sizes['output']} targets", "give one column y")
    x, y = (v - v.mean("sample") for v in (found.x, found.y.isel(output=0)))
    size = float(np.sqrt((x**2).mean()))
    if not size > 1e-12 * float(abs(found.x).max()):
        raise BadInput(f"{name}: all features are constant", "give features that vary")
    x, y = x / size, y / np.sqrt((y**2).mean())
    if len(np.unique(x.values, axis=0)) < rows:
        raise BadInput(f"{name} has two rows with the same features",
                       "give each once, with its mean target")  # fmt: skip
    x.attrs, y.attrs = found.x.attrs, found.y.attrs
    return xr.Dataset({"x": x, "y": y}, attrs=found.attrs)


def sampled_function(path: Path | str) -> xr.Dataset:
    """Read samples of a function of several inputs, each input of mean 0 and variance 1.

    Of the rows one half can be fitted and the other judged by. The target is centred and divided by
    its standard deviation.

    Raises:
        BadInput: see `table`; fewer than 200 rows or 2 features, more than one target, a feature
            that is constant, or two that are the same but for scale (they are named).
    """
    return _sampled_function(*_read(Path(path)))


def made_function(made: Any) -> xr.Dataset:
    """Take a function f of several inputs as `sampled_function` does a file's samples of one.

    A user's function returned (f, sample): sample(rng, n) draws n points (n, inputs) by a NumPy
    generator, f(x) returns their values (n). 4000 are drawn, the same every time. Arrays x and y
    are taken as they are.

    Raises:
        BadInput: see `sampled_function`; f or sample fails, or returns another shape.
    """
    f, sample = two_of(made, f"(f, sample), or {ARRAYS}")
    if callable(f) and callable(sample):
        f, sample = sampled(f, sample, DRAWN)
    return _sampled_function(MADE, pair(MADE, f, sample))


def _sampled_function(name: str, columns: Columns) -> xr.Dataset:
    found, names = checked(name, columns)
    rows, inputs = found.x.shape
    if rows < SAMPLED:
        raise BadInput(f"{name} has {rows} rows", f"allowed: {SAMPLED} to {MOST}")
    if inputs < 2:
        raise BadInput(f"{name} has one feature", "give a function of two inputs or more")
    if found.sizes["output"] > 1:
        raise BadInput(f"{name} has {found.sizes['output']} targets", "give one column y")
    x, y = (v - v.mean("sample") for v in (found.x, found.y))
    spread = x.std("sample").values
    flat = np.flatnonzero(~(spread > 1e-12 * abs(found.x).max("sample").values))
    if len(flat):
        raise BadInput(f"{name}: column {names[flat[0]]} is constant", "leave it out")
    x, y = x / spread, y / y.std()
    alike = np.argwhere(np.triu(abs(x.values.T @ x.values) > (1 - 1e-9) * rows, 1))
    if len(alike):
        first, second = (names[i] for i in alike[0])
        raise BadInput(f"{name}: columns {first} and {second} are the same but for scale",
                       "leave one out")  # fmt: skip
    x.attrs, y.attrs = found.x.attrs, found.y.attrs
    return xr.Dataset({"x": x, "y": y}, attrs=found.attrs)


def _text(path: Path) -> Columns:
    text = given_text(path, LARGEST, "take fewer rows")
    try:
        rows_read = enumerate(csv.reader(io.StringIO(text)), 1)
        lines = [(number, row) for number, row in rows_read if any(row)]
    except csv.Error as error:
        raise BadInput(f"{path.name} is no CSV table: {error}", "save it as a CSV file") from None
    if not lines:
        raise BadInput(f"{path.name} is empty", "give a header and a row for each sample")
    names = [name.strip() for name in lines[0][1]]
    targets = [i for i, n in enumerate(names) if n.lower().startswith("y")] or [len(names) - 1]
    features = [i for i in range(len(names)) if i not in targets]
    if not features:
        raise BadInput(f"{path.name} has no column of features",
                       "name targets y..., and features otherwise")  # fmt: skip
    rows = []
    for number, cells in lines[1:]:
        if len(cells) != len(names):
            raise BadInput(f"{path.name}, row {number} has {len(cells)} cells",
                           f"the header names {len(names)}")  # fmt: skip
        rows.append([_number(path, number, n, c) for n, c in zip(names, cells, strict=True)])
    values = np.array(rows).reshape(-1, len(names))
    return values[:, features], values[:, targets], [names[i] for i in (*features, *targets)]


def _number(path: Path, row: int, column: str, cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        shown = cell if len(cell) <= 40 else f"{cell[:40]}..."
        raise BadInput(f"{path.name}, row {row}, column {column}: {shown!r} is not a number",
                       "only the first row may be words") from None  # fmt: skip


def _archive(path: Path) -> Columns:
    found = given_arrays(path, LARGEST, SAVE, ("x", "y"))
    for name in ("x", "y"):
        if name not in found or found[name].dtype.kind not in "fiub" or not found[name].ndim:
            raise BadInput(f"{path.name} has no array {name} of numbers", SAVE)
    return pair(path.name, found["x"], found["y"])


def pair(name: str, x: Any, y: Any) -> Columns:
    """Return features and targets of two arrays, samples first; `name` is for what is refused.

    Raises:
        BadInput: they are no arrays of numbers, or of different lengths.
    """
    x, y = numbers("x", x), numbers("y", y)
    if len(x) != len(y) or not len(x):
        raise BadInput(f"{name}: x has {len(x)} samples and y {len(y)}",
                       "give as many of both, samples first")  # fmt: skip
    if y.ndim == 1 and y.dtype.kind in "iub":
        y = y[:, None] == np.unique(y)
    x, y = (np.asarray(v, dtype=float).reshape(len(v), -1) for v in (x, y))
    return x, y, [f"{n}[{i}]" for n, v in (("x", x), ("y", y)) for i in range(v.shape[1])]


def _refuse_values(name: str, values: ndarray[Any, Any], names: list[str]) -> None:
    wrong = np.argwhere(~(np.abs(values) <= BOUND))
    if len(wrong):
        row, column = wrong[0]
        value = values[row, column]
        shown = f"{value:g}" if math.isfinite(value) else str(value)
        raise BadInput(f"{name}, sample {row + 1}, column {names[column]}: {shown}",
                       f"allowed: finite, from {-BOUND:g} to {BOUND:g}")  # fmt: skip

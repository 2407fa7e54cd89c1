"""What a user gives a solver: a source on a square, or a matrix with a right-hand side."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from chymist.data.given_arrays import given_arrays
from chymist.data.given_text import readable
from chymist.data.images import grey, picture
from chymist.errors import BadInput

MOST = 2000
"""Most rows of a matrix: its eigenvectors are found by a dense solver."""
LARGEST = 256 * 2**20
"""Most bytes of a file that is read."""
SAVE = "write it with numpy.savez(file, A=A, b=b) or f=f"
SYMMETRIC = 1e-10
"""Largest difference from the transpose, relative to the largest entry, that counts as none."""


def source_or_matrix(path: Path) -> xr.Dataset:
    """Read a matrix from .npz or Matrix Market (.mtx), a source from a picture or .npz.

    A picture's grey values are the source f of -Laplace u = f on a square, as the variable `source`
    (row, column); so is an array `f` of an .npz file, square, of at least 8 a side. A matrix is
    `matrix` (row, column), symmetric with a positive diagonal and at most 2000 rows: an array `A`,
    or what `scipy.sparse.save_npz` wrote; an array `b` beside `A` becomes `right` (row).

    Raises:
        BadInput: it cannot be read as that, has another shape, or holds what is not finite.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix == ".mtx":
        return _matrix(path, _market(path), None)
    if suffix != ".npz":
        return _source(path, grey(picture(path)["picture"]).values[..., 0])
    arrays = given_arrays(path, LARGEST, SAVE)
    if "f" in arrays:
        return _source(path, arrays["f"])
    if {"indptr", "shape", "data"} <= set(arrays):
        return _matrix(path, _sparse(path), None)
    if "A" not in arrays:
        held = ", ".join(arrays) or "nothing"
        raise BadInput(f"{path.name} holds {held}", "needed: A (and b), or f")
    return _matrix(path, arrays["A"], arrays.get("b"))


def _source(path: Path, values: Any) -> xr.Dataset:
    values = _finite(path, "f", values)
    if values.ndim != 2 or values.shape[0] != values.shape[1] or len(values) < 8:
        raise BadInput(f"{path.name}: f has shape {values.shape}", "needed: a square of 8 or more")
    if not values.any():
        raise BadInput(f"{path.name}: f is zero everywhere", "give a source that is not")
    made = xr.Dataset({"source": (("row", "column"), values)}, attrs={"name": path.stem})
    made["source"].attrs = {"long_name": f"source of {path.name}", "units": "1"}
    return made


def _matrix(path: Path, matrix: Any, right: Any) -> xr.Dataset:
    matrix = _finite(path, "A", matrix)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise BadInput(f"{path.name}: A has shape {matrix.shape}", "needed: a square matrix")
    if not 2 <= len(matrix) <= MOST:
        raise BadInput(f"{path.name}: A has shape {matrix.shape}", f"allowed: 2 to {MOST} rows")
    if abs(matrix - matrix.T).max() > SYMMETRIC * abs(matrix).max():
        raise BadInput(f"{path.name}: A is not symmetric", "give a symmetric matrix")
    least = float(np.diag(matrix).min())
    if least <= 0:
        raise BadInput(f"{path.name}: A has {least:g} on its diagonal", "needed: positive numbers")
    made = xr.Dataset({"matrix": (("row", "column"), matrix)}, attrs={"name": path.stem})
    made["matrix"].attrs = {"long_name": f"matrix of {path.name}", "units": "1"}
    if right is not None:
        right = _finite(path, "b", right).squeeze()
        if right.shape != (len(matrix),):
            raise BadInput(f"{path.name}: b has shape {right.shape}", f"needed: ({len(matrix)},)")
        if not right.any():
            raise BadInput(f"{path.name}: b is zero everywhere", "leave it out, or give another")
        made["right"] = ("row", right, {"long_name": f"right-hand side of {path.name}",
                                        "units": "1"})  # fmt: skip
    return made


def _finite(path: Path, name: str, values: Any) -> Any:
    try:
        array = np.asarray(values)
        if array.dtype.kind not in "fiub":
            raise TypeError
        array = array.astype(float)
    except (TypeError, ValueError):
        raise BadInput(f"{path.name}: {name} does not hold real numbers", "give floats") from None
    bad = int((~np.isfinite(array)).sum())
    if bad:
        raise BadInput(f"{path.name}: {name} of shape {array.shape} has {bad} values that are not "
                       "finite", "needed: finite numbers")  # fmt: skip
    return array


def _sparse(path: Path) -> Any:
    from scipy.sparse import load_npz

    try:
        matrix = load_npz(path)
    except (OSError, ValueError, KeyError, TypeError):
        raise BadInput(f"{path.name} is no sparse matrix", "write it with scipy.sparse.save_npz") \
            from None  # fmt: skip
    return _dense(path, matrix)


def _market(path: Path) -> Any:
    from scipy.io import mmread

    with readable(path, LARGEST):
        try:
            matrix = mmread(path)
        except (ValueError, OverflowError, MemoryError, TypeError):
            raise BadInput(f"{path.name} is no Matrix Market file",
                           "write it with scipy.io.mmwrite") from None  # fmt: skip
    return _dense(path, matrix)


def _dense(path: Path, matrix: Any) -> Any:
    if max(matrix.shape) > MOST:
        raise BadInput(f"{path.name}: A has shape {matrix.shape}", f"allowed: 2 to {MOST} rows")
    return matrix.toarray() if hasattr(matrix, "toarray") else matrix

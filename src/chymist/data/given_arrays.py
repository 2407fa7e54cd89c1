"""The arrays of a file that a user names, or one line that says why it cannot be read.

NPZ archives and safetensors: both hold numbers, and to read them runs nothing.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
from numpy import ndarray

from chymist.data.given_text import readable
from chymist.errors import BadInput


def given_arrays(
    path: Path, largest: int, save: str, names: Collection[str] = ()
) -> dict[str, ndarray[Any, Any]]:
    """Return the arrays of a file by name, or those of some `names` that it has.

    `save` says how to write such a file. An array of objects is refused: reading one runs code.
    Safetensors keep no order: that of the names is taken, numbers by value; their floating numbers
    are returned in float32 at least.

    Raises:
        BadInput: there is no such file, it has or unpacks to more than `largest` bytes, or it is
            no archive of numbers.
    """
    if path.suffix.lower() == ".safetensors":
        return _tensors(path, largest, save, names)
    with readable(path, largest):
        try:
            with zipfile.ZipFile(path) as packed:
                unpacked = sum(part.file_size for part in packed.infolist())
            if unpacked > largest:
                raise BadInput(f"{path.name} unpacks to {unpacked} bytes", f"at most {largest}")
            # NumPy reads numbers only, unless told otherwise.
            with np.load(path) as kept:
                return {n: kept[n] for n in kept.files if n in names or not names}
        except (ValueError, EOFError, KeyError, NotImplementedError, zipfile.BadZipFile,
                zlib.error):  # fmt: skip
            raise BadInput(f"{path.name} is no .npz archive of numbers", save) from None


def _tensors(
    path: Path, largest: int, save: str, names: Collection[str]
) -> dict[str, ndarray[Any, Any]]:
    from safetensors import SafetensorError, safe_open

    with readable(path, largest):
        try:
            with safe_open(path, "pt") as kept:
                held = sorted(kept.keys(), key=_by_number)
                found = {n: kept.get_tensor(n) for n in held if n in names or not names}
        except SafetensorError:
            raise BadInput(f"{path.name} is no .safetensors file", save) from None
    # NumPy knows no bfloat16.
    small = {n: t.is_floating_point() and t.itemsize < 4 for n, t in found.items()}
    return {n: (t.float() if small[n] else t).numpy() for n, t in found.items()}


def array_names(path: Path) -> list[str]:
    """Return the names of an NPZ archive's arrays; none of what is no archive."""
    try:
        with zipfile.ZipFile(path) as packed:
            return [name.removesuffix(".npy") for name in packed.namelist()]
    except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile):
        return []


def _by_number(name: str) -> list[tuple[int, str]]:
    """Sort key in which layer 10 comes after layer 9."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]

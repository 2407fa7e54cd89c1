"""Reading a run's data without trusting it: see `reader`, the process that does."""

from __future__ import annotations

import hashlib
import json
import math
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from chymist.errors import DamagedRun
from chymist.lab.layout import INPUT
from chymist.lab.seal import altered, plain_file
from chymist.lab.store import Placed, joined

READER = Path(__file__).with_name("reader.py")
PATIENCE = 120.0
"""Seconds for all files of a run, and one more for each 10 MB."""


def load(folder: Path, files: Mapping[str, str], remedy: str = "") -> dict[str, xr.Dataset]:
    """Return netCDF files of a run, given with their digests, as datasets by name.

    The bytes that are read are those whose digest agrees. `remedy` is what to do about a file that
    is missing or altered. Costs 0.2 s for the process.

    Raises:
        DamagedRun: a file is missing, altered, or holds what no lab writes.
    """
    contents = {name: _content(folder, name, digest, remedy) for name, digest in files.items()}
    if not contents:
        return {}
    sent = b"".join(part for c in contents.values() for part in (len(c).to_bytes(8, "little"), c))
    try:
        done = subprocess.run(  # noqa: S603  our own file, by this interpreter
            [sys.executable, "-P", str(READER)],
            input=sent,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=PATIENCE + len(sent) / 1e7,
            check=False,
        )
        received = memoryview(done.stdout)
    except subprocess.TimeoutExpired:
        received = memoryview(b"")
    found, place = {}, 0
    for name in contents:
        found[name], place = _dataset(folder, name, received, place)
    return found


def kept_input(folder: Path, plan: Mapping[str, Any]) -> xr.Dataset | None:
    """Return the user's data that a run was planned with, if any.

    Raises:
        DamagedRun: they are missing, altered, or such as no lab writes.
    """
    return load(folder, {INPUT: plan["input"]["kept"]})[INPUT] if plan["input"] else None


def together(folder: Path, parts: Sequence[Placed]) -> xr.Dataset:
    """Join the chunks of one experiment and arm.

    Raises:
        DamagedRun: they do not fit together.
    """
    try:
        return joined(parts)
    except Exception as error:  # whatever a plan that a lab would not write leads to
        raise DamagedRun(
            f"run {folder.name}: chunks do not fit together: {error}",
            "restore it from a copy, or run the study again",
        ) from error


def _content(folder: Path, name: str, expected: str, remedy: str) -> bytes:
    content = plain_file(folder, name, remedy).read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    if digest != expected:
        raise altered(folder, name, expected, digest, remedy)
    return content


def _dataset(folder: Path, name: str, received: memoryview, place: int) -> tuple[xr.Dataset, int]:
    """Take the next dataset from what the reader sent."""
    size = int.from_bytes(received[place : place + 8], "little")
    header: dict[str, Any] = {"error": "the process that read it came to an end"}
    if size:
        header = json.loads(bytes(received[place + 8 : place + 8 + size]))
    place += 8 + size
    if "error" in header:
        raise DamagedRun(
            f"run {folder.name}: {name} cannot be read: {header['error']}",
            "restore it from a copy, or run the study again",
            file=name,
        )
    variables = {}
    for entry in header["variables"]:
        shape = tuple(entry["shape"])
        if "text" in entry:
            values = _texts(entry["text"]).reshape(shape)
        else:
            kind = np.dtype(entry["dtype"])
            count = math.prod(shape)
            values = np.frombuffer(received, kind, count, place).reshape(shape).copy()
            place += count * kind.itemsize
        variables[entry["name"]] = (entry["dims"], values, entry["attributes"])
    try:
        whole = xr.Dataset(variables, attrs=header["attributes"])
        # As the lab writes them: units are not turned into times.
        return xr.decode_cf(whole, decode_times=False).load(), place
    except Exception as error:  # attributes that contradict the values
        raise DamagedRun(
            f"run {folder.name}: {name} cannot be read: {error}",
            "restore it from a copy, or run the study again",
            file=name,
        ) from error


def _texts(texts: list[str]) -> np.ndarray[Any, Any]:
    """Return texts as xarray would; as objects if one long text would make all of them long."""
    longest = max(map(len, texts), default=0)
    return np.array(texts, dtype=str if longest * len(texts) < 10_000_000 else object)

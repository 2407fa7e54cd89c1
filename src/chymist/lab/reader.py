"""Read netCDF files in a process of their own: run as a script by `measured`, imports no chymist.

A netCDF-4 file is HDF5, and HDF5 may point anywhere: a data set can live in another file, or be
another file's, and reading it opens that file. It may also state shapes that no memory holds, and
libraries in C have been crashed by less. So the content comes through a pipe, the process may open
no file at all, and its memory is bounded; what it finds leaves through a pipe as plain numbers.

Reads for each file eight bytes of length and the content, writes for each eight bytes of length
and a JSON header, then the arrays' bytes in the header's order. Little-endian.
"""

import json
import math
import re
import sys
from typing import Any

import netCDF4
import numpy as np

FREE = 512 * 2**20
"""Bytes of data that a file may state whatever its own size."""
RATIO = 100
"""Above that, how many times the file's size: noise shrinks little, bombs shrink a thousandfold."""
TEXT = 32 * 2**20
"""Letters in all texts together: one in the file may be named a million times."""
OVERHEAD = 3 * 2**30
"""Address space for the libraries."""


def read(content: bytes) -> tuple[dict[str, Any], list[np.ndarray[Any, Any]]]:
    """Return a file's variables: a header, and the arrays of those that are numbers.

    Raises:
        ValueError: it holds what no lab writes.
    """
    with netCDF4.Dataset("run.nc", memory=content) as data:
        data.set_auto_maskandscale(False)
        if data.groups or data.cmptypes or data.vltypes or data.enumtypes:
            raise ValueError("it has groups or types of its own")
        stated = 0
        for name in [*data.variables, *data.dimensions]:
            if not re.fullmatch(r"\w[\w .+-]*", name):
                raise ValueError(f"{name!r} is no name")
        for name, variable in data.variables.items():
            kind: Any = variable.dtype  # str, where the values are texts
            if not (kind is str or (isinstance(kind, np.dtype) and kind.kind in "fiuS")):
                raise ValueError(f"{name} is of type {kind}")
            width = getattr(kind, "itemsize", 16)
            stated += math.prod(variable.shape) * width
        if stated > FREE and stated > RATIO * len(content):
            raise ValueError(f"{len(content)} bytes state {stated} bytes of data")
        limit("RLIMIT_AS", OVERHEAD + 4 * len(content) + 4 * stated)
        variables, arrays, texts = [], [], 0
        for name, variable in data.variables.items():
            values = np.asarray(variable[...])
            entry: dict[str, Any] = {
                "name": name,
                "dims": list(variable.dimensions),
                "shape": list(variable.shape),
                "attributes": {a: plain(variable.getncattr(a)) for a in variable.ncattrs()},
            }
            if variable.dtype is str:
                entry["text"] = [str(v) for v in values.ravel()]
                texts += sum(map(len, entry["text"]))
                if texts > TEXT:
                    raise ValueError(f"its texts have more than {TEXT} letters")
            else:
                entry["dtype"] = values.dtype.newbyteorder("<").str
                arrays.append(np.ascontiguousarray(values.astype(entry["dtype"], copy=False)))
            variables.append(entry)
        attributes = {a: plain(data.getncattr(a)) for a in data.ncattrs()}
    return {"variables": variables, "attributes": attributes}, arrays


def plain(value: Any) -> Any:
    """Return an attribute as JSON knows it."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    return value


def limit(name: str, value: int) -> None:
    """Bound what this process may use, where the system can."""
    try:
        import resource
    except ImportError:
        return
    kind = getattr(resource, name)
    hard = resource.getrlimit(kind)[1]
    resource.setrlimit(kind, (value if hard < 0 else min(value, hard), hard))


def main() -> None:
    """Read files from standard input until it ends."""
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    # netCDF4 loads parts of itself at the first file: let it, before nothing can be opened.
    netCDF4.Dataset("first.nc", "w", memory=1024).close()
    limit("RLIMIT_NOFILE", 0)
    while length := source.read(8):
        content = source.read(int.from_bytes(length, "little"))
        limit("RLIMIT_AS", OVERHEAD + 4 * len(content))
        arrays: list[np.ndarray[Any, Any]] = []
        try:
            header, arrays = read(content)
            text = json.dumps(header).encode()
        except Exception as error:  # whatever it is, the file is at fault
            text = json.dumps({"error": f"{type(error).__name__}: {error}"[:300]}).encode()
            arrays = []
        sink.write(len(text).to_bytes(8, "little") + text)
        for array in arrays:
            sink.write(array.data)
        sink.flush()


if __name__ == "__main__":
    main()

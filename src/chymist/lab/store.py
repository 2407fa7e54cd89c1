"""Measured data on disk: netCDF-4, a file a chunk, joined along named coordinates when opened."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import xarray as xr

from chymist.errors import CannotWrite
from chymist.files import reached, refusals, write_text, write_whole
from chymist.lab.chunk import Chunk, Seal

Placed = tuple[Mapping[str, Any], xr.Dataset]


def write_dataset(path: Path, data: xr.Dataset) -> str:
    """Write a dataset whole and return the digest of its file, the same for the same data.

    Raises:
        CannotWrite: the file system refuses.
    """
    packed = {
        name: {"zlib": True, "complevel": 4}
        for name, v in data.variables.items()
        if v.dtype.kind in "fiu" and v.ndim
    }

    def write(aside: Path) -> None:
        # Not through memory: the bytes of an in-memory netCDF file differ from call to call.
        try:
            data.to_netcdf(aside, engine="netcdf4", format="NETCDF4", encoding=packed)
        except (RuntimeError, OSError) as error:
            raise CannotWrite(
                f"cannot write {path}: {error}",
                "free some space, or name another folder with --lab",
            ) from error

    return write_whole(path, write)


def read_dataset(path: Path) -> xr.Dataset:
    """Read a dataset into memory as it was written: units are not turned into times."""
    return xr.load_dataset(path, engine="netcdf4", decode_times=False)


def seal_chunk(folder: Path, chunk: Chunk, data: xr.Dataset, seconds: float) -> Seal:
    """Write a chunk's data, then its seal.

    Raises:
        CannotWrite: the file system refuses.
    """
    return _seal(folder, chunk, write_dataset(folder / chunk.data, data), seconds)


def seal_content(folder: Path, chunk: Chunk, content: bytes, seconds: float) -> Seal:
    """Write a chunk's data, given as the file that another machine wrote, then its seal.

    Raises:
        CannotWrite: the file system refuses.
    """
    digest = write_whole(folder / chunk.data, lambda aside: _write(aside, content))
    return _seal(folder, chunk, digest, seconds)


def joined(parts: Sequence[Placed]) -> xr.Dataset:
    """Join the chunks of an experiment: along seeds, then along what tells places apart.

    Raises:
        ValueError: what has no dimension seed differs between chunks of one place.
    """
    places: dict[str, list[Placed]] = {}
    for place, data in parts:
        places.setdefault(str(dict(place)), []).append((place, data))
    placed = [
        _along_seeds([data for _, data in several]).expand_dims(
            {n: [v] for n, v in several[0][0].items()}
        )
        for several in places.values()
    ]
    if len(placed) == 1:
        return placed[0]
    # All said, since the library's defaults are about to change.
    return xr.combine_by_coords(  # type: ignore[return-value]
        placed,
        join="outer",
        data_vars="all",
        coords="different",
        compat="no_conflicts",
        combine_attrs="override",
    )


def _along_seeds(parts: Sequence[xr.Dataset]) -> xr.Dataset:
    if len(parts) == 1:
        return parts[0]
    return xr.concat(
        parts,
        dim="seed",
        data_vars="minimal",
        coords="minimal",
        compat="identical",
        join="exact",
        combine_attrs="override",
    )


def read_joined(folder: Path, chunks: Sequence[Chunk]) -> xr.Dataset:
    """Read the chunks of one experiment and arm and join them."""
    return joined([(chunk.place, read_dataset(folder / chunk.data)) for chunk in chunks])


def _seal(folder: Path, chunk: Chunk, digest: str, seconds: float) -> Seal:
    path = folder / chunk.data
    seal = Seal(digest, path.stat().st_size, round(seconds, 3))
    with refusals(folder / chunk.seal):
        reached("seal")
    write_text(folder / chunk.seal, json.dumps(seal.to_json()) + "\n")
    return seal


def _write(aside: Path, content: bytes) -> None:
    aside.write_bytes(content)

"""A chunk: the part of a run that one worker computes and seals, as plain JSON.

Its data are `chunks/<name>.nc`. The seal `chunks/<name>.json`, written whole after them, carries
their digest: a chunk without a seal does not exist, whatever else is in the folder.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chymist.files import sha256

if TYPE_CHECKING:
    from chymist.params import Params

FOLDER = "chunks"
ARMS = ("treatment", "control")
MAP = "map"
"""In place of an arm: the treatment at points that refine a map, and that no claim is judged on."""


@dataclass(frozen=True)
class Chunk:
    """An experiment, an arm, the parameters of one cell, its place among the cells, and its seeds.

    `parameters` are JSON values that `Params.parse` reads: lanes with all their values, axes with
    one. `place` holds the coordinates (axes, and what is swept) along which chunks are joined.
    `seeds` are the first and the one after the last: chunks of one place are joined along seeds.
    """

    index: int
    experiment: str
    arm: str
    parameters: Mapping[str, Any]
    place: Mapping[str, Any]
    seeds: tuple[int, int]

    @property
    def name(self) -> str:
        """What its files are called."""
        return f"{self.index:04d}.{self.experiment}.{self.arm}"

    @property
    def data(self) -> str:
        """Path of its data inside the run's folder."""
        return f"{FOLDER}/{self.name}.nc"

    @property
    def seal(self) -> str:
        """Path of its seal inside the run's folder."""
        return f"{FOLDER}/{self.name}.json"

    def cell(self, params: type[Params]) -> Params:
        """Return the parameters an experiment is handed.

        Raises:
            BadParameter: a value is out of range.
        """
        return params.parse(dict(self.parameters)).cells()[0]

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class Seal:
    """What is known of a sealed chunk: digest and size [bytes] of its data, and its time [s]."""

    sha256: str
    bytes: int
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)


def read_seal(folder: Path, chunk: Chunk) -> Seal | None:
    """Return the seal of a chunk, if it is sealed; a seal that cannot be read is none."""
    try:
        record = json.loads((folder / chunk.seal).read_text(encoding="utf-8"))
        return Seal(str(record["sha256"]), int(record["bytes"]), float(record["seconds"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def read_seals(folder: Path, chunks: Sequence[Chunk]) -> dict[int, Seal]:
    """Return the seals of those chunks that are sealed, by index; reads no data."""
    found = ((chunk.index, read_seal(folder, chunk)) for chunk in chunks)
    return {index: seal for index, seal in found if seal is not None}


def damage(folder: Path, chunk: Chunk, seal: Seal) -> str:
    """Say what is wrong with a sealed chunk's data, or return nothing."""
    path = folder / chunk.data
    if not path.is_file():
        return f"{chunk.data} is missing"
    found = sha256(path)
    if found != seal.sha256:
        return f"{chunk.data} was altered: expected SHA-256 {seal.sha256[:12]}, found {found[:12]}"
    return ""

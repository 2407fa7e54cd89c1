"""Whether the disk can hold what a run still has to write."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from chymist.errors import CannotWrite
from chymist.lab.chunk import Chunk, Seal


def needed(chunks: Sequence[Chunk], seals: Mapping[int, Seal]) -> int | None:
    """Estimate the bytes that the unsealed chunks will take; none while no chunk is sealed.

    A chunk takes what the sealed ones of its experiment take on average, or else all of them.
    """
    if not seals:
        return None
    sizes: dict[str, list[int]] = {}
    for chunk in chunks:
        if chunk.index in seals:
            sizes.setdefault(chunk.experiment, []).append(seals[chunk.index].bytes)
    everything = [size for several in sizes.values() for size in several]
    total = 0.0
    for chunk in chunks:
        if chunk.index not in seals:
            known = sizes.get(chunk.experiment, everything)
            total += sum(known) / len(known)
    return round(total)


def require(folder: Path, chunks: Sequence[Chunk], seals: Mapping[int, Seal]) -> None:
    """Refuse to go on where less than twice the need is free: files are written aside first.

    Raises:
        CannotWrite: too little space.
    """
    need, free = needed(chunks, seals), shutil.disk_usage(folder).free
    if need is not None and free < 2 * need:
        raise CannotWrite(f"too little space in {folder}", "free some space")


def shortage(folder: Path, chunks: Sequence[Chunk], seals: Mapping[int, Seal]) -> str:
    """Say in words how much is needed, twice over, and how much is free."""
    need, free = needed(chunks, seals), shutil.disk_usage(folder).free
    if need is None:
        return f"{size(free)} are free"
    left = len(chunks) - len(seals)
    return (
        f"{left} of {len(chunks)} chunks to come need about {size(2 * need)} with room for "
        f"temporary files, and {size(free)} are free"
    )


def size(count: float) -> str:
    """Return a number of bytes in a unit that suits it.

    >>> size(1_234_567)
    '1.23 MB'
    """
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"

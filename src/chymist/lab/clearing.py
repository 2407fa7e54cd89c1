"""Clearing a lab of what crashes left: half-written files, and runs that were never finished.

A sealed run is never removed, nor one of which only the seal is missing, nor anything that was
written a moment ago and may still be in use.
"""

from __future__ import annotations

import os
import shutil
import stat
import time
from dataclasses import dataclass
from pathlib import Path

from chymist.files import refusals
from chymist.lab.lab import Lab
from chymist.lab.layout import MANIFEST, VERDICTS
from chymist.lab.seal import is_plain_folder
from chymist.lab.verify import is_left_over

FILE_AGE = 600.0
RUN_AGE = 3600.0
"""Seconds since the last write after which a file, or a run, is taken for abandoned."""


@dataclass(frozen=True)
class LeftOver:
    """A file or folder that could go. `kept` says why it does not, if it does not."""

    path: Path
    bytes: int
    kept: str = ""


def left_over(lab: Lab, unfinished: bool = False) -> list[LeftOver]:
    """Return half-written files of a lab, and on demand the runs that were never finished."""
    now = time.time()
    found = []
    runs = lab.folders()
    gone = [f for f in runs if unfinished and not os.path.lexists(f / MANIFEST)]
    for folder in gone:
        latest, size = _latest(folder), _size(folder)
        kept = ""
        if os.path.lexists(folder / VERDICTS):
            kept = f"all is computed, only its seal is missing: chymist resume {folder.name}"
        elif now - latest < RUN_AGE:
            kept = f"written to {_ago(now - latest)} ago: it may still be running"
        found.append(LeftOver(folder, size, kept))
    within = [f for f in runs if f not in gone]
    for place in (lab.folder, lab.runs_folder):
        if place.is_dir():
            # A folder that a former clearing was about to remove counts as one file.
            some = sorted(p for p in place.iterdir() if is_left_over(p.name))
            found += [_one(path, now) for path in some]
    for folder in within:
        for at, _, names in os.walk(folder):
            found += [_one(Path(at) / name, now) for name in sorted(names) if is_left_over(name)]
    return found


def clear(lab: Lab, things: list[LeftOver]) -> int:
    """Remove what `left_over` found and did not keep; return how many bytes that was.

    Raises:
        CannotWrite: the file system refuses.
    """
    freed = 0
    for thing in things:
        if thing.kept:
            continue
        with refusals(thing.path):
            if not is_plain_folder(thing.path):
                thing.path.unlink(missing_ok=True)
            elif is_left_over(thing.path.name):
                shutil.rmtree(thing.path)
            else:
                # Out of the way first: nobody sees half a run, and none is sealed meanwhile.
                aside = thing.path.with_name(f".{thing.path.name}.tmp")
                thing.path.rename(aside)
                if os.path.lexists(aside / MANIFEST):
                    aside.rename(thing.path)
                    continue
                shutil.rmtree(aside)
        freed += thing.bytes
    return freed


def _one(path: Path, now: float) -> LeftOver:
    latest = _latest(path)
    kept = ""
    if now - latest < FILE_AGE:
        kept = f"written {_ago(now - latest)} ago: it may still be in use"
    return LeftOver(path, _size(path), kept)


def _all(path: Path) -> list[os.stat_result]:
    paths = [path]
    if is_plain_folder(path):
        paths += [Path(at) / n for at, folders, names in os.walk(path) for n in [*folders, *names]]
    found = []
    for one in paths:
        try:
            found.append(one.lstat())
        except OSError:
            continue
    return found


def _latest(path: Path) -> float:
    # A folder's own time also changes when something is cleared from it.
    seen = _all(path)
    files = [about for about in seen if not stat.S_ISDIR(about.st_mode)]
    return max((about.st_mtime for about in files or seen), default=0.0)


def _size(path: Path) -> int:
    return sum(about.st_size for about in _all(path))


def _ago(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{max(0.0, seconds):.0f} s"

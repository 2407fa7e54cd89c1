"""One process at a time on a run: a lock that a dead process gives up, a fence for a paused one.

The operating system holds the lock for as long as the process lives, be it paused. But a lock can
be lost: its file is removed by hand, or a network file system gives it to another while this
machine cannot be reached. So whoever takes the lock also signs `.holder` with a mark of its own,
and looks for that mark before each write to the run: one that was taken over meanwhile finds
another's mark, writes nothing more, and says so. Between that look and the rename that follows it
there are microseconds.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator
from pathlib import Path

from chymist.errors import RunInUse
from chymist.files import fenced, refusals, write_text
from chymist.lab.layout import MANIFEST, command

LOCK = ".lock"
HOLDER = ".holder"
_marks: dict[Path, str] = {}


@contextlib.contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Hold a run's lock. The operating system frees it when the process ends, however it ends.

    Raises:
        RunInUse: another process holds it, or has taken it over when something is to be written.
        CannotWrite: the file system refuses.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(folder / LOCK, timeout=0)
    with refusals(folder / LOCK):
        try:
            lock.acquire()
        except Timeout:
            raise RunInUse(
                f"run {folder.name} is being computed by another process", "wait for it, or end it"
            ) from None
    try:
        mark = secrets.token_hex(16)
        write_text(folder / HOLDER, mark)
        with held(folder, mark):
            try:
                yield
            finally:
                if holds(folder):
                    _leave(folder)
    finally:
        lock.release()


@contextlib.contextmanager
def held(folder: Path, mark: str) -> Iterator[None]:
    """Let this process write to a run only as long as the holding with this mark lasts.

    For the process that took the lock, and for those that it sets to work, which are told its mark.
    """

    def check() -> None:
        if not holds(folder):
            raise RunInUse(
                f"run {folder.name} was taken over by another process while this one was paused "
                "or cut off",
                f"{command('show', folder)} tells how it stands",
            )

    _marks[folder] = mark
    try:
        with fenced(folder, check):
            yield
    finally:
        del _marks[folder]


def mark_of(folder: Path) -> str:
    """Return the mark with which this process holds a run; none if it never took it."""
    return _marks.get(folder, "")


def holds(folder: Path) -> bool:
    """Tell whether a run that this process has taken is still its own."""
    try:
        return (folder / HOLDER).read_text(encoding="utf-8") == mark_of(folder)
    except (OSError, ValueError):
        return False


def _leave(folder: Path) -> None:
    with contextlib.suppress(OSError):
        (folder / HOLDER).unlink(missing_ok=True)
        # Of a sealed run nobody needs the lock; of any other, removing it could let two in.
        if (folder / MANIFEST).exists():
            (folder / LOCK).unlink(missing_ok=True)

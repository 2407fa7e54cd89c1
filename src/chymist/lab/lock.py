"""One process at a time on a run."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from chymist.errors import RunInUse
from chymist.files import refusals
from chymist.lab.layout import MANIFEST

LOCK = ".lock"


@contextlib.contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Hold a run's lock. The operating system frees it when the process ends, however it ends.

    Raises:
        RunInUse: another process holds it.
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
        yield
    finally:
        # Of a sealed run nobody needs the lock; of any other, removing it could let two in.
        if (folder / MANIFEST).exists():
            with contextlib.suppress(OSError):
                (folder / LOCK).unlink(missing_ok=True)
        lock.release()

"""Files that are there whole or not at all: write aside, flush, rename; SHA-256 digests.

Every step that can fail passes a named fault point (folder, write, flush, rename, append, seal), so
that tests can make the n-th of them fail: see `reached`.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import secrets
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from chymist.errors import CannotWrite

FAULT = "CHYMIST_FAULT"
_passed: Counter[str] = Counter()
_fences: dict[Path, Callable[[], None]] = {}


def reached(point: str) -> None:
    """Pass a fault point: do nothing, unless $CHYMIST_FAULT says that something fails here.

    It reads "point:count:action": at the count-th passing of that point ("any" for all) the action
    happens. Actions: the name of an error of the operating system (ENOSPC, EIO, EINTR), which is
    raised; exit, which ends the process without cleaning up; kill, which kills it; stop, which
    pauses it until somebody lets it go on.
    """
    fault = os.environ.get(FAULT)
    if fault is not None:
        _fail(point, fault)


def _fail(point: str, fault: str) -> None:
    where, count, action = fault.split(":")
    if where not in ("any", point):
        return
    _passed[fault] += 1
    if _passed[fault] != int(count):
        return
    if action == "exit":
        os._exit(70)
    if action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if action == "stop":
        os.kill(os.getpid(), signal.SIGSTOP)
        return
    number = getattr(errno, action)
    raise OSError(number, os.strerror(number))


@contextlib.contextmanager
def refusals(path: Path) -> Iterator[None]:
    """Turn the operating system's refusals to write `path` into one clear line.

    Raises:
        CannotWrite: the folder is a file, is read-only or missing, or the disk is full.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            hint = "free some space, or name another folder with --lab"
        else:
            hint = "name a folder that can be written, with --lab"
        reason = error.strerror or str(error)
        raise CannotWrite(f"cannot write {path}: {reason}", hint) from error


@contextlib.contextmanager
def fenced(folder: Path, check: Callable[[], None]) -> Iterator[None]:
    """Let `check` look before every single write below a folder; what it raises stops the write.

    For a process that was paused for long, and may wake up to a folder that is another's by now.
    """
    _fences[folder] = check
    try:
        yield
    finally:
        del _fences[folder]


def _pass_fence(path: Path) -> None:
    for folder, check in list(_fences.items()):
        if folder in path.parents:
            check()


def write_whole(path: Path, write: Callable[[Path], None]) -> str:
    """Let `write` fill a file beside `path`, flush it, rename it to `path`; return its digest.

    A crash leaves either the old file or the new one, never half of it.

    Raises:
        CannotWrite: the file system refuses.
    """
    aside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    with refusals(path):
        try:
            reached("write")
            write(aside)
            reached("flush")
            with aside.open("rb+") as stream:
                os.fsync(stream.fileno())
            digest = sha256(aside)
            reached("rename")
            _pass_fence(path)
            aside.replace(path)
            flush_folder(path.parent)
        except OSError:
            # Whoever took the folder over clears what is written beside its files.
            _pass_fence(path)
            raise
        finally:
            aside.unlink(missing_ok=True)
    return digest


def write_text(path: Path, text: str) -> str:
    """Write UTF-8 text whole; return its digest."""
    return write_whole(path, lambda aside: _write_text(aside, text))


def write_json(path: Path, value: Any) -> str:
    """Write a value as JSON text whole; return its digest. Arrays are written as lists."""
    return write_text(path, as_json(value))


def as_json(value: Any) -> str:
    """Return a value as JSON text that people can read."""
    return json.dumps(value, indent=1, ensure_ascii=False, default=_plain) + "\n"


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")


def append_line(path: Path, line: str) -> None:
    """Add a line to a file that grows; if a crash tore the last line, begin a new one.

    Raises:
        CannotWrite: the file system refuses.
    """
    with refusals(path):
        reached("append")
        _pass_fence(path)
        with path.open("ab+") as stream:
            if stream.tell():
                stream.seek(-1, os.SEEK_END)
                torn = stream.read(1) != b"\n"
            else:
                torn = False
            stream.write(b"\n" * torn + line.encode() + b"\n")


def make_folder(path: Path) -> None:
    """Make a folder and those it is in.

    Raises:
        CannotWrite: the file system refuses.
    """
    with refusals(path):
        reached("folder")
        path.mkdir(parents=True, exist_ok=True)


def clear_aside(folder: Path) -> None:
    """Remove what a killed process left beside the files it was writing in a folder."""
    for aside in folder.glob(".*.tmp"):
        with contextlib.suppress(OSError):
            aside.unlink()


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")


def flush_folder(folder: Path) -> None:
    """Make a rename in `folder` durable, where the system allows folders to be flushed."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def sha256(path: Path) -> str:
    """Return the SHA-256 digest of a file, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()

"""Files that are there whole or not at all: write aside, flush, rename; SHA-256 digests."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

from chymist.errors import CannotWrite


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


def write_whole(path: Path, write: Callable[[Path], None]) -> str:
    """Let `write` fill a file beside `path`, flush it, rename it to `path`; return its digest.

    A crash leaves either the old file or the new one, never half of it.

    Raises:
        CannotWrite: the file system refuses.
    """
    aside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    with refusals(path):
        try:
            write(aside)
            with aside.open("rb+") as stream:
                os.fsync(stream.fileno())
            digest = sha256(aside)
            aside.replace(path)
            flush_folder(path.parent)
        finally:
            aside.unlink(missing_ok=True)
    return digest


def write_text(path: Path, text: str) -> str:
    """Write UTF-8 text whole; return its digest."""
    return write_whole(path, lambda aside: _write_text(aside, text))


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

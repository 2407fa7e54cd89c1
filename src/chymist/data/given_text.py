"""The text of a file that a user names, or one line that says why it cannot be read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from chymist.errors import BadInput


def given_text(
    path: Path, largest: int, smaller: str = "", save: str = "save it as a CSV file in UTF-8"
) -> str:
    """Return a file's UTF-8 text, without a mark of byte order.

    `smaller` says what to do with a file of more than `largest` bytes, `save` with one that is not
    UTF-8.

    Raises:
        BadInput: there is no such file, it is too large, not UTF-8, or cannot be read.
    """
    with readable(path, largest, smaller):
        try:
            return path.read_text(encoding="utf-8-sig")
        except UnicodeDecodeError as error:
            raise BadInput(f"{path.name} is not UTF-8 text (byte {error.start})", save) from None


@contextmanager
def readable(path: Path, largest: int, smaller: str = "") -> Iterator[None]:
    """Refuse a file of more than `largest` bytes, and say in one line why one cannot be read.

    Raises:
        BadInput: there is no such file, it is too large, or cannot be read.
    """
    try:
        size = path.stat().st_size
        if size > largest:
            advice = f"; {smaller}" if smaller else ""
            raise BadInput(f"{path.name} has {size} bytes", f"at most {largest} are read{advice}")
        yield
    except FileNotFoundError:
        raise BadInput(f"no file {path}", "check the path") from None
    except OSError as error:
        why = error.strerror or error
        raise BadInput(f"{path} cannot be read: {why}", "give a readable file") from None

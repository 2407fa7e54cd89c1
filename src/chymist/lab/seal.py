"""The seal of a run: its manifest carries the digest of every other file, and its own.

The last line but one of run.json is the seal, the SHA-256 of all bytes before that line, so that
`head -n -2 run.json | sha256sum` computes what `tail -n 2 run.json` states. Format 1 had no seal
of its own and is still read.

Reading takes nothing on trust: whoever makes a run folder can make its digests agree. Only plain
files inside the folder are opened, and JSON must be of a size and depth that a lab writes.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chymist.errors import DamagedRun, NewerRun
from chymist.files import sha256, write_text
from chymist.lab.layout import CHECKUP, MANIFEST, VERDICTS, WATCHED

LARGEST_MANIFEST = 4 * 2**20
LARGEST_JSON = 32 * 2**20
"""Figures hold their data; parsed, text takes up to twenty times its size."""
DEEPEST_JSON = 100
_SEAL = re.compile(rb' "seal": "([0-9a-f]{64})"\n}\n\Z')
_DIGEST = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"([A-Za-z0-9][A-Za-z0-9_-]*/)?[A-Za-z0-9_-][A-Za-z0-9_.-]*")
_CHUNK = re.compile(r"chunks/([0-9]{4,}\.)?[a-z0-9-]+\.(treatment|control|map)\.(nc|json)")
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def seal_manifest(folder: Path, text: str) -> None:
    """Write run.json: a JSON object as text, with its own digest as last entry.

    Raises:
        CannotWrite: the file system refuses.
    """
    body = text.rstrip().removesuffix("}").rstrip() + ",\n"
    digest = hashlib.sha256(body.encode()).hexdigest()
    write_text(folder / MANIFEST, f'{body} "seal": "{digest}"\n}}\n')


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of a sealed run once its seal, format and id agree.

    Raises:
        NewerRun: a newer version wrote it.
        DamagedRun: it is missing, altered, another run's, or names files outside the run.
    """
    content = read_plain(folder, MANIFEST)
    found = _SEAL.search(content)
    if found:
        expected, digest = found[1].decode(), hashlib.sha256(content[: found.start()]).hexdigest()
        if digest != expected:
            raise altered(folder, MANIFEST, expected, digest)
    manifest = parse(folder, MANIFEST, content)
    written = manifest.get("format")
    if not isinstance(written, int) or isinstance(written, bool) or written < 1:
        raise DamagedRun(f"run {folder.name}: {MANIFEST} cannot be read", "run the study again")
    if written > WATCHED:
        raise NewerRun(
            f"run {folder.name} has format {written}; this version reads up to {WATCHED}",
            "upgrade chymist",
        )
    if written > 1 and not found:
        raise DamagedRun(
            f"run {folder.name}: {MANIFEST} cannot be read: its seal is missing",
            "restore it from a copy, or run the study again",
        )
    files = manifest.get("files")
    main = CHECKUP if written == WATCHED else VERDICTS
    if manifest.get("id") != folder.name or not isinstance(files, dict) or main not in files:
        raise DamagedRun(
            f"run {folder.name}: {MANIFEST} cannot be read: it belongs to another run, or to none",
            "restore it from a copy, or run the study again",
        )
    for name, digest in files.items():
        if not _NAME.fullmatch(name) or name == MANIFEST:
            raise DamagedRun(f"run {folder.name}: {name!r} leads out of the run")
        if name.startswith("chunks/") and not _CHUNK.fullmatch(name):
            raise DamagedRun(f"run {folder.name}: {name} is no name of a chunk")
        if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
            raise DamagedRun(f"run {folder.name}: {MANIFEST} gives no digest of {name}")
    return manifest


def check_files(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Compare every file of a run with its digest.

    Raises:
        DamagedRun: the first file that is missing, altered, or no plain file.
    """
    for name, expected in manifest["files"].items():
        check_file(folder, name, expected, again(manifest), before(manifest, name))


def before(manifest: Mapping[str, Any], name: str) -> str:
    """Return the digest of the record that an unfinished training's last one replaces."""
    own = manifest.get("status") == "unfinished" and name == CHECKUP
    return str(manifest.get("before", "")) if own else ""


def check_file(folder: Path, name: str, expected: str, remedy: str = "", or_: str = "") -> None:
    """Compare one file of a run with its digest, or with the other that it may have.

    Raises:
        DamagedRun: it is missing, altered, or no plain file.
    """
    path = plain_file(folder, name, remedy)
    found = sha256(path)
    if found not in (expected, or_):
        raise altered(folder, name, expected, found, remedy)


def altered(folder: Path, name: str, expected: str, found: str, remedy: str = "") -> DamagedRun:
    """Say that a file differs from its digest."""
    return DamagedRun(
        f"run {folder.name}: {name} was altered: expected SHA-256 {expected[:12]}, "
        f"found {found[:12]}",
        remedy or "restore it from a copy, or run the study again",
        file=name,
        expected=expected,
        found=found,
    )


def plain_file(folder: Path, name: str, remedy: str = "") -> Path:
    """Return the path of a file of a run.

    Raises:
        DamagedRun: it is missing, a link, a device, or reached through a link.
    """
    path = folder / name
    remedy = remedy or "restore it from a copy, or run the study again"
    try:
        inside = path.parent == folder or stat.S_ISDIR(path.parent.lstat().st_mode)
        about = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        raise DamagedRun(f"run {folder.name}: {name} is missing", remedy, file=name) from None
    except OSError as error:
        reason = error.strerror or str(error)
        raise DamagedRun(
            f"run {folder.name}: {name} cannot be read: {reason}", remedy, file=name
        ) from error
    if not inside or not stat.S_ISREG(about.st_mode):
        raise DamagedRun(f"run {folder.name}: {name} is no plain file", remedy, file=name)
    held = getattr(about, "st_blocks", about.st_size) * 512
    if about.st_size > 2**30 and about.st_size > 200 * held:
        # A file of holes takes no disk and for ever to read.
        raise DamagedRun(
            f"run {folder.name}: {name} states {about.st_size} bytes and holds {held}",
            remedy,
            file=name,
        )
    return path


def read_plain(folder: Path, name: str) -> bytes:
    """Return the content of a small file of a run.

    Raises:
        DamagedRun: it is missing, no plain file, or larger than what a lab writes.
    """
    path = plain_file(folder, name)
    largest = LARGEST_MANIFEST if name == MANIFEST else LARGEST_JSON
    try:
        with path.open("rb") as stream:
            content = stream.read(largest + 1)
    except OSError as error:
        reason = error.strerror or str(error)
        raise DamagedRun(f"run {folder.name}: {name} cannot be read: {reason}") from error
    if len(content) > largest:
        raise _unread(folder, name, f"it is larger than {largest} bytes")
    return content


def read_json(folder: Path, name: str) -> dict[str, Any]:
    """Return a JSON object from a file of a run.

    Raises:
        DamagedRun: it is missing, or is no JSON object such as a lab writes.
    """
    return parse(folder, name, read_plain(folder, name))


def parse(folder: Path, name: str, content: bytes) -> dict[str, Any]:
    """Return a JSON object of bounded depth whose texts hold no control characters.

    Raises:
        DamagedRun: it is anything else.
    """
    try:
        value = json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        why = "it is nested too deeply" if isinstance(error, RecursionError) else "it is no JSON"
        raise _unread(folder, name, why) from error
    if not isinstance(value, dict):
        raise _unread(folder, name, "it is no object")
    wrong = _strange(value)
    if wrong:
        raise _unread(folder, name, wrong)
    return value


def again(manifest: Mapping[str, Any]) -> str:
    """Return how to repeat a run: its command, if that can be nothing but a `chymist run`."""
    if manifest.get("format") == WATCHED:
        return "restore it from a copy"
    command = manifest.get("command")
    if not isinstance(command, str) or not is_run(command):
        return "restore it from a copy, or run the study again"
    return f"restore it from a copy, or run it again: {command}"


def is_run(command: str) -> bool:
    """Tell whether a line, given to a shell, calls `chymist run` and nothing else.

    >>> is_run("chymist run tiny.py --seeds 8"), is_run("chymist run a; rm -r ~")
    (True, False)
    """
    try:
        words = shlex.split(command)
    except ValueError:
        return False
    return words[:2] == ["chymist", "run"] and shlex.join(words) == command


def _unread(folder: Path, name: str, why: str) -> DamagedRun:
    return DamagedRun(
        f"run {folder.name}: {name} cannot be read: {why}",
        "restore it from a copy, or run the study again",
        file=name,
    )


def _strange(value: Any) -> str:
    """Name what no lab writes: nesting without end, characters that command a terminal."""
    level = [value]
    for _ in range(DEEPEST_JSON):
        below: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                below += item
                below += item.values()
            elif isinstance(item, list):
                below += item
            elif isinstance(item, str) and CONTROL.search(item):
                return "its text has control characters"
        if not below:
            return ""
        level = below
    return f"it is nested deeper than {DEEPEST_JSON} levels"


def is_plain_folder(path: str | os.PathLike[str]) -> bool:
    """Tell whether a path is a folder and no link to one."""
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except (OSError, ValueError):
        return False

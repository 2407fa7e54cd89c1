"""A watched training in a lab: what the doctor charted and found, sealed as a run's folder is.

The lab does not know what a finding means: it keeps the record that `Checkup.as_json` makes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from chymist import provenance
from chymist.errors import UsageError
from chymist.files import as_json, flush_folder, reached, refusals, write_text
from chymist.lab.lab import Lab, new_id
from chymist.lab.layout import CHECKUP, MANIFEST, WATCHED
from chymist.lab.record import check_checkup, check_watched
from chymist.lab.seal import (
    CONTROL,
    LARGEST_JSON,
    check_files,
    read_json,
    read_manifest,
    seal_manifest,
)

REPORT = "report.html"
Page = Callable[[Mapping[str, Any], Mapping[str, Any]], str]
"""Makes the report of a checkup's record and its manifest."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")


@dataclass(frozen=True)
class Watched:
    """A watched training. Opening one checks every file against its digest."""

    folder: Path
    manifest: dict[str, Any]

    @classmethod
    def open(cls, folder: Path) -> Watched:
        """Open a watched training's folder.

        Raises:
            UsageError: it is the run of a study.
            DamagedRun: a file is missing, altered, or from a newer version.
        """
        manifest = read_manifest(folder)
        if manifest["format"] != WATCHED:
            raise UsageError(
                f"run {folder.name} is of a study, no watched training",
                f"chymist show {folder.name}",
            )
        check_watched(folder, manifest)
        check_files(folder, manifest)
        return cls(folder, manifest)

    @property
    def id(self) -> str:
        """The run's 26 characters."""
        return self.folder.name

    @cached_property
    def checkup(self) -> dict[str, Any]:
        """The record of the checkup: `chymist.Checkup.from_json` makes one of it.

        Raises:
            DamagedRun: it is no such record.
        """
        record = read_json(self.folder, CHECKUP)
        check_checkup(self.folder, record)
        return record

    @property
    def report(self) -> Path:
        """Where the HTML report of this training is."""
        return self.folder / REPORT

    def __repr__(self) -> str:
        """One line: name, what it came to, folder."""
        return f"Watched({self.manifest['name']}: {self.manifest['verdict']}; {self.folder})"


def check_name(name: str) -> None:
    """Refuse what cannot name a training: do so before it starts.

    Raises:
        UsageError: the name is empty, long, or has other than letters, digits and ``_.-``.
    """
    if not _NAME.fullmatch(name) or name == "latest":
        raise UsageError(
            f"a training cannot be named {name!r}", "use letters, digits, dashes and dots"
        )


def seal(
    lab: Lab | str | Path | None,
    checkup: Mapping[str, Any],
    *,
    name: str = "training",
    started: datetime | None = None,
    seconds: float = 0.0,
    training: Mapping[str, Any] | None = None,
    page: Page | None = None,
) -> Watched:
    """Keep a checkup's record as a sealed run, and return it.

    The folder appears whole or not at all: it is written under another name, each file flushed,
    and then renamed. A record larger than what a lab reads keeps every second, fourth, ... reading
    of each quantity, the first and the last always; `every` in the manifest says which.

    Args:
        lab: A lab or its folder; else $CHYMIST_LAB, else ./chymist-lab.
        checkup: What `Checkup.as_json` returns.
        name: What the training is called.
        started: When it began, with its time zone; by default `seconds` ago.
        seconds: How long it took.
        training: Further facts for the manifest, as JSON values: steps, what measuring took, ...
        page: Makes the report; without it there is none, and `chymist report` makes it.

    Raises:
        UsageError: the name is impossible.
        CannotWrite: the lab is a file, is read-only, or the disk refuses.
    """
    check_name(name)
    home = lab if isinstance(lab, Lab) else Lab(lab)
    identity = new_id()
    target = home.runs_folder / identity
    aside = home.runs_folder / f".{identity}.tmp"
    record, every = fitting(cleaned(json.loads(as_json(checkup))))
    finished = datetime.now(UTC)
    begun = started or datetime.fromtimestamp(finished.timestamp() - seconds, UTC)
    manifest: dict[str, Any] = {
        "format": WATCHED,
        "kind": "watched",
        "id": identity,
        "name": name,
        "status": "sealed",
        "verdict": record["verdict"],
        "started": begun.isoformat(timespec="seconds"),
        "finished": finished.isoformat(timespec="seconds"),
        "seconds": round(seconds, 1),
        "training": cleaned(json.loads(as_json(dict(training or {})))),
        "every": every,
        "machine": provenance.machine(),
        "versions": provenance.versions(),
    }
    try:
        with refusals(home.folder):
            reached("folder")
            aside.mkdir(parents=True)
        digest = write_text(aside / CHECKUP, as_json(record))
        manifest["files"] = {CHECKUP: digest}
        if page is not None:
            write_text(aside / REPORT, page(record, manifest))
        with refusals(aside / MANIFEST):
            reached("seal")
        seal_manifest(aside, as_json(manifest))
        with refusals(target):
            reached("rename")
            aside.rename(target)
            flush_folder(home.runs_folder)
    except BaseException:
        home.discard(aside)
        raise
    return Watched.open(target)


def fitting(record: dict[str, Any], largest: int = LARGEST_JSON) -> tuple[dict[str, Any], int]:
    """Return a record that a lab reads, and which share of its readings are in it: every n-th."""
    every, readings = 1, record["chart"]["readings"]
    while len(as_json(record).encode()) > largest and any(len(s) > 2 for s in readings.values()):
        every *= 2
        readings = {name: [*some[:-1:2], *some[-1:]] for name, some in readings.items()}
        record = {**record, "chart": {**record["chart"], "readings": readings}}
    return record, every


def cleaned(value: Any) -> Any:
    """Return JSON values without the characters that could command a terminal."""
    if isinstance(value, dict):
        return {cleaned(name): cleaned(held) for name, held in value.items()}
    if isinstance(value, list):
        return [cleaned(held) for held in value]
    return CONTROL.sub("?", value) if isinstance(value, str) else value

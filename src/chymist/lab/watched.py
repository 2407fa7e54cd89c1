"""A watched training in a lab: what the doctor charted and found, sealed as a run's folder is.

The lab does not know what a finding means: it keeps the record that `Checkup.as_json` makes.
"""

from __future__ import annotations

import hashlib
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
    def finished(self) -> bool:
        """Whether the training has ended; if not it goes on, or was cut off."""
        return bool(self.manifest["status"] != "unfinished")

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
        DamagedRun: the record is none, and could not be read again.
        CannotWrite: the lab is a file, is read-only, or the disk refuses.
    """
    one = Keeping(lab, name, started, seconds)
    return one.seal(checkup, seconds=seconds, training=training, page=page)


class Keeping:
    """A watched training's folder, from its first record to its seal.

    While the training goes on the folder is that of a watched training whose manifest has the
    status "unfinished". Whatever is killed when, it can be read: the manifest, which comes first,
    names the digest of the new record and, as `before`, that of the one that stood there.
    """

    def __init__(
        self,
        lab: Lab | str | Path | None,
        name: str,
        started: datetime | None = None,
        seconds: float = 0.0,
    ) -> None:
        check_name(name)
        self.home = lab if isinstance(lab, Lab) else Lab(lab)
        self.name, self.id = name, new_id()
        self.started = started or datetime.fromtimestamp(
            datetime.now(UTC).timestamp() - seconds, UTC
        )
        self._digest = ""

    @property
    def folder(self) -> Path:
        """Where it is, once something was kept."""
        return self.home.runs_folder / self.id

    def write(self, checkup: Mapping[str, Any], **options: Any) -> None:
        """Keep how it stands; options: seconds, training.

        Raises:
            DamagedRun: the record is none, and could not be read again.
            CannotWrite: the lab is a file, is read-only, or the disk refuses.
        """
        record, manifest = self._made(checkup, "unfinished", **options)
        if not self._digest:
            self._begin(record, manifest, None)
            return
        self._replace(record, manifest)

    def seal(
        self, checkup: Mapping[str, Any], *, page: Page | None = None, **options: Any
    ) -> Watched:
        """Keep how it ended, with its report, and return it; options and errors as for `write`."""
        record, manifest = self._made(checkup, "sealed", **options)
        if not self._digest or not self.folder.is_dir():
            self._begin(record, manifest, page)
            return Watched.open(self.folder)
        self._replace(record, {**manifest, "status": "unfinished"})
        if page is not None:
            write_text(self.folder / REPORT, page(record, manifest))
        self._manifest(self.folder, manifest)
        return Watched.open(self.folder)

    def _made(
        self,
        checkup: Mapping[str, Any],
        status: str,
        *,
        seconds: float = 0.0,
        training: Mapping[str, Any] | None = None,
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        record, every = fitting(cleaned(json.loads(as_json(checkup))))
        check_checkup(self.folder, record)
        digest = hashlib.sha256(as_json(record).encode()).hexdigest()
        return record, {
            "format": WATCHED,
            "kind": "watched",
            "id": self.id,
            "name": self.name,
            "status": status,
            "verdict": record["verdict"],
            "started": self.started.isoformat(timespec="seconds"),
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            "seconds": round(seconds, 1),
            "training": cleaned(json.loads(as_json(dict(training or {})))),
            "every": every,
            "machine": provenance.machine(),
            "versions": provenance.versions(),
            "files": {CHECKUP: digest},
        }

    def _begin(self, record: dict[str, Any], manifest: dict[str, Any], page: Page | None) -> None:
        """Let the folder appear whole: written under another name, then renamed."""
        aside = self.home.runs_folder / f".{self.id}.tmp"
        try:
            with refusals(self.home.folder):
                reached("folder")
                aside.mkdir(parents=True)
            write_text(aside / CHECKUP, as_json(record))
            if page is not None:
                write_text(aside / REPORT, page(record, manifest))
            self._manifest(aside, manifest)
            with refusals(self.folder):
                reached("rename")
                aside.rename(self.folder)
                flush_folder(self.home.runs_folder)
        except BaseException:
            self.home.discard(aside)
            raise
        self._digest = manifest["files"][CHECKUP]

    def _replace(self, record: dict[str, Any], manifest: dict[str, Any]) -> None:
        self._manifest(self.folder, {**manifest, "before": self._digest})
        self._digest = write_text(self.folder / CHECKUP, as_json(record))

    def _manifest(self, folder: Path, manifest: dict[str, Any]) -> None:
        with refusals(folder / MANIFEST):
            reached("seal")
        seal_manifest(folder, as_json(manifest))


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

"""A lab folder: which runs there are, and which one a name means."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import time
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chymist.errors import DamagedRun, UnknownRun, did_you_mean
from chymist.files import reached, refusals
from chymist.lab.chunk import FOLDER
from chymist.lab.layout import MANIFEST, PLAN, default_lab, is_watched
from chymist.lab.run import Run, unfinished

if TYPE_CHECKING:
    from chymist.lab.index import Index
    from chymist.lab.listed import Listed
    from chymist.lab.watched import Watched

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_ID = re.compile(r"[0-9a-z]{26}")


class Lab:
    """A folder of runs: the given one, else $CHYMIST_LAB, else ./chymist-lab."""

    def __init__(self, folder: str | Path | None = None) -> None:
        self.folder = Path(folder or default_lab())

    @property
    def runs_folder(self) -> Path:
        """Where the runs are."""
        return self.folder / "runs"

    def create(self) -> Path:
        """Make the folder of a new run and return it.

        Raises:
            CannotWrite: the lab is a file, is read-only, or the disk refuses.
        """
        folder = self.runs_folder / new_id()
        with refusals(self.folder):
            reached("folder")
            (folder / FOLDER).mkdir(parents=True)
        return folder

    def discard(self, folder: Path) -> None:
        """Remove a run that came to nothing, and folders that were made for it alone."""
        shutil.rmtree(folder, ignore_errors=True)
        for empty in (self.runs_folder, self.folder):
            try:
                empty.rmdir()
            except OSError:
                return

    @cached_property
    def index(self) -> Index:
        """The cache behind listings."""
        from chymist.lab.index import Index

        return Index(self.folder)

    def listing(self, **options: Any) -> list[Listed]:
        """Return a line a run, newest first; opens no data file.

        Options: `study`, `verdict` and `kind` ("study" or "watched") to keep those alone, `sort`
        (a column of `chymist.lab.listed.COLUMNS`), `reverse`, `limit`, `offset` and `within`.
        """
        return self.index.listing(**options)

    def manifests(self) -> list[dict[str, Any]]:
        """Return the manifests of all runs, newest first; opens no data file.

        An unfinished run has status "unfinished" and says how many chunks are sealed. Takes some
        50 kB of memory a run; `listing` takes less than one.
        """
        found = self.index.manifests()
        for line in self.listing(verdict="unfinished"):
            try:
                found.append(unfinished(self.runs_folder / line.id))
            except DamagedRun:
                found.append({"id": line.id, "status": "damaged"})
        return sorted(found, key=lambda manifest: str(manifest["id"]), reverse=True)

    def open(self, name: str = "latest") -> Run:
        """Return a run by id, by a unique beginning or end of its id, by study slug, or "latest".

        Raises:
            UnknownRun: no run, or more than one id, fits.
            UsageError: it is a watched training.
            DamagedRun: a file of the run is missing or altered.
        """
        return Run.open(self.find(name, kind="study"))

    def watched(self, name: str = "latest") -> Watched:
        """Return a watched training by id, a unique part of it, its name, or "latest".

        Raises:
            UnknownRun: no run, or more than one id, fits.
            UsageError: it is the run of a study.
            DamagedRun: a file of the run is missing or altered.
        """
        from chymist.lab.watched import Watched

        return Watched.open(self.find(name, kind="watched"))

    def resume(self, name: str = "latest", **options: Any) -> Run:
        """Finish an unfinished run, named as for `open`; "latest" is the newest unfinished one.

        A run that is sealed already is returned as it is. Options: jobs, executor,
        ray_address, observe.

        Raises:
            UnknownRun: no run, or more than one id, fits.
            ChymistError: see `chymist.lab.runner.resume`.
        """
        from chymist.lab import runner

        unfinished = [f for f in self.folders() if not (f / MANIFEST).exists()]
        if name == "latest" and not unfinished:
            raise UnknownRun(f"no unfinished run in {self.folder}", "chymist runs lists all")
        try:
            folder = self.find(name, unfinished)
        except UnknownRun:
            folder = self.find(name)
        return runner.resume(folder, **options)

    def find(
        self, name: str = "latest", among: list[Path] | None = None, kind: str | None = None
    ) -> Path:
        """Return the folder of a run, sealed or not, by what `open` takes; opens no file of it.

        `kind`, "study" or "watched", is what "latest" or a name may mean; an id means its run.

        Raises:
            UnknownRun: no run, or more than one id, fits.
        """
        folders = self.folders() if among is None else among
        told = [f for f in folders if (f / MANIFEST).exists() or (f / PLAN).exists()]
        if name == "latest" and kind is not None:
            told = [f for f in told if is_watched(f) == (kind == "watched")]
        if not folders or (name == "latest" and not told):
            makes = "chymist.watch(..., lab=...)" if kind == "watched" else "chymist run SLUG"
            which = "watched trainings" if kind == "watched" else "runs"
            raise UnknownRun(f"no {which} in {self.folder}", f"{makes} makes one")
        if name == "latest":
            return told[0]
        fitting = [f for f in folders if f.name.startswith(name) or f.name.endswith(name)]
        if len(fitting) == 1:
            return fitting[0]
        if len(fitting) > 1 and len(name) > 0:
            raise UnknownRun(f"{len(fitting)} runs fit {name}", "give more of the id")
        known = {f.name: f for f in told}
        for line in self.listing(study=name, kind=kind) if name else ():
            if line.id in known:
                return known[line.id]
        words = ["latest", *self.index.studies(), *(f.name for f in folders)]
        raise UnknownRun(f"no run {name} in {self.folder}", did_you_mean(name, words))

    def folders(self) -> list[Path]:
        """Return the folders of all runs, sealed or not, newest first; links are no runs."""
        if not self.runs_folder.is_dir():
            return []
        with os.scandir(self.runs_folder) as entries:
            names = [
                e.name for e in entries if _ID.fullmatch(e.name) and e.is_dir(follow_symlinks=False)
            ]
        return [self.runs_folder / name for name in sorted(names, reverse=True)]


def new_id() -> str:
    """Return 26 characters: the time in milliseconds, then chance; ids sort by time of birth."""
    number = (int(time.time() * 1000) << 80) | secrets.randbits(80)
    return "".join(_ALPHABET[(number >> shift) & 31] for shift in range(125, -1, -5))

"""A lab folder: which runs there are, and which one a name means."""

from __future__ import annotations

import json
import re
import secrets
import shutil
import time
from pathlib import Path
from typing import Any

from chymist.errors import DamagedRun, UnknownRun, did_you_mean
from chymist.files import reached, refusals
from chymist.lab.chunk import FOLDER
from chymist.lab.layout import MANIFEST, PLAN, default_lab
from chymist.lab.run import Run, unfinished

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

    def manifests(self) -> list[dict[str, Any]]:
        """Return the manifests of all runs, newest first; opens no data file.

        An unfinished run has status "unfinished" and says how many chunks are sealed.
        """
        return [_manifest(folder) for folder in self._folders()]

    def open(self, name: str = "latest") -> Run:
        """Return a run by id, by a unique beginning or end of its id, by study slug, or "latest".

        Raises:
            UnknownRun: no run, or more than one id, fits.
            DamagedRun: a file of the run is missing or altered.
        """
        return Run.open(self._find(name, self._folders()))

    def resume(self, name: str = "latest", **options: Any) -> Run:
        """Finish an unfinished run, named as for `open`; "latest" is the newest unfinished one.

        A run that is sealed already is returned as it is. Options: jobs, observe.

        Raises:
            UnknownRun: no run, or more than one id, fits.
            ChymistError: see `chymist.lab.runner.resume`.
        """
        from chymist.lab import runner

        folders = self._folders()
        unfinished = [f for f in folders if not (f / MANIFEST).exists()]
        if name == "latest" and not unfinished:
            raise UnknownRun(f"no unfinished run in {self.folder}", "chymist runs lists all")
        try:
            folder = self._find(name, unfinished)
        except UnknownRun:
            folder = self._find(name, folders)
        return runner.resume(folder, **options)

    def _find(self, name: str, folders: list[Path]) -> Path:
        if not folders:
            raise UnknownRun(f"no runs in {self.folder}", "chymist run SLUG makes one")
        if name == "latest":
            return folders[0]
        fitting = [f for f in folders if f.name.startswith(name) or f.name.endswith(name)]
        if len(fitting) == 1:
            return fitting[0]
        if len(fitting) > 1 and len(name) > 0:
            raise UnknownRun(f"{len(fitting)} runs fit {name}", "give more of the id")
        slugs: dict[str, Path] = {}
        for folder in folders:
            slug = _manifest(folder).get("study", {}).get("slug", "")
            slugs.setdefault(slug, folder)
        if name in slugs:
            return slugs[name]
        known = ["latest", *(s for s in slugs if s), *(f.name for f in folders)]
        raise UnknownRun(f"no run {name} in {self.folder}", did_you_mean(name, known))

    def _folders(self) -> list[Path]:
        if not self.runs_folder.is_dir():
            return []
        folders = (f for f in self.runs_folder.iterdir() if _ID.fullmatch(f.name) and f.is_dir())
        runs = (f for f in folders if (f / MANIFEST).is_file() or (f / PLAN).is_file())
        return sorted(runs, reverse=True)


def _manifest(folder: Path) -> dict[str, Any]:
    """Return what a list shows of a run; of one that cannot be read, that it is damaged."""
    try:
        if not (folder / MANIFEST).exists():
            return unfinished(folder)
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        if manifest["id"] == folder.name and "study" in manifest:
            return manifest
    except (OSError, ValueError, KeyError, TypeError, DamagedRun):
        pass
    return {"id": folder.name, "status": "damaged"}


def new_id() -> str:
    """Return 26 characters: the time in milliseconds, then chance; ids sort by time of birth."""
    number = (int(time.time() * 1000) << 80) | secrets.randbits(80)
    return "".join(_ALPHABET[(number >> shift) & 31] for shift in range(125, -1, -5))

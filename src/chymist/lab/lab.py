"""A lab folder: which runs there are, and which one a name means."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import time
from pathlib import Path
from typing import Any

from chymist.errors import UnknownRun, did_you_mean
from chymist.files import refusals
from chymist.lab.run import MANIFEST, Run

DEFAULT = "chymist-lab"
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_ID = re.compile(r"[0-9a-z]{26}")


class Lab:
    """A folder of runs: the given one, else $CHYMIST_LAB, else ./chymist-lab."""

    def __init__(self, folder: str | Path | None = None) -> None:
        self.folder = Path(folder or os.environ.get("CHYMIST_LAB") or DEFAULT)

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
            (folder / "chunks").mkdir(parents=True)
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
        """Return the manifests of all sealed runs, newest first; opens no data file."""
        found = []
        for folder in self._folders():
            try:
                manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
                readable = manifest["id"] == folder.name and "study" in manifest
            except (OSError, ValueError, KeyError, TypeError):
                readable = False
            found.append(manifest if readable else {"id": folder.name, "status": "damaged"})
        return found

    def open(self, name: str = "latest") -> Run:
        """Return a run by id, by a unique beginning or end of its id, by study slug, or "latest".

        Raises:
            UnknownRun: no run, or more than one id, fits.
            DamagedRun: a file of the run is missing or altered.
        """
        folders = self._folders()
        if not folders:
            raise UnknownRun(f"no runs in {self.folder}", "chymist run SLUG makes one")
        if name == "latest":
            return Run.open(folders[0])
        fitting = [f for f in folders if f.name.startswith(name) or f.name.endswith(name)]
        if len(fitting) == 1:
            return Run.open(fitting[0])
        if len(fitting) > 1 and len(name) > 0:
            raise UnknownRun(f"{len(fitting)} runs fit {name}", "give more of the id")
        slugs = {}
        for manifest in reversed(self.manifests()):
            slugs[manifest.get("study", {}).get("slug", "")] = manifest["id"]
        if name in slugs:
            return Run.open(self.runs_folder / slugs[name])
        known = ["latest", *(s for s in slugs if s), *(f.name for f in folders)]
        raise UnknownRun(f"no run {name} in {self.folder}", did_you_mean(name, known))

    def _folders(self) -> list[Path]:
        if not self.runs_folder.is_dir():
            return []
        folders = (f for f in self.runs_folder.iterdir() if _ID.fullmatch(f.name) and f.is_dir())
        return sorted((f for f in folders if (f / MANIFEST).is_file()), reverse=True)


def new_id() -> str:
    """Return 26 characters: the time in milliseconds, then chance; ids sort by time of birth."""
    number = (int(time.time() * 1000) << 80) | secrets.randbits(80)
    return "".join(_ALPHABET[(number >> shift) & 31] for shift in range(125, -1, -5))

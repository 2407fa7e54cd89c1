"""What pages show of the lab and of the evidence: read-only, and safe from several threads."""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from chymist.errors import DamagedRun, UnknownRun, UsageError
from chymist.lab import Lab, Run
from chymist.lab.index import Index
from chymist.lab.layout import LOG, MANIFEST, PLAN, is_watched
from chymist.lab.listed import ID, Listed
from chymist.lab.seal import check_file, is_plain_folder, read_json, read_manifest, read_plain
from chymist.languages import current
from chymist.report import evidence
from chymist.study import Study

FRESH = 1.0
"""Seconds for which what was found in the lab's folder is not looked for again."""
STALE = 3.0
"""Seconds up to which it is shown while somebody looks again; older, a page waits for it."""
T = TypeVar("T")
LINES = 300
"""Of a log, the last ones."""


class Reading:
    """A lab, and the folder of the evidence."""

    def __init__(self, lab: Lab, folder: Path) -> None:
        self.lab, self.folder = lab, folder
        self._lock = threading.Lock()
        self._looked = -math.inf
        self._looking = False
        self._evidence: dict[str, tuple[int, dict[str, Any]]] = {}
        self._found: dict[tuple[str, str, str], tuple[Mapping[str, Any], dict[str, Any]]] = {}

    def place(self, run: str) -> Path:
        """Return the folder of a run by its whole id; what is no id touches no file.

        Raises:
            UnknownRun: there is no such run.
        """
        if ID.fullmatch(run):
            folder = self.lab.runs_folder / run
            if is_plain_folder(folder) and any((folder / n).exists() for n in (MANIFEST, PLAN)):
                return folder
        raise UnknownRun("there is no such run", "the lab lists those that there are")

    def open(self, run: str) -> Run:
        """Open a run by its whole id.

        Raises:
            UnknownRun: there is no such run.
            DamagedRun: a file of it is missing or altered.
        """
        return Run.open(self.place(run))

    def figure(self, run: str, name: str) -> dict[str, Any] | None:
        """Return the specification of a finished run's figure, if it has such a one.

        Raises:
            UnknownRun: there is no such run.
            DamagedRun: the file is missing or altered.
        """
        folder = self.place(run)
        if is_watched(folder) or not (folder / MANIFEST).exists():
            return None
        files = read_manifest(folder)["files"]
        place = f"figures/{name}.json"
        if place not in files:
            return None
        check_file(folder, place, files[place])
        return read_json(folder, place)

    def listing(self, **options: Any) -> list[Listed]:
        """Return runs as `Lab.listing` does."""
        return self._ask(lambda index, within: index.listing(within=within, **options))

    def count(self, **options: Any) -> int:
        """Return how many runs there are."""
        return self._ask(lambda index, within: index.count(within=within, **options))

    def newest(self) -> dict[str, Listed]:
        """Return the newest finished run of each study."""
        return self._ask(lambda index, within: index.newest(within))

    def look_again(self) -> None:
        """Let the next page wait for what has changed in the lab: this server changed it."""
        self._looked = -math.inf

    def _ask(self, question: Callable[[Index, float], T]) -> T:
        """Ask the index, which knows the folder as it was at most `STALE` seconds ago.

        To look at ten thousand folders takes some hundredths of a second. While many read, that is
        done beside them, and none waits for it.
        """
        with self._lock:
            begun = time.monotonic()
            age = begun - self._looked
            if age > STALE:
                answer = question(self.lab.index, 0.0)
                self._looked = begun
                return answer
            if age > FRESH and not self._looking:
                self._looking = True
                threading.Thread(target=self._look, daemon=True).start()
            return question(self.lab.index, math.inf)

    def _look(self) -> None:
        """Bring the index up to date, by a connection of its own."""
        begun, before = time.monotonic(), self._looked
        try:
            Index(self.lab.folder).count()
            with self._lock:
                # Unless it is to be looked at again by now.
                if self._looked == before:
                    self._looked = begun
        finally:
            self._looking = False

    def presets(self, slug: str) -> Mapping[str, Mapping[str, Any]]:
        """Return the evidence of a study by preset; none if there is none that can be read."""
        path = self.folder / f"{slug}.json"
        try:
            stamp = path.stat().st_mtime_ns
            known = self._evidence.get(slug)
            if known is None or known[0] != stamp:
                known = self._evidence[slug] = (stamp, evidence.read(path)["presets"])
            return known[1]
        except (OSError, UsageError):
            return {}

    def found(
        self,
        study: Study,
        preset: str,
        gather: Callable[[Study, str, Mapping[str, Any]], dict[str, Any]],
    ) -> dict[str, Any] | None:
        """Return what `gather` makes of the evidence of a preset, made once in each language."""
        record = self.presets(study.slug).get(preset)
        if record is None:
            return None
        key = (study.slug, preset, current())
        known = self._found.get(key)
        if known is None or known[0] is not record:
            known = self._found[key] = (record, gather(study, preset, record))
        return known[1]

    def picture(self, slug: str, preset: str, figure: str) -> Path | None:
        """Return a figure of the evidence, if the evidence lists it."""
        if figure not in self.presets(slug).get(preset, {}).get("figures", {}):
            return None
        path = self.folder / slug / preset / f"{figure}.svg"
        return path if path.is_file() else None

    def spec(self, slug: str, preset: str, figure: str) -> dict[str, Any] | None:
        """Return the specification of a figure of the evidence, if the evidence has it."""
        if figure not in self.presets(slug).get(preset, {}).get("specs", {}):
            return None
        try:
            path = self.folder / slug / preset / f"{figure}.json"
            return dict(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError):
            return None


def log_of(folder: Path) -> list[dict[str, Any]]:
    """Return the last lines of a run's log; a line that is torn or foreign is left out."""
    try:
        lines = read_plain(folder, LOG).decode("utf-8", errors="replace").splitlines()
    except DamagedRun:
        return []
    found = []
    for line in lines[-LINES:]:
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(record, dict):
            known = {n: str(record.get(n, "")) for n in ("time", "event", "chunk")}
            seconds = record.get("seconds")
            found.append({**known, "seconds": seconds if isinstance(seconds, float) else None})
    return found


def early_figures(run: Run) -> dict[str, dict[str, Any]]:
    """Return the figures of those experiments of an unfinished run that are judged already."""
    specs = {}
    for experiment in run.manifest["study"]["experiments"]:
        if experiment["name"] in run.outcome["experiments"]:
            for figure in experiment["figures"]:
                try:
                    specs[figure["name"]] = read_json(run.folder, f"figures/{figure['name']}.json")
                except DamagedRun:
                    continue
    return specs

"""A run's page: finished, its report; unfinished, how far it is and what is known early."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from chymist.doctor.checkup import Checkup
from chymist.errors import DamagedRun
from chymist.lab import Run
from chymist.lab.layout import MANIFEST, command, is_watched
from chymist.lab.watched import Watched
from chymist.languages import current
from chymist.report import checkup_page, page, view
from chymist.web.downloads import offered, snippet
from chymist.web.pages import Served, render
from chymist.web.reading import Reading, early_figures, log_of

KEPT = 32
"""Reports of finished runs that are kept drawn: a finished run does not change."""

Drawn = tuple[str, dict[str, Any]]
"""A template, and what it shows of a run."""


class RunPages:
    """The pages of runs. Drawing the figures of a report takes seconds, so drawn ones are kept."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self._kept: OrderedDict[tuple[str, str], tuple[tuple[int, int], Drawn]] = OrderedDict()
        self._locks: dict[tuple[str, str], threading.Lock] = {}
        self._lock = threading.Lock()

    def sealed(self, run: str, to: Served) -> str | None:
        """Return the page of a finished run; None for an unfinished one.

        Raises:
            UnknownRun: there is no such run.
            DamagedRun: a file of it is missing or altered, or a figure cannot be drawn.
        """
        manifest = self.reading.place(run) / MANIFEST
        if not manifest.exists():
            return None
        about = manifest.lstat()
        stamp, key = (about.st_mtime_ns, about.st_size), (run, current())
        with self._lock:
            lock = self._locks.setdefault(key, threading.Lock())
        with lock:
            known = self._kept.get(key)
            if known is None or known[0] != stamp:
                known = stamp, self._drawn(run)
            with self._lock:
                self._kept[key] = known
                self._kept.move_to_end(key)
                while len(self._kept) > KEPT:
                    gone, _ = self._kept.popitem(last=False)
                    self._locks.pop(gone, None)
        template, context = known[1]
        return render(template, to, **context)

    def _drawn(self, run: str) -> Drawn:
        folder = self.reading.place(run)
        if is_watched(folder):
            return _watched(Watched.open(folder))
        return _sealed(self.reading.open(run))

    def unfinished(self, run: str, live: Mapping[str, Any] | None, to: Served) -> str:
        """Return the page of an unfinished run; `live` says how it stands if the server has it."""
        found = self.reading.open(run)
        return render(
            "unfinished.html.j2",
            to,
            run=found.manifest,
            study=found.manifest["study"],
            parameters=view.parameters(found.manifest),
            live=live,
            sealed=found.progress[0],
            chunks=found.progress[1],
            again=command("resume", found.folder),
            log=log_of(found.folder),
            **_early(found),
        )

    def early(self, run: str, to: Served) -> str:
        """Return what is known early of an unfinished run, as a part of its page."""
        return render("early.html.j2", to, **_early(self.reading.open(run)))


def _early(run: Run) -> dict[str, Any]:
    if run.sealed:
        return {"experiments": []}
    try:
        drawn = view.experiments(run.manifest, run.outcome, early_figures(run))
    except ValueError:
        # A figure that is being written anew: the verdicts are there without it.
        drawn = view.experiments(run.manifest, run.outcome, {})
    return {"experiments": [experiment for experiment in drawn if experiment.ran]}


def _watched(found: Watched) -> Drawn:
    record = Checkup.from_json(found.checkup).as_json()
    context = checkup_page.context(record, found.manifest)
    more = {"offered": offered(found), "snippet": snippet(found), "style": ""}
    return "watched.html.j2", {**context, **more}


def _sealed(run: Run) -> Drawn:
    try:
        context = page.context(run.manifest, run.outcome, run.specs)
    except ValueError as error:
        raise DamagedRun(f"run {run.id}: a figure cannot be drawn: {error}") from error
    more = {
        "log": log_of(run.folder),
        "offered": offered(run),
        "snippet": snippet(run),
        "style": "",
    }
    return "run.html.j2", {**context, **more}

"""The studies that a server shows: the installed ones, and files that its user named."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

from chymist import catalogue
from chymist.catalogue import Entry
from chymist.errors import UnknownStudy, UsageError, did_you_mean
from chymist.study import Study


class Shelf:
    """Studies by slug. What is asked for from outside is a slug, and never a file."""

    def __init__(self, files: Sequence[str] = ()) -> None:
        """Read the user's own files, which runs them.

        Raises:
            UnknownStudy, BadStudy: a file cannot be used.
            UsageError: two studies have the same slug.
        """
        self._entries = {entry.slug: entry for entry in catalogue.entries()}
        self._studies: dict[str, Study] = {}
        self._files: dict[str, str] = {}
        self._lock = threading.Lock()
        for file in files:
            study = catalogue.load_file(Path(file))
            if study.slug in self._entries:
                raise UsageError(f"{file}: there is a study {study.slug} already", "rename it")
            self._entries[study.slug] = catalogue.entry(study, study.params.__module__)
            self._studies[study.slug], self._files[study.slug] = study, file

    def entries(self) -> list[Entry]:
        """Return all studies, by slug; imports none."""
        return [self._entries[slug] for slug in sorted(self._entries)]

    def entry(self, slug: str) -> Entry | None:
        """Return a study's line, if there is such a study."""
        return self._entries.get(slug)

    def study(self, slug: str) -> Study:
        """Return a study, imported when it is first asked for.

        Raises:
            UnknownStudy: nothing has this slug.
            BadStudy: a plug-in cannot be used.
        """
        with self._lock:
            if slug not in self._studies:
                if slug not in self._entries:
                    hint = did_you_mean(slug, self._entries)
                    raise UnknownStudy(f"unknown study {slug}", hint)
                self._studies[slug] = catalogue.find(slug)
            return self._studies[slug]

    def name(self, slug: str) -> str:
        """Return how a runner is told which study is meant: its slug, or its file."""
        return self._files.get(slug, slug)

"""The checkup of a watched training in the lab, kept as the training goes."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from pathlib import Path

from chymist.doctor.checkup import Checkup
from chymist.doctor.examination import reason
from chymist.doctor.schedule import Schedule
from chymist.lab import Lab
from chymist.lab.watched import Keeping, Watched

APART = 5.0
"""Seconds between two records, at least."""
SHARE = 0.2
"""Of the budget, that writing records may take: their distance follows from what one took."""


class Diary:
    """Writes what is known of a training now and then, so that one that is killed leaves it.

    A lab that refuses is told of once, in one line, and not tried again before the end.
    """

    def __init__(self, lab: Lab | str | Path | None, name: str, schedule: Schedule) -> None:
        self._keeping = Keeping(lab, name)
        self._schedule, self._due = schedule, APART
        self._refused = False

    def write(self, checkup: Callable[[], Checkup]) -> None:
        """Write a record, if one is due; what it takes is for the caller to count."""
        began = self._schedule.elapsed
        if self._refused or began < self._due:
            return
        try:
            known = checkup()
            told = known.chart.facts["watch"]
            self._keeping.write(known.as_json(), seconds=told["elapsed"], training=told)
        except Exception as error:
            self._tell(error)
        now = self._schedule.elapsed
        self._due = now + max(APART, (now - began) / (SHARE * self._schedule.budget))

    def close(self, checkup: Callable[[], Checkup]) -> Watched | None:
        """Seal the last record, with its report; None if the lab refuses."""
        from chymist.report import checkup as shown

        try:
            known = checkup()
            told = known.chart.facts["watch"]
            return self._keeping.seal(
                known.as_json(), seconds=told["elapsed"], training=told, page=shown.page
            )
        except Exception as error:
            self._tell(error)
        return None

    def _tell(self, error: Exception) -> None:
        if self._refused:
            return
        self._refused = True
        try:
            warnings.warn(f"the checkup was not kept: {reason(error)}", stacklevel=4)
        except Warning as made:
            # Warnings that are errors end no training.
            print(f"{type(made).__name__}: {made}", file=sys.stderr)

"""`chymist report`."""

from __future__ import annotations

from pathlib import Path

from chymist.lab import Lab, Run
from chymist.lab.layout import is_watched
from chymist.lab.watched import Watched


def report_(run: str = "latest", /, *, lab: Path | None = None, output: Path | None = None) -> None:
    """Write the report of a run or a watched training as one HTML file and print where it is.

    Parameters
    ----------
    run
        A run's id, a unique part of it, a study's slug (its newest run), or latest.
    lab
        Folder of runs; else $CHYMIST_LAB, else ./chymist-lab.
    output
        Where to write; by default report.html in the run's folder.
    """
    from chymist.api import write_report

    folder = Lab(lab).find(run)
    found = Watched.open(folder) if is_watched(folder) else Run.open(folder)
    print(write_report(found, output))

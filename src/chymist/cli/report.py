"""`chymist report`."""

from __future__ import annotations

from pathlib import Path

from chymist.lab import Lab


def report_(run: str = "latest", /, *, lab: Path | None = None, output: Path | None = None) -> None:
    """Write a run's report as one HTML file and print where it is.

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

    print(write_report(Lab(lab).open(run), output))

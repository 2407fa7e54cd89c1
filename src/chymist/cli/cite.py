"""`chymist cite`."""

from __future__ import annotations

from pathlib import Path

from chymist import catalogue
from chymist.bibliography import Reference
from chymist.lab import Lab


def cite_(name: str, /, *, lab: Path | None = None) -> None:
    """Print BibTeX for a study's literature, or for a run and its literature.

    Parameters
    ----------
    name
        A study's slug or file, or a run's id or a unique part of it.
    lab
        Folder of runs; else $CHYMIST_LAB, else ./chymist-lab.
    """
    if name.endswith(".py") or name in {entry.slug for entry in catalogue.entries()}:
        cited = list(catalogue.find(name).references)
    else:
        from chymist import report

        manifest = Lab(lab).open(name).require_sealed().manifest
        print(report.bibtex(manifest))
        cited = [Reference.from_json(r) for r in manifest["study"]["references"]]
    for reference in cited:
        print(reference.bibtex())

"""What can be downloaded of a finished run, each thing under its fixed name."""

from __future__ import annotations

import json
import shutil
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from chymist import report
from chymist.bibliography import Reference
from chymist.errors import UnknownRun
from chymist.lab import Run
from chymist.lab.layout import LOG, MANIFEST, VERDICTS
from chymist.lab.seal import read_plain

Writer = Callable[[Run, Path], None]


def _report(run: Run, to: Path) -> None:
    to.write_text(report.render_report(run.manifest, run.outcome, run.specs), encoding="utf-8")


def _plain(name: str) -> Writer:
    return lambda run, to: _bytes(to, read_plain(run.folder, name))


def _bytes(to: Path, content: bytes) -> None:
    to.write_bytes(content)


def _bibliography(run: Run, to: Path) -> None:
    references = [Reference.from_json(r) for r in run.manifest["study"]["references"]]
    entries = [report.bibtex(run.manifest), *(r.bibtex() for r in references)]
    to.write_text("\n".join(entries) + "\n", encoding="utf-8")


def _whole(run: Run, to: Path) -> None:
    """Write the run's folder as an archive: what its manifest names, and the manifest."""
    with zipfile.ZipFile(to, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name in [*run.manifest["files"], MANIFEST]:
            with (run.folder / name).open("rb") as source:
                entry = zipfile.ZipInfo(f"{run.id}/{name}")
                entry.compress_type = zipfile.ZIP_DEFLATED
                with archive.open(entry, "w", force_zip64=True) as target:
                    shutil.copyfileobj(source, target)


def _figures(run: Run, to: Path) -> None:
    with zipfile.ZipFile(to, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, spec in run.specs.items():
            archive.writestr(f"{name}.svg", run.drawing(name, "svg"))
            archive.writestr(f"{name}.vl.json", json.dumps(spec))


def _notebook(run: Run, to: Path) -> None:
    cells = [
        f"from chymist import Lab\n\nrun = Lab({str(run.folder.parent.parent.resolve())!r})"
        f".open({run.id!r})\nrun",
        "run.verdicts",
        "run.data",
    ]
    record = {
        "cells": [
            {
                "cell_type": "code",
                "execution_count": None,
                "metadata": {},
                "outputs": [],
                "source": source,
            }
            for source in cells
        ],
        "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3"}},
        "nbformat": 4,
        "nbformat_minor": 4,
    }
    to.write_text(json.dumps(record, indent=1), encoding="utf-8")


FILES: dict[str, tuple[str, str, Writer]] = {
    "report.html": ("the report, one file", "text/html", _report),
    "run.zip": ("the whole run: data, verdicts, figures, digests", "application/zip", _whole),
    "figures.zip": ("the figures as SVG and Vega-Lite", "application/zip", _figures),
    "notebook.ipynb": ("a notebook that opens the run", "application/x-ipynb+json", _notebook),
    "cite.bib": ("BibTeX of the run and its literature", "text/plain", _bibliography),
    "verdicts.json": ("claims and controls, judged", "application/json", _plain(VERDICTS)),
    "run.json": ("the manifest", "application/json", _plain(MANIFEST)),
    "log.jsonl": ("what happened when", "text/plain", _plain(LOG)),
}
"""Name: what it is, its type, and what writes it."""


def offered() -> dict[str, str]:
    """Return what can be downloaded: names, and what each is."""
    return {name: says for name, (says, _, _) in FILES.items()}


def made(run: Run, name: str) -> tuple[Path, str]:
    """Write a download into a folder of its own; return its path and type. Remove the folder.

    Raises:
        UnknownRun: there is no such download.
        UnfinishedRun: the run is not sealed.
    """
    if name not in FILES:
        raise UnknownRun("a run has no such file", f"known: {', '.join(FILES)}")
    run.require_sealed()
    _, kind, write = FILES[name]
    folder = Path(tempfile.mkdtemp(prefix="chymist-"))
    try:
        write(run, folder / name)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return folder / name, kind

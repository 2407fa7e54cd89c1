"""What can be downloaded of a finished run or a watched training, each under its fixed name."""

from __future__ import annotations

import json
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from chymist import report
from chymist.bibliography import Reference
from chymist.errors import UnknownRun
from chymist.lab import Run
from chymist.lab.layout import CHECKUP, LOG, MANIFEST, VERDICTS
from chymist.lab.seal import read_plain
from chymist.lab.watched import Watched
from chymist.report import checkup

Found = Run | Watched
Writer = Callable[[Any, Path], None]


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


def _whole(run: Found, to: Path) -> None:
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


def snippet(run: Found) -> str:
    """Return the lines of Python that open a run, wherever they are run on this machine."""
    home = f"Lab({str(run.folder.parent.parent.resolve())!r})"
    if isinstance(run, Watched):
        return (
            "from chymist import Checkup, Lab\n\n"
            f"checkup = Checkup.from_json({home}.watched({run.id!r}).checkup)"
        )
    return f"from chymist import Lab\n\nrun = {home}.open({run.id!r})"


def _notebook(run: Found, to: Path) -> None:
    if isinstance(run, Watched):
        title, verdict = str(run.manifest["name"]), str(run.manifest["verdict"])
        cells = ["print(checkup)", "checkup.findings", "checkup.chart.readings"]
    else:
        title, verdict = str(run.manifest["study"]["title"]), str(run.manifest["verdict"])
        cells = ["run", "run.verdicts", "run.data"]
    about = f"# {title}\n\nRun `{run.id}`: {verdict}. It is opened from the lab it lies in."
    record = {
        "cells": [
            {"cell_type": "markdown", "metadata": {}, "source": about},
            *(
                {
                    "cell_type": "code",
                    "execution_count": None,
                    "metadata": {},
                    "outputs": [],
                    "source": source,
                }
                for source in (snippet(run), *cells)
            ),
        ],
        "metadata": {
            "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}
        },
        "nbformat": 4,
        "nbformat_minor": 4,
    }
    to.write_text(json.dumps(record, indent=1), encoding="utf-8")


def _checkup_report(found: Watched, to: Path) -> None:
    to.write_text(checkup.page(found.checkup, found.manifest), encoding="utf-8")


def _chart(found: Watched, to: Path) -> None:
    to.write_text(json.dumps(found.checkup["chart"]), encoding="utf-8")


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
"""Of a study's run. Name: what it is, its type, and what writes it."""

WATCHED: dict[str, tuple[str, str, Writer]] = {
    "report.html": ("the report, one file", "text/html", _checkup_report),
    "run.zip": ("the whole record: readings, findings, digests", "application/zip", _whole),
    "chart.json": ("every reading, by quantity and step", "application/json", _chart),
    "checkup.json": ("findings and readings", "application/json", _plain(CHECKUP)),
    "notebook.ipynb": ("a notebook that opens it", "application/x-ipynb+json", _notebook),
    "run.json": ("the manifest", "application/json", _plain(MANIFEST)),
}
"""Of a watched training."""
NAMES = frozenset(FILES) | frozenset(WATCHED)


def _files(run: Found) -> Mapping[str, tuple[str, str, Writer]]:
    return WATCHED if isinstance(run, Watched) else FILES


def offered(run: Found) -> dict[str, str]:
    """Return what can be downloaded: names, and what each is."""
    return {name: says for name, (says, _, _) in _files(run).items()}


def made(run: Found, name: str) -> tuple[Path, str]:
    """Write a download into a folder of its own; return its path and type. Remove the folder.

    Raises:
        UnknownRun: there is no such download.
        UnfinishedRun: the run is not sealed.
    """
    files = _files(run)
    if name not in files:
        raise UnknownRun("this run has no such file", f"known: {', '.join(files)}")
    if isinstance(run, Run):
        run.require_sealed()
    _, kind, write = files[name]
    folder = Path(tempfile.mkdtemp(prefix="chymist-"))
    try:
        write(run, folder / name)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return folder / name, kind

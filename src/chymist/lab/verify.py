"""Verifying a run: every file against its digest, whatever state the run is in."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from chymist.errors import DamagedRun, NewerRun
from chymist.lab.layout import MANIFEST, PLAN, VERDICTS
from chymist.lab.plan import read_plan
from chymist.lab.seal import again, before, check_file, read_json, read_manifest

REPORT = "report.html"
DAMAGED, NEWER, UNSEALED, LEFT_OVER, UNLISTED = (
    "damaged",
    "newer format",
    "unsealed",
    "left-over",
    "unlisted",
)
HARM = (DAMAGED, NEWER)


@dataclass(frozen=True)
class Finding:
    """What is wrong with, or worth saying of, one file of a run; digests are SHA-256."""

    run: str
    file: str
    kind: str
    says: str
    remedy: str = ""
    expected: str = ""
    found: str = ""


@dataclass(frozen=True)
class Examination:
    """One run's files compared with their digests."""

    run: str
    state: str
    files: int
    findings: tuple[Finding, ...]

    @property
    def sound(self) -> bool:
        """Whether every file that has a digest agrees with it."""
        return not any(finding.kind in HARM for finding in self.findings)


def verify(folder: Path) -> Examination:
    """Compare every file of a run with its digest. Reads all of them once; writes nothing.

    A sealed run is checked against its manifest. Of one that was never finished, each chunk is
    checked against its own seal, and those without one are named. The report is made from the
    other files and has no digest; files that nothing names are named, and do no harm.
    """
    if os.path.lexists(folder / MANIFEST):
        return _sealed(folder)
    if os.path.lexists(folder / PLAN):
        return _unfinished(folder)
    names = _names(folder)
    left = [_left_over(folder, n) for n in names if is_left_over(n)]
    if len(left) == len(names):
        return Examination(folder.name, "begun", 0, tuple(left))
    lost = Finding(
        folder.name,
        MANIFEST,
        DAMAGED,
        f"run {folder.name}: {MANIFEST} is missing",
        "restore it from a copy, or run the study again",
    )
    return Examination(folder.name, "damaged", 0, (lost, *left))


def printable(name: str) -> str:
    r"""Return a file's name as it is, or quoted if it could command a terminal.

    >>> printable("a b.nc"), printable("a\x1b[2J")
    ('a b.nc', "'a\\x1b[2J'")
    """
    return name if name.isprintable() else ascii(name)


def is_left_over(name: str) -> bool:
    """Tell whether a file was being written when its program ended."""
    last = name.rpartition("/")[2]
    return last.startswith(".") and last.endswith(".tmp")


def _sealed(folder: Path) -> Examination:
    try:
        manifest = read_manifest(folder)
    except NewerRun as error:
        return Examination(folder.name, NEWER, 0, (_finding(folder, MANIFEST, error, NEWER),))
    except DamagedRun as error:
        return Examination(folder.name, "damaged", 1, (_finding(folder, MANIFEST, error),))
    findings = []
    for name, expected in manifest["files"].items():
        try:
            check_file(folder, name, expected, again(manifest), before(manifest, name))
        except DamagedRun as error:
            findings.append(_finding(folder, name, error))
    known = {MANIFEST, REPORT, *manifest["files"]}
    for name in _names(folder):
        if is_left_over(name):
            findings.append(_left_over(folder, name))
        elif name not in known:
            says = f"run {folder.name}: {printable(name)} is no part of the run"
            findings.append(Finding(folder.name, name, UNLISTED, says))
    state = "unfinished" if manifest.get("status") == "unfinished" else "sealed"
    return Examination(folder.name, state, 1 + len(manifest["files"]), tuple(findings))


def _unfinished(folder: Path) -> Examination:
    findings = []
    resume = f"chymist resume {folder.name}"
    try:
        read_plan(folder)
    except DamagedRun as error:
        findings.append(_finding(folder, PLAN, error))
    names = _names(folder)
    if VERDICTS in names:
        # Computed and judged; the manifest was not written yet, or has been lost.
        says = f"run {folder.name}: {MANIFEST} is missing"
        findings.append(Finding(folder.name, MANIFEST, UNSEALED, says, f"{resume} writes it"))
    chunks = sorted({n.rpartition(".")[0] for n in names if _is_chunk(n)})
    for chunk in chunks:
        data, seal = f"{chunk}.nc", f"{chunk}.json"
        if seal not in names:
            says = f"run {folder.name}: {printable(data)} has no seal"
            findings.append(Finding(folder.name, data, UNSEALED, says, f"{resume} computes it"))
            continue
        remedy = f"remove {printable(data)} and {printable(seal)}, then {resume}"
        try:
            expected = read_json(folder, seal).get("sha256")
            if not isinstance(expected, str):
                raise DamagedRun(f"run {folder.name}: {seal} gives no digest", file=seal)
            check_file(folder, data, expected)
        except DamagedRun as error:
            findings.append(_finding(folder, data, error, remedy=remedy))
    findings += [_left_over(folder, n) for n in names if is_left_over(n)]
    return Examination(folder.name, "unfinished", len(chunks), tuple(findings))


def _is_chunk(name: str) -> bool:
    return name.startswith("chunks/") and name.endswith((".nc", ".json")) and not is_left_over(name)


def _names(folder: Path) -> list[str]:
    """Return every file below a run's folder by its place in it; links are not followed."""
    found = []
    for at, _, files in os.walk(folder):
        found += [(Path(at) / name).relative_to(folder).as_posix() for name in files]
    return sorted(found)


def _left_over(folder: Path, name: str) -> Finding:
    says = f"run {folder.name}: {printable(name)} was being written when its program ended"
    return Finding(folder.name, name, LEFT_OVER, says, "chymist lab gc removes it")


def _finding(
    folder: Path, name: str, error: DamagedRun, kind: str = DAMAGED, remedy: str = ""
) -> Finding:
    return Finding(
        folder.name,
        error.file or name,
        kind,
        error.message,
        remedy or error.hint,
        error.expected,
        error.found,
    )

"""A run as a line of a listing: which file of its folder speaks for it, and what that says."""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from chymist.errors import DamagedRun, NewerRun
from chymist.lab.layout import MANIFEST, PLAN, WATCHED, is_watched
from chymist.lab.seal import read_json, read_manifest

ID = re.compile(r"[0-9a-z]{26}")
UNFINISHED, DAMAGED, NEWER = "unfinished", "damaged", "newer format"

Stamp = tuple[str, str, int, int, int]
"""A run's id, which of its files speaks for it, and that file's times [ns] and size [bytes]."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A line of a listing; `verdict` is also unfinished, damaged or newer format; `note` why.

    `kind` is "study", or "watched" of a training, whose name is then in place of a study's slug,
    and "unfinished" in place of a preset until it has ended: `verdict` is what is known.
    """

    id: str
    study: str = ""
    verdict: str = ""
    preset: str = ""
    started: str = ""
    seconds: float | None = None
    kind: str = "study"
    note: str = ""


COLUMNS = tuple(f.name for f in fields(Listed) if f.name != "note")


def stamps(runs: Path) -> set[Stamp]:
    """Return what tells, without reading it, whether a run's manifest or plan has changed."""
    try:
        with os.scandir(runs) as entries:
            names = [
                e.name for e in entries if ID.fullmatch(e.name) and e.is_dir(follow_symlinks=False)
            ]
        # Short paths from an open folder: a third less time for ten thousand runs.
        base = os.open(runs, os.O_RDONLY) if os.stat in os.supports_dir_fd else None
    except OSError:
        return set()
    prefix = f"{runs}/" if base is None else ""
    found: set[Stamp] = set()
    try:
        for name in names:
            file = MANIFEST
            try:
                at = os.stat(f"{prefix}{name}/{MANIFEST}", dir_fd=base, follow_symlinks=False)
            except OSError:
                speaker = _speaker(f"{runs}/{name}")
                if speaker is None:
                    continue
                file = speaker
                try:
                    at = os.stat(f"{prefix}{name}/{file}", dir_fd=base, follow_symlinks=False)
                except OSError:
                    continue
            found.add((name, file, at.st_mtime_ns, at.st_ctime_ns, at.st_size))
    finally:
        if base is not None:
            os.close(base)
    return found


def _speaker(folder: str) -> str | None:
    """Return which file says what a run is: "" if that is lost, None if it is no run yet."""
    for _ in range(2):  # twice, since they may be written while we look
        for file in (MANIFEST, PLAN):
            if os.path.lexists(f"{folder}/{file}"):
                return file
        try:
            with os.scandir(folder) as entries:
                if not any(e.is_file() and not e.name.startswith(".") for e in entries):
                    return None
        except OSError:
            return None
    return ""


def read_line(folder: Path, file: str) -> tuple[Listed, str]:
    """Read one run's line, and its manifest as text if it is sealed and sound."""
    if file == PLAN:
        return _planned(folder), ""
    try:
        manifest = read_manifest(folder)
        training = manifest["format"] == WATCHED
        study = manifest.get("study")
        line = Listed(
            id=folder.name,
            study=_text(folder, manifest, "name") if training else _text(folder, study, "slug"),
            verdict=_text(folder, manifest, "verdict"),
            preset=_progress(manifest) if training else _text(folder, manifest, "preset"),
            started=_text(folder, manifest, "started"),
            seconds=_number(folder, manifest, "seconds"),
            kind="watched" if training else "study",
        )
    except NewerRun as error:
        return Listed(folder.name, verdict=NEWER, kind=_kind(folder), note=str(error)), ""
    except DamagedRun as error:
        return Listed(folder.name, verdict=DAMAGED, kind=_kind(folder), note=str(error)), ""
    return line, json.dumps(manifest, ensure_ascii=False)


def _progress(manifest: dict[str, Any]) -> str:
    return UNFINISHED if manifest.get("status") == UNFINISHED else ""


def _kind(folder: Path) -> str:
    return "watched" if is_watched(folder) else "study"


def _planned(folder: Path) -> Listed:
    try:
        plan = read_json(folder, PLAN)
        study = plan.get("study")
        slug = _text(folder, study if isinstance(study, dict) else {"slug": study}, "slug")
    except DamagedRun as error:
        return Listed(folder.name, verdict=DAMAGED, note=str(error))
    preset, started = (str(plan.get(name) or "") for name in ("preset", "started"))
    return Listed(folder.name, slug, UNFINISHED, preset, started)


def _text(folder: Path, record: Any, name: str) -> str:
    value = record.get(name) if isinstance(record, dict) else None
    if not isinstance(value, str):
        raise DamagedRun(f"run {folder.name}: {MANIFEST} states no {name}")
    return value


def _number(folder: Path, record: dict[str, Any], name: str) -> float:
    value = record.get(name)
    with contextlib.suppress(TypeError, ValueError, OverflowError):
        if not isinstance(value, str | bool) and math.isfinite(number := float(value)):  # type: ignore[arg-type]
            return number
    raise DamagedRun(f"run {folder.name}: {MANIFEST} states no {name}")

"""The plan of a run: all that a process needs to compute any part of it, as plain JSON.

It says which study (the way to it, the digests of its source and claims), which parameters, input,
threads and versions, and lists the chunks. Its own digest makes an altered plan known.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chymist.errors import DamagedRun
from chymist.files import as_json, write_json
from chymist.lab.chunk import ARMS, Chunk
from chymist.lab.layout import FORMAT, PLAN


def write_plan(folder: Path, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Write the plan of the run in this folder whole, and return it.

    Raises:
        CannotWrite: the file system refuses.
    """
    record: dict[str, Any] = json.loads(as_json({"format": FORMAT, "id": folder.name, **facts}))
    record["digest"] = digest(record)
    write_json(folder / PLAN, record)
    return record


def read_plan(folder: Path) -> dict[str, Any]:
    """Read the plan of a run.

    Raises:
        DamagedRun: it is missing, altered, or from a newer version.
    """
    try:
        record: dict[str, Any] = json.loads((folder / PLAN).read_text(encoding="utf-8"))
        written = int(record["format"])
        if record["id"] != folder.name:
            raise ValueError("this plan belongs to another run")
        whole = record["digest"] == digest(record)
        if not all(map(_possible, record["chunks"])):
            raise ValueError("a chunk that no plan has")
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise DamagedRun(
            f"run {folder.name}: {PLAN} cannot be read", "run the study again"
        ) from error
    if written > FORMAT:
        raise DamagedRun(
            f"run {folder.name} has format {written}; this version reads up to {FORMAT}",
            "upgrade chymist",
        )
    if not whole:
        raise DamagedRun(f"run {folder.name}: {PLAN} was altered", "run the study again")
    return record


def chunks_of(plan: Mapping[str, Any]) -> list[Chunk]:
    """Return the chunks of a plan in order."""
    return [Chunk(**record) for record in plan["chunks"]]


def _possible(chunk: Mapping[str, Any]) -> bool:
    """Whether a record can be a chunk: its name becomes a path, so nothing else will do."""
    return (
        isinstance(chunk["index"], int)
        and bool(re.fullmatch(r"[a-z][a-z0-9-]*", chunk["experiment"]))
        and chunk["arm"] in ARMS
        and set(chunk) == {"index", "experiment", "arm", "parameters", "place"}
    )


def digest(record: Mapping[str, Any]) -> str:
    """Return the SHA-256 digest of a plan, but for the one that it carries."""
    bare = {name: value for name, value in record.items() if name != "digest"}
    text = json.dumps(bare, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()

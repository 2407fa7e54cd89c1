"""The plan of a run: all that a process needs to compute any part of it, as plain JSON.

It says which study (the way to it, the digests of its source and claims), which parameters, input,
threads and versions, and lists the chunks. Its own digest makes an altered plan known. A run that
grows adds rounds of further chunks, each a file that names the digest of the one before it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from chymist.errors import DamagedRun
from chymist.files import as_json, make_folder, write_json
from chymist.lab.chunk import ARMS, MAP, Chunk
from chymist.lab.layout import FORMAT, PLAN, ROUNDS
from chymist.lab.seal import read_json


def write_plan(folder: Path, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Write the plan of the run in this folder whole, and return it.

    Raises:
        CannotWrite: the file system refuses.
    """
    record: dict[str, Any] = json.loads(as_json({"format": FORMAT, "id": folder.name, **facts}))
    record["digest"] = digest(record)
    write_json(folder / PLAN, record)
    return {**record, "rounds": []}


def read_plan(folder: Path) -> dict[str, Any]:
    """Read the plan of a run, with the chunks of all rounds; `rounds` says why each was added.

    Raises:
        DamagedRun: it is missing, altered, or from a newer version.
    """
    plan = _read(folder, PLAN)
    if plan["format"] > FORMAT:
        raise DamagedRun(
            f"run {folder.name} has format {plan['format']}; this version reads up to {FORMAT}",
            "upgrade chymist",
        )
    plan["rounds"] = []
    while os.path.lexists(folder / _round(plan)):
        name = _round(plan)
        record = _read(folder, name, len(plan["chunks"]))
        if record.get("follows") != plan["digest"]:
            raise _altered(folder, name)
        _join(plan, record)
    return plan


def add_round(
    folder: Path, plan: Mapping[str, Any], chunks: Sequence[Chunk], why: str
) -> dict[str, Any]:
    """Write a further round of chunks whole, and return the plan with them.

    Raises:
        CannotWrite: the file system refuses.
    """
    facts = {
        "format": FORMAT,
        "id": folder.name,
        "follows": plan["digest"],
        "why": why,
        "chunks": [chunk.to_json() for chunk in chunks],
    }
    record: dict[str, Any] = json.loads(as_json(facts))
    record["digest"] = digest(record)
    make_folder(folder / ROUNDS)
    write_json(folder / _round(plan), record)
    grown = {**plan, "chunks": [*plan["chunks"]], "rounds": [*plan["rounds"]]}
    _join(grown, record)
    return grown


def chunks_of(plan: Mapping[str, Any]) -> list[Chunk]:
    """Return the chunks of a plan in order."""
    return [Chunk(**{**record, "seeds": tuple(record["seeds"])}) for record in plan["chunks"]]


def round_files(plan: Mapping[str, Any]) -> list[str]:
    """Return where the rounds of a plan are in the run's folder."""
    return [_name(number) for number in range(2, 2 + len(plan["rounds"]))]


def _round(plan: Mapping[str, Any]) -> str:
    return _name(2 + len(plan["rounds"]))


def _name(number: int) -> str:
    return f"{ROUNDS}/{number:04d}.json"


def _join(plan: dict[str, Any], record: Mapping[str, Any]) -> None:
    plan["chunks"] += record["chunks"]
    plan["rounds"].append({"why": record["why"], "chunks": len(record["chunks"])})
    plan["digest"] = record["digest"]


def _read(folder: Path, name: str, first: int = 0) -> dict[str, Any]:
    """Read a plan or a round whose chunks are numbered from `first` on."""
    try:
        record = read_json(folder, name)
        record["format"] = int(record["format"])
        if record["id"] != folder.name:
            raise ValueError("this plan belongs to another run")
        whole = record["digest"] == digest(record)
        if not all(_possible(chunk, first + i) for i, chunk in enumerate(record["chunks"])):
            raise ValueError("a chunk that no plan has")
        str(record["why"] if first else "")
    except (ValueError, KeyError, TypeError) as error:
        raise DamagedRun(
            f"run {folder.name}: {name} cannot be read", "run the study again", file=name
        ) from error
    if not whole and record["format"] <= FORMAT:
        raise _altered(folder, name)
    return record


def _altered(folder: Path, name: str) -> DamagedRun:
    return DamagedRun(f"run {folder.name}: {name} was altered", "run the study again", file=name)


def _possible(chunk: Mapping[str, Any], index: int) -> bool:
    """Whether a record can be a chunk: its name becomes a path, so nothing else will do."""
    first, end = chunk["seeds"]
    return (
        chunk["index"] == index
        and bool(re.fullmatch(r"[a-z][a-z0-9-]*", chunk["experiment"]))
        and chunk["arm"] in (*ARMS, MAP)
        and isinstance(first, int)
        and isinstance(end, int)
        and 0 <= first < end
        and set(chunk) == {field.name for field in fields(Chunk)}
    )


def digest(record: Mapping[str, Any]) -> str:
    """Return the SHA-256 digest of a plan, but for the one that it carries."""
    bare = {name: value for name, value in record.items() if name != "digest"}
    text = json.dumps(bare, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()

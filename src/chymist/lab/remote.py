"""A chunk computed on a machine that shares no disk with the lab: plain values in, bytes out.

An order is what such a machine is sent: the plan as JSON text, the user's own file (if the study is
one) with those beside it, the kept input. It looks whether it would compute what was planned, by
the digests and versions in the plan, and answers with the chunk's netCDF file. It knows nothing of
who carries orders and answers.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import sys
import tempfile
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import xarray as xr

from chymist import provenance
from chymist.errors import BadCluster, CannotResume, ChymistError
from chymist.lab import planning
from chymist.lab.chunk import Chunk
from chymist.lab.compute import compute, pinned
from chymist.lab.layout import INPUT
from chymist.lab.measured import kept_input
from chymist.lab.store import write_dataset
from chymist.study import Study


@dataclass(frozen=True)
class Order:
    """What another machine needs for any chunk of a run, in values that are plain.

    `sources` are names and contents: the user's file, then the files beside it that it is made of.
    """

    plan: str
    sources: tuple[tuple[str, bytes], ...]
    input: bytes | None


def order(folder: Path, plan: Mapping[str, Any]) -> Order:
    """Return the order for the run in this folder; of the user's files, what was planned with.

    Raises:
        CannotResume: such a file has changed since the run was planned, or is gone.
    """
    bare = {name: value for name, value in plan.items() if name != "chunks"}
    sources = []
    if plan["address"].endswith(".py"):
        path = planning.file_of(plan, folder)
        for name, digest in _digests(plan, path.name).items():
            try:
                content = (path.parent / name).read_bytes()
            except OSError:
                content = b""
            if hashlib.sha256(content).hexdigest() != digest:
                raise CannotResume(
                    f"run {folder.name}: {name} has changed since then",
                    f"put back what changed, or start again: {plan['command']}",
                )
            sources.append((name, content))
    given = (folder / INPUT).read_bytes() if plan["input"] else None
    return Order(json.dumps(bare), tuple(sources), given)


def answer(ordered: Order, record: Mapping[str, Any]) -> dict[str, Any]:
    """Compute one chunk, given as JSON values, and return its file's content, or what went wrong.

    Either {"event": "computed", "content", "seconds", "how", "processor"}, or {"event": "failed",
    "kind", "message", "hint", "trace"}, as a worker says it.
    """
    try:
        chunk = Chunk(**record)
        study, given = _prepared(ordered)
        plan = json.loads(ordered.plan)
        begun = time.perf_counter()
        notes: list[str] = []
        with pinned(plan["threads"]), tempfile.TemporaryDirectory(prefix="chymist-chunk-") as place:
            path = Path(place) / "chunk.nc"
            data = compute(study, chunk, given, plan["device"], _unheard, notes.append)
            write_dataset(path, data)
            content = path.read_bytes()
    except Exception as error:  # whatever it is, the machine that asked says it
        return {
            "event": "failed",
            "kind": type(error).__name__,
            "message": getattr(error, "message", str(error)),
            "hint": getattr(error, "hint", ""),
            "trace": traceback.format_exc(),
        }
    return {
        "event": "computed",
        "content": content,
        "seconds": time.perf_counter() - begun,
        "how": list(dict.fromkeys(notes)),
        "processor": provenance.machine()["processor"],
    }


@lru_cache(maxsize=1)
def _prepared(ordered: Order) -> tuple[Study, xr.Dataset | None]:
    """Return study and input of an order; once a process, in a lab that lasts no longer.

    Raises:
        BadCluster: this machine would compute something else than what was planned.
    """
    plan = json.loads(ordered.plan)
    here = f"node {platform.node()}"
    with tempfile.TemporaryDirectory(prefix="chymist-run-") as place:
        folder = Path(place) / "lab" / "runs" / plan["id"]
        folder.mkdir(parents=True)
        if ordered.input is not None:
            (folder / INPUT).write_bytes(ordered.input)
        files = Path(place) / "study"
        files.mkdir()
        for name, content in ordered.sources:
            (files / name).write_bytes(content)
            # Another run's file of this name may be loaded.
            sys.modules.pop(Path(name).stem, None)
        if ordered.sources:
            plan["address"] = os.path.relpath(files / ordered.sources[0][0], folder)
        sys.path.insert(0, str(files))
        try:
            study = planning.study_of(plan, folder)
            changed = planning.changes(plan, study)
        except ChymistError as error:
            raise BadCluster(f"{here}: {error.message}", error.hint) from error
        finally:
            sys.path.remove(str(files))
        if changed:
            said = ", ".join(
                f"{name} (was {was}, is {now})" for name, (was, now) in changed.items()
            )
            raise BadCluster(
                f"{here} is not what run {plan['id']} was planned with: {said}",
                "install there what is installed here, or take it out of the cluster",
            )
        return study, kept_input(folder, plan)


def _digests(plan: Mapping[str, Any], name: str) -> dict[str, str]:
    return {name: plan["source"]["sha256"], **plan["source"]["beside"]}


def _unheard(label: str, done: int, steps: int) -> None:
    """Progress within a chunk stays where it is computed."""

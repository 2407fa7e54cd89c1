"""Replaying a run: compute its chunks again, and compare every array, byte by byte."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from chymist import provenance
from chymist.errors import BadParameter, CannotResume
from chymist.files import sha256
from chymist.lab import planning
from chymist.lab.chunk import Chunk
from chymist.lab.compute import compute, pinned
from chymist.lab.events import Event, Observer, ignore
from chymist.lab.measured import kept_input, load
from chymist.lab.plan import read_plan
from chymist.lab.run import Run
from chymist.lab.store import read_dataset, write_dataset


@dataclass(frozen=True)
class Difference:
    """An array that came out otherwise: how many of its values, and by how much at most.

    `largest` is the largest difference of two finite values, `relative` the same over the largest
    magnitude in the run; none for what is not numbers, or has another shape or type.
    """

    chunk: str
    variable: str
    values: int
    of: int
    largest: float | None
    relative: float | None


@dataclass(frozen=True)
class Replay:
    """What came of a replay; `changed` is what differs from when the run was made: was, is."""

    run: str
    chunks: int
    arrays: int
    differences: tuple[Difference, ...]
    changed: dict[str, tuple[str, str]]

    @property
    def same(self) -> bool:
        """Whether every array came out the same, byte for byte."""
        return not self.differences

    @property
    def exit_code(self) -> int:
        """0 the same, 6 not."""
        return 0 if self.same else 6

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {"same": self.same, **asdict(self)}


def replay(run: Run, *, threads: int | None = None, observe: Observer = ignore) -> Replay:
    """Compute a sealed run's chunks again, in a temporary folder, and compare their arrays.

    With the run's own number of threads unless another is given. A study that has changed since is
    replayed as it is now, and named as changed.

    Raises:
        UnfinishedRun: the run is not sealed.
        CannotResume: its study is not here, or the run is of format 1, which has no plan.
        BadParameter: the number of threads is not possible.
        CannotWrite: the folder for temporary files refuses.
    """
    run.require_sealed()
    if not run.chunks:
        raise CannotResume(
            f"run {run.id} is of format 1, which says too little to replay it",
            f"run it again: {run.manifest['command']}",
        )
    if threads is not None and threads < 1:
        raise BadParameter(f"threads cannot be {threads}", "allowed: integer >= 1")
    plan = read_plan(run.folder)
    study = planning.study_of(plan, run.folder)
    known = {experiment.name for experiment in study.experiments}
    given = kept_input(run.folder, plan)
    threads = threads or plan["threads"]
    arrays = 0
    differences: list[Difference] = []
    with tempfile.TemporaryDirectory(prefix="chymist-replay-") as place, pinned(threads):
        for chunk in run.chunks:
            if chunk.experiment not in known:
                raise CannotResume(
                    f"run {run.id}: its study has no experiment {chunk.experiment} any more",
                    f"run it again: {plan['command']}",
                )

            def progress(label: str, done: int, steps: int, chunk: Chunk = chunk) -> None:
                where = (chunk.index, chunk.experiment, chunk.arm)
                event = (run.folder, chunk.index, len(run.chunks), *where, label, done, steps)
                observe(Event(*event))

            progress("starting", 0, 1)
            # Written and read again, because the stored data went that way, too.
            path = Path(place) / "again.nc"
            write_dataset(path, compute(study, chunk, given, plan["device"], progress))
            stored = load(run.folder, {chunk.data: run.manifest["files"][chunk.data]})[chunk.data]
            arrays += len(stored.variables)
            if sha256(path) != run.manifest["files"][chunk.data]:
                differences += _differences(chunk, stored, read_dataset(path))
            progress("done", 1, 1)
    changed = {**planning.changes(plan, study), **_circumstances(plan, threads)}
    return Replay(run.id, len(run.chunks), arrays, tuple(differences), changed)


def _circumstances(plan: dict[str, Any], threads: int) -> dict[str, tuple[str, str]]:
    here = provenance.machine()
    was = {"threads": plan["threads"], **plan["machine"]}
    now = {"threads": threads, **here}
    return {n: (str(was.get(n)), str(now[n])) for n in now if was.get(n) != now[n]}


def _differences(chunk: Chunk, stored: xr.Dataset, again: xr.Dataset) -> Iterator[Difference]:
    for name in dict.fromkeys([*stored.variables, *again.variables]):
        if name not in stored.variables or name not in again.variables:
            here = (stored if name in stored.variables else again).variables[name]
            yield Difference(chunk.name, str(name), here.size, here.size, None, None)
            continue
        a, b = stored.variables[name], again.variables[name]
        if (a.dims, a.shape, a.dtype) != (b.dims, b.shape, b.dtype):
            yield Difference(chunk.name, str(name), a.size, a.size, None, None)
        elif a.dtype.kind == "f":
            yield from _of_floats(chunk, str(name), a.values, b.values)
        elif not np.array_equal(a.values, b.values):
            count = int((a.values != b.values).sum())
            yield Difference(chunk.name, str(name), count, a.size, None, None)


def _of_floats(chunk: Chunk, name: str, a: np.ndarray, b: np.ndarray) -> Iterator[Difference]:
    bits = f"u{a.dtype.itemsize}"
    count = int((np.ascontiguousarray(a).view(bits) != np.ascontiguousarray(b).view(bits)).sum())
    if count:
        both = np.isfinite(a) & np.isfinite(b)
        largest = float(np.abs(a - b, where=both, out=np.zeros(a.shape)).max(initial=0.0))
        scale = float(np.abs(a, where=both, out=np.zeros(a.shape)).max(initial=0.0))
        yield Difference(
            chunk.name, name, count, a.size, largest, largest / scale if scale else None
        )

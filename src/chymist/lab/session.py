"""One process's work on a run: compute what is missing, judge what is complete, seal the run."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import xarray as xr

from chymist.figures import themed
from chymist.files import append_line, as_json, make_folder, reached, refusals, sha256, write_json
from chymist.lab import manifest, space
from chymist.lab.chunk import ARMS, Chunk, read_seals
from chymist.lab.cluster import Tasks
from chymist.lab.compute import compute
from chymist.lab.events import Event, Observer
from chymist.lab.judging import judge_experiment, outcome
from chymist.lab.layout import EARLY, INPUT, LOG, MANIFEST, PLAN, VERDICTS
from chymist.lab.measured import kept_input
from chymist.lab.plan import chunks_of, digest
from chymist.lab.run import Run
from chymist.lab.seal import seal_manifest
from chymist.lab.store import read_joined, seal_chunk
from chymist.lab.workers import Computed, Workers
from chymist.study import Experiment, Study


class Session:
    """Work on the run in `folder`, by its plan, until it is sealed.

    The caller holds the run's lock and has checked that the study is the one of the plan. Chunks
    are computed on this machine, or by the Ray `cluster`.
    """

    def __init__(
        self,
        folder: Path,
        plan: dict[str, Any],
        study: Study,
        observe: Observer,
        cluster: Any = None,
    ) -> None:
        self.folder, self.plan, self.study, self.observe = folder, plan, study, observe
        self.cluster = cluster
        self.chunks = chunks_of(plan)
        self.seals = read_seals(folder, self.chunks)
        self.earlier = sum(seal.seconds for seal in self.seals.values())
        self.clock = time.perf_counter()
        self.judged: dict[str, dict[str, Any]] = {}
        self.diverged: dict[str, int] = {}
        self.files: dict[str, str] = {}

    def finish(self, jobs: int) -> Run:
        """Compute, judge and seal.

        Raises:
            BadStudy: an experiment or a claim breaks the contract.
            CannotWrite: the disk refuses, or will.
        """
        space.require(self.folder, self.chunks, self.seals)
        self._judge_what_is_complete()
        with closing(self._computed(jobs)) as computed:
            for chunk, seal in computed:
                self.seals[chunk.index] = seal
                self.log("sealed", chunk, seconds=seal.seconds)
                self.tell(chunk, "done", 1, 1)
                space.require(self.folder, self.chunks, self.seals)
                self._judge_what_is_complete()
        return self._seal()

    def log(self, event: str, chunk: Chunk | None = None, **facts: Any) -> None:
        """Add a line to the run's log."""
        where = {"chunk": chunk.name, "at": dict(chunk.place)} if chunk else {}
        line = {"event": event, "time": datetime.now(UTC).isoformat(), **where, **facts}
        append_line(self.folder / LOG, json.dumps(line))

    def tell(self, chunk: Chunk, label: str, done: int, steps: int, notice: str = "") -> None:
        """Tell the observer how far a chunk is."""
        sealed, of = len(self.seals), len(self.chunks)
        place = (chunk.index, chunk.experiment, chunk.arm)
        self.observe(Event(self.folder, sealed, of, *place, label, done, steps, notice))

    def _computed(self, jobs: int) -> Computed:
        missing = [c for c in self.chunks if c.index not in self.seals]
        if self.cluster is not None:
            work = (self.folder, self.plan, self.chunks, self.seals)
            return Tasks(self.cluster, *work, self.tell, self.log).compute(jobs)
        if jobs > 1 and len(missing) > 1:
            threads = self.plan["threads"]
            shared = Workers(self.folder, self.chunks, self.seals, threads, self.tell, self.log)
            return shared.compute(jobs)
        return self._in_this_process(missing)

    def _in_this_process(self, missing: Sequence[Chunk]) -> Computed:
        given = kept_input(self.folder, self.plan)
        for chunk in missing:
            begun = time.perf_counter()
            self.log("computing", chunk)
            self.tell(chunk, "starting", 0, 1)

            def progress(label: str, done: int, steps: int, chunk: Chunk = chunk) -> None:
                self.tell(chunk, label, done, steps)

            notes: list[str] = []
            device = self.plan["device"]
            data = compute(self.study, chunk, given, device, progress, notes.append)
            self.log("trained", chunk, how=list(dict.fromkeys(notes)))
            yield chunk, seal_chunk(self.folder, chunk, data, time.perf_counter() - begun)

    def _judge_what_is_complete(self) -> None:
        """Judge each experiment as soon as all its chunks are there, and keep an early look."""
        before = len(self.judged)
        for experiment in self._experiments():
            mine = [c for c in self.chunks if c.experiment == experiment.name]
            if experiment.name not in self.judged and all(c.index in self.seals for c in mine):
                self._judge(experiment)
        if before < len(self.judged) < len(self._experiments()):
            early = {"experiments": self._in_order()}
            write_json(self.folder / EARLY, {**early, "digest": digest(early)})

    def _judge(self, experiment: Experiment) -> None:
        treatment, control = (self._measured(experiment, arm) for arm in ARMS)
        self.judged[experiment.name] = judge_experiment(experiment, treatment, control)
        for arm, data in zip(ARMS, (treatment, control), strict=True):
            self.diverged[f"{experiment.name}, {arm}"] = manifest.count_diverged(data)
        for figure in experiment.figures:
            make_folder(self.folder / "figures")
            name = f"figures/{figure.name}.json"
            spec = themed(figure.draw(treatment, control))
            self.files[name] = write_json(self.folder / name, spec)

    def _measured(self, experiment: Experiment, arm: str) -> xr.Dataset:
        wanted = (experiment.name, arm)
        return read_joined(self.folder, [c for c in self.chunks if (c.experiment, c.arm) == wanted])

    def _experiments(self) -> list[Experiment]:
        return [self.study.experiment(n) for n in dict.fromkeys(c.experiment for c in self.chunks)]

    def _in_order(self) -> dict[str, Any]:
        return {e.name: self.judged[e.name] for e in self._experiments() if e.name in self.judged}

    def _seal(self) -> Run:
        judged = outcome(self._in_order())
        self.files[VERDICTS] = write_json(self.folder / VERDICTS, judged)
        self.log("finished")
        with refusals(self.folder / EARLY):
            (self.folder / EARLY).unlink(missing_ok=True)
        facts = {n: v for n, v in self.plan.items() if n not in ("chunks", "digest", "address")}
        record = {
            **facts,
            "status": "sealed",
            "verdict": "broken" if judged["broken"] else judged["status"],
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            "seconds": round(self.earlier + time.perf_counter() - self.clock, 1),
            "diverged": self.diverged,
            "files": {
                PLAN: sha256(self.folder / PLAN),
                **({INPUT: self.plan["input"]["kept"]} if self.plan["input"] else {}),
                **{c.data: self.seals[c.index].sha256 for c in self.chunks},
                **{c.seal: sha256(self.folder / c.seal) for c in self.chunks},
                **self.files,
                LOG: sha256(self.folder / LOG),
            },
        }
        with refusals(self.folder / MANIFEST):
            reached("seal")
        seal_manifest(self.folder, as_json(record))
        return Run.open(self.folder)

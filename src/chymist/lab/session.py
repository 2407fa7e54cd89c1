"""One process's work on a run: compute what is missing, judge what is complete, seal the run."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import altair as alt
import xarray as xr

from chymist.figures import themed
from chymist.files import append_line, as_json, make_folder, reached, refusals, sha256, write_json
from chymist.lab import growing, manifest, refining, space
from chymist.lab.chunk import ARMS, Chunk, read_seals
from chymist.lab.cluster import Tasks
from chymist.lab.compute import compute
from chymist.lab.events import Event, Observer, Onlooker
from chymist.lab.judging import judge_experiment, outcome
from chymist.lab.layout import EARLY, INPUT, LOG, MANIFEST, PLAN, VERDICTS
from chymist.lab.measured import kept_input
from chymist.lab.plan import add_round, chunks_of, digest, round_files
from chymist.lab.refining import Refinement
from chymist.lab.run import Run
from chymist.lab.seal import seal_manifest
from chymist.lab.store import read_joined, seal_chunk, write_dataset
from chymist.lab.workers import Computed, Workers
from chymist.study import Experiment, Study


class Session:
    """Work on the run in `folder`, by its plan, until it is sealed.

    The caller holds the run's lock and has checked that the study is the one of the plan. Chunks
    are computed on this machine, or by the Ray `cluster`. An `onlooker` sees those that this
    process computes.
    """

    def __init__(
        self,
        folder: Path,
        plan: dict[str, Any],
        study: Study,
        observe: Observer,
        cluster: Any = None,
        onlooker: Onlooker | None = None,
    ) -> None:
        self.folder, self.plan, self.study, self.observe = folder, plan, study, observe
        self.cluster, self.onlooker = cluster, onlooker
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
        self._compute(jobs)
        while self._grow():
            self._compute(jobs)
        return self._seal()

    def _compute(self, jobs: int) -> None:
        """Compute the chunks that are missing, and judge on the way."""
        space.require(self.folder, self.chunks, self.seals)
        self._judge_what_is_complete()
        with closing(self._computed(jobs)) as computed:
            for chunk, seal in computed:
                self.seals[chunk.index] = seal
                self.log("sealed", chunk, seconds=seal.seconds)
                self.tell(chunk, "done", 1, 1)
                self._check_refinement(chunk)
                space.require(self.folder, self.chunks, self.seals)
                self._judge_what_is_complete()

    def _check_refinement(self, chunk: Chunk) -> None:
        """Find out early whether the claim can be refined over what was asked."""
        asked = Refinement.planned(self.plan)
        if asked and len(self.seals) == 1 and chunk.experiment == asked.experiment:
            refining.check(asked, self.study.claim(asked.claim), read_joined(self.folder, [chunk]))

    def _grow(self) -> bool:
        """Add a round of chunks, if the plan asks for more than there is."""
        more = self._next_round()
        if more is None:
            return False
        self.plan = add_round(self.folder, self.plan, more.chunks, more.why)
        self._keep_early_look()
        for chunk in more.chunks:
            if chunk.arm in ARMS:
                self.judged.pop(chunk.experiment, None)
        self.chunks = chunks_of(self.plan)
        self.log("grown", why=more.why, chunks=len(more.chunks))
        self.tell(more.chunks[0], "starting", 0, 1, more.why)
        return True

    def _next_round(self) -> growing.Round | None:
        growth, asked = self.plan.get("until_decided"), Refinement.planned(self.plan)
        if growth:
            return growing.next_round(self.study, self.chunks, self.judged, growth["max_seeds"])
        if asked:
            return refining.next_round(self.study, asked, self.chunks, self._at_points(asked))
        return None

    def _at_points(self, asked: Refinement) -> dict[refining.Point, xr.DataArray]:
        parts = [read_joined(self.folder, g) for g in refining.groups(asked, self.chunks)]
        return refining.at_points(asked, self.study.claim(asked.claim), parts)

    def _keep_map(self, asked: Refinement) -> dict[str, Any]:
        """Write the map that was asked for, draw it, and return where it crosses an edge."""
        claim, points = self.study.claim(asked.claim), self._at_points(asked)
        map_ = refining.dataset(asked, claim, points)
        make_folder(self.folder / Path(asked.file).parent)
        self.files[asked.file] = write_dataset(self.folder / asked.file, map_)
        self._keep_figure(asked.figure, refining.draw(asked, claim, map_))
        edges = refining.edges(asked, claim, points)
        return {"parameters": asked.parameters, "points": len(points), "edges": edges}

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
            watcher = (
                self.onlooker(self.study.experiment(chunk.experiment), chunk)
                if self.onlooker
                else None
            )
            data = compute(self.study, chunk, given, device, progress, notes.append, watcher)
            self.log("trained", chunk, how=list(dict.fromkeys(notes)))
            yield chunk, seal_chunk(self.folder, chunk, data, time.perf_counter() - begun)

    def _judge_what_is_complete(self) -> None:
        """Judge each experiment as soon as all its chunks are there, and keep an early look."""
        before = len(self.judged)
        for experiment in self._experiments():
            mine = [c for c in self.chunks if c.experiment == experiment.name and c.arm in ARMS]
            if experiment.name not in self.judged and all(c.index in self.seals for c in mine):
                self._judge(experiment)
        if before < len(self.judged) < len(self._experiments()):
            self._keep_early_look()

    def _keep_early_look(self) -> None:
        early = {"experiments": self._in_order()}
        write_json(self.folder / EARLY, {**early, "digest": digest(early)})

    def _judge(self, experiment: Experiment) -> None:
        treatment, control = (self._measured(experiment, arm) for arm in ARMS)
        anytime = bool(self.plan.get("until_decided"))
        judged = judge_experiment(experiment, treatment, control, anytime=anytime)
        self.judged[experiment.name] = judged
        for arm, data in zip(ARMS, (treatment, control), strict=True):
            self.diverged[f"{experiment.name}, {arm}"] = manifest.count_diverged(data)
        for figure in experiment.figures:
            self._keep_figure(figure.name, figure.draw(treatment, control))

    def _keep_figure(self, name: str, chart: alt.TopLevelMixin) -> None:
        make_folder(self.folder / "figures")
        file = f"figures/{name}.json"
        self.files[file] = write_json(self.folder / file, themed(chart))

    def _measured(self, experiment: Experiment, arm: str) -> xr.Dataset:
        wanted = (experiment.name, arm)
        return read_joined(self.folder, [c for c in self.chunks if (c.experiment, c.arm) == wanted])

    def _experiments(self) -> list[Experiment]:
        return [self.study.experiment(n) for n in dict.fromkeys(c.experiment for c in self.chunks)]

    def _in_order(self) -> dict[str, Any]:
        return {e.name: self.judged[e.name] for e in self._experiments() if e.name in self.judged}

    def _seal(self) -> Run:
        asked = Refinement.planned(self.plan)
        judged = outcome(self._in_order())
        if asked:
            judged["maps"] = {asked.claim: self._keep_map(asked)}
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
                **{name: sha256(self.folder / name) for name in (PLAN, *round_files(self.plan))},
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

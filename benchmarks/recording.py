"""What recording and saving cost, as shares of a training's and of a run's time.

Run: .venv/bin/python benchmarks/recording.py [--rounds 3] [--only studies,workloads,one]

Three tables. Studies: each built-in study is run once (quick preset). Saving is what it takes to
write its chunks and seals once more; the rest is what the run took beyond computing and saving:
judging, figures, report, and what these import. Then every training of its treatments is repeated
with its record and with none, in turns; recording is what the record adds. Workloads (those of
benchmarks/engine): the loss and the weights' norm recorded at no step, at some fifty log-spaced
steps, and at every step, in turns. One: a single network trained by chymist and by the plain module
loop, in turns, on one thread each. Best of the rounds throughout.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import chymist
from chymist.bench import Bench, samples
from chymist.catalogue import find
from chymist.ensemble import Training, every, log_spaced
from chymist.instruments import Instrument, loss
from chymist.lab.chunk import FOLDER, read_seals
from chymist.lab.compute import pinned
from chymist.lab.plan import chunks_of, read_plan
from chymist.lab.store import read_dataset, seal_chunk
from chymist.solvers import Adam

sys.path.insert(0, str(Path(__file__).parent / "engine"))
from candidates import loop
from workloads import Workload, workloads

STUDIES = ("frequency-principle", "image-memorisation")


def norm(parameters: Mapping[str, Tensor]) -> Tensor:
    return sum(p.reshape(len(p), -1).square().sum(1) for p in parameters.values()).sqrt()


size = Instrument("size", lambda snapshot: norm(snapshot.parameters), long_name="norm of weights")
RECORDS = {
    "none": {},
    "loss, log-spaced": {loss: log_spaced()},
    "loss, every step": {loss: every()},
    "loss and norm, log-spaced": {loss: log_spaced(), size: log_spaced()},
    "loss and norm, every step": {loss: every(), size: every()},
}


def in_turns(rounds: int, ways: Mapping[str, Callable[[], object]]) -> dict[str, float]:
    """Return the best time of each way [s]."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            begun = time.perf_counter()
            way()
            times[name].append(time.perf_counter() - begun)
    return {name: min(taken) for name, taken in times.items()}


@dataclass(frozen=True)
class Timed(Bench):
    """A bench that trains with and without the record, and keeps the best times of each."""

    rounds: int = 3
    spent: dict[str, float] = field(default_factory=dict)

    def train(self, networks: Any, solver: Any, x: Any, y: Any, **options: Any) -> Training:
        done: list[Training] = []
        train = super().train

        def one(record: Any) -> None:
            done.append(train(networks, solver, x, y, **{**options, "record": record}))

        ways = {"without": lambda: one({}), "with": lambda: one(options["record"])}
        for way, seconds in in_turns(self.rounds, ways).items():
            self.spent[way] = self.spent.get(way, 0.0) + seconds
        return done[-1]


def save(folder: Path, chunks: Any, data: Any) -> None:
    for chunk, measured in zip(chunks, data, strict=True):
        seal_chunk(folder, chunk, measured, 0.0)


def study(slug: str, rounds: int, threads: int) -> None:
    found = find(slug)
    with tempfile.TemporaryDirectory() as lab:
        begun = time.perf_counter()
        run = chymist.run(found, lab=lab, threads=threads)
        whole = time.perf_counter() - begun
        plan = read_plan(run.folder)
        chunks = chunks_of(plan)
        computing = sum(s.seconds for s in read_seals(run.folder, chunks).values())
        data = [read_dataset(run.folder / chunk.data) for chunk in chunks]
        (Path(lab) / FOLDER).mkdir()
        saving = in_turns(rounds, {"": lambda: save(Path(lab), chunks, data)})[""]
    rows, total = [], {"without": 0.0, "with": 0.0}
    for chunk in chunks:
        if chunk.arm != "treatment":
            continue
        cell = chunk.cell(found.params)
        bench = Timed(slug, chunk.experiment, tuple(range(cell.seeds)), rounds=rounds)
        with pinned(threads):
            found.experiment(chunk.experiment).run(cell, bench)
        rows.append((chunk.experiment, bench.spent))
        total = {way: total[way] + bench.spent[way] for way in total}
    for name, spent in [*rows, ("all", total)]:
        share = 100 * (spent["with"] - spent["without"]) / spent["with"]
        print(f"| {slug} | {name} | {spent['without']:.2f} | {spent['with']:.2f} | {share:.0f} |")
    for name, seconds in (("saving", saving), ("the rest", whole - computing - saving)):
        without = whole - seconds
        print(f"| {slug} | {name} | {without:.2f} | {whole:.2f} | {100 * seconds / whole:.1f} |",
              flush=True)  # fmt: skip


def workload(work: Workload, rounds: int) -> None:
    bench = Bench("benchmark", work.name, tuple(range(work.lanes)))
    networks = bench.networks(work.build)
    # As many steps as a study does: fifty recordings in forty steps are every step.
    steps = max(work.steps, 200)

    def train(record: Any) -> None:
        networks.train(Adam(1e-3), samples(work.x), samples(work.y), steps=steps, loss=work.loss,
                       batch=work.batch, record=record)  # fmt: skip

    train({})
    best = in_turns(rounds, {n: lambda r=r: train(r) for n, r in RECORDS.items()})
    for name, seconds in best.items():
        share = 100 * (seconds - best["none"]) / seconds
        print(f"| {work.name}: {work.says}, {steps} steps | {name} | {seconds:.2f} | {share:.0f} |",
              flush=True)  # fmt: skip


def one(work: Workload, rounds: int) -> None:
    bench = Bench("benchmark", work.name, (0,))
    networks = bench.networks(work.build)
    # A second or two by the loop.
    steps = work.steps * {"W3": 3, "W4": 8}.get(work.name, 10)

    def train(record: Any) -> None:
        networks.train(Adam(1e-3), samples(work.x), samples(work.y), steps=steps, loss=work.loss,
                       batch=work.batch, record=record)  # fmt: skip

    with pinned(1):
        best = in_turns(
            rounds + 1, {"loop": lambda: loop(work, 1, steps), "chymist": lambda: train({})}
        )
    ratio = best["loop"] / best["chymist"]
    seconds = f"{best['loop']:.2f} | {best['chymist']:.2f}"
    print(f"| {work.name}: {work.says} | {seconds} | {ratio:.2f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="studies,workloads,one")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    wanted = options.only.split(",")
    if "studies" in wanted:
        print("| study | experiment | s without | s with | share % |\n|---|---|---|---|---|")
        for slug in STUDIES:
            study(slug, options.rounds, options.threads)
    if "workloads" in wanted:
        print("\n| workload | recorded | s | share % |\n|---|---|---|---|")
        torch.set_num_threads(options.threads)
        for work in workloads()[:4]:
            workload(work, options.rounds)
    if "one" in wanted:
        print("\n| one network | loop s | chymist s | times as fast |\n|---|---|---|---|")
        for work in workloads():
            one(work, options.rounds)


if __name__ == "__main__":
    main()

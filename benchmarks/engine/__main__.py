"""How much faster many networks train as lanes of one ensemble than one after another.

Run: .venv/bin/python benchmarks/engine [--rounds 5] [--only W1,W3]

Each candidate lives in processes of its own and they take turns, so that all meet the machine in
the same state. The table gives the best round in steps x lanes a second, its ratios to the plain
loop on one thread and to JAX (where it is installed; two XLA threads, one process), the share of
what bare batched matrix products of the same shapes reach on as many cores, the time to the first
step, and by how much the memory grew. Compare the ratios; the levels are the machine's.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from workloads import Workload, workloads

HERE = Path(__file__).parent


@dataclass
class Contestant:
    """A candidate in one process or several that share out the lanes."""

    says: str
    candidate: str
    work: Workload
    processes: int
    threads: int
    times: list[float] = field(default_factory=list)
    first: float = 0.0
    memory: float = 0.0

    def __post_init__(self) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": str(self.threads)}
        share = str(self.work.lanes // self.processes)
        words = [self.candidate, self.work.name, share, str(self.threads)]
        self.workers = [
            subprocess.Popen(
                [sys.executable, str(HERE / "worker.py"), *words],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
            )
            for _ in range(self.processes)
        ]  # fmt: skip
        for worker in self.workers:
            self.answer(worker)
        self.first = self.round(1)

    @staticmethod
    def answer(worker: subprocess.Popen[str]) -> str:
        line = worker.stdout.readline().strip() if worker.stdout else ""
        if not line:
            raise SystemExit("a worker ended early")
        return line

    def round(self, steps: int) -> float:
        for worker in self.workers:
            worker.stdin.write(f"{steps}\n")
            worker.stdin.flush()
        return max(float(self.answer(worker)) for worker in self.workers)

    def end(self) -> None:
        for worker in self.workers:
            worker.stdin.close()
            self.memory += float(self.answer(worker))
            worker.wait()

    @property
    def speed(self) -> float:
        return self.work.steps * self.work.lanes / min(self.times)


def contest(work: Workload, rounds: int, cores: int) -> list[Contestant]:
    ways = [
        ("plain loop, 1 thread", "loop", 1, 1),
        (f"plain loop, {cores} processes", "loop", cores, 1),
        ("chymist, 1 thread", "chymist", 1, 1),
        (f"chymist, {cores} threads", "chymist", 1, cores),
        (f"chymist without a compiler, {cores} threads", "stacked", 1, cores),
        (f"matrix products alone, {cores} processes", "peak", cores, 1),
    ]
    if importlib.util.find_spec("jax"):
        ways.append(("JAX vmap, jit, scan", "jax", 1, cores))
    contestants = [Contestant(*way[:2], work, *way[2:]) for way in ways]
    for _ in range(rounds):
        for one in contestants:
            one.times.append(one.round(work.steps))
    for one in contestants:
        one.end()
    return contestants


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    cores = os.cpu_count() or 1
    wanted = [w for w in workloads() if not options.only or w.name in options.only.split(",")]
    found = []
    print("| workload | candidate | steps x lanes / s | x loop | x JAX | % of products |"
          " first step s | memory MiB |")  # fmt: skip
    print("|---|---|---|---|---|---|---|---|")
    for work in wanted:
        contestants = contest(work, options.rounds, cores)
        speed = {one.candidate: one.speed for one in contestants if one.says != "chymist, 1 thread"}
        base = contestants[0].speed
        for one in contestants:
            against = f"{one.speed / speed['jax']:.2f}" if "jax" in speed else ""
            print(
                f"| {work.name}: {work.says} | {one.says} | {one.speed:,.0f} "
                f"| {one.speed / base:.1f} | {against} | {100 * one.speed / speed['peak']:.0f} "
                f"| {one.first:.2f} | {one.memory:.0f} |",
                flush=True,
            )
            kept = {"says": one.says, "times": one.times, "first": one.first, "memory": one.memory}
            found.append({"workload": work.name, **kept})
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


main()

"""How much faster many networks train as lanes of one ensemble than one after another.

Run: .venv/bin/python benchmarks/engine.py

Three workloads, each trained with Adam: as a plain PyTorch loop over networks on one thread, and
by chymist on one thread and on all. The candidates take turns, several rounds; the table gives each
one's best round in steps x lanes a second, the first round's time (tracing and warm-up included),
and the ratio to the loop. Compare the ratios; the levels are the machine's.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import xarray as xr
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional

from chymist.bench import Bench, samples
from chymist.instruments import loss as training_loss
from chymist.models import MLP
from chymist.solvers import Adam


@dataclass(frozen=True)
class Workload:
    name: str
    says: str
    sizes: tuple[int, ...]
    lanes: int
    steps: int
    x: xr.DataArray
    y: xr.DataArray
    loss: Callable[[Tensor, Tensor], Tensor]
    batch: int | None = None

    def build(self) -> nn.Module:
        return MLP(*self.sizes, activation="tanh")


def squared(prediction: Tensor, target: Tensor) -> Tensor:
    return ((prediction - target) ** 2).mean()


def cross_entropy(prediction: Tensor, target: Tensor) -> Tensor:
    return functional.cross_entropy(prediction, target)


def workloads() -> list[Workload]:
    rng = np.random.default_rng(0)
    line = np.linspace(-np.pi, np.pi, 200)
    cloud = rng.normal(size=(20, 10))
    digits = load_digits()
    pixels, classes = digits.data[:1792] / 16, np.eye(10)[digits.target[:1792]]
    return [
        Workload("W1", "deep and narrow, full batch", (1, 200, 200, 200, 1), 64, 15,
                 samples(line), samples(np.sin(3 * line)), squared),
        Workload("W2", "tiny two-layer, full batch", (10, 50, 1), 256, 300,
                 samples(cloud), samples(np.sin(cloud.sum(1))), squared),
        Workload("W3", "digits, own minibatches of 64", (64, 128, 128, 10), 32, 240,
                 samples(pixels), samples(classes), cross_entropy, 64),
    ]  # fmt: skip


def loop(work: Workload) -> None:
    """What a user would do otherwise: one network after another."""
    x, y = (torch.as_tensor(a.values, dtype=torch.float32) for a in (work.x, work.y))
    generator = torch.Generator().manual_seed(0)
    for _ in range(work.lanes):
        network = work.build()
        optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
        order, used = torch.randperm(len(x), generator=generator), 0
        for _ in range(work.steps):
            rows = slice(None)
            if work.batch:
                if used + work.batch > len(x):
                    order, used = torch.randperm(len(x), generator=generator), 0
                rows, used = order[used : used + work.batch], used + work.batch
            optimizer.zero_grad()
            work.loss(network(x[rows]), y[rows]).backward()
            optimizer.step()


def ensemble(work: Workload) -> None:
    bench = Bench("benchmark", work.name, tuple(range(work.lanes)))
    networks = bench.networks(work.build)
    bench.train(networks, Adam(1e-3), work.x, work.y, steps=work.steps, loss=work.loss,
                batch=work.batch, record={training_loss: lambda steps: [steps]})  # fmt: skip


def seconds(run: Callable[[Workload], None], work: Workload, threads: int) -> float:
    torch.set_num_threads(threads)
    start = time.perf_counter()
    run(work)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    cores = os.cpu_count() or 1
    candidates = {
        "plain loop, 1 thread": (loop, 1),
        "chymist, 1 thread": (ensemble, 1),
        f"chymist, {cores} threads": (ensemble, cores),
    }
    print("| workload | candidate | steps x lanes / s | first round s | x loop |")
    print("|---|---|---|---|---|")
    for work in workloads():
        taken: dict[str, list[float]] = {name: [] for name in candidates}
        for _ in range(rounds):
            for name, (run, threads) in candidates.items():
                taken[name].append(seconds(run, work, threads))
        done = work.steps * work.lanes
        base = min(taken["plain loop, 1 thread"])
        for name, times in taken.items():
            print(
                f"| {work.name}: {work.says} | {name} | {done / min(times):,.0f} "
                f"| {times[0]:.2f} | {base / min(times):.1f} |"
            )


if __name__ == "__main__":
    main()

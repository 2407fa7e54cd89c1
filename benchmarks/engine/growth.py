"""How time and memory grow with the number of networks: two-layer networks, 10 to 10,000.

Run: .venv/bin/python benchmarks/engine/growth.py [--figure docs/images/growth.svg]

Each number of networks (10-50-1, 20 samples, full batch, Adam, 2,000 steps) is trained in a fresh
process on all cores, the loss recorded at some fifty log-spaced steps. Memory is what the process
grew by after its imports.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

COUNTS = (10, 30, 100, 300, 1000, 3000, 10_000)
STEPS = 2000


def measure(lanes: int) -> None:
    import torch
    from workloads import workloads

    from chymist.bench import Bench, samples
    from chymist.ensemble import log_spaced
    from chymist.instruments import loss
    from chymist.solvers import Adam

    torch.set_num_threads(os.cpu_count() or 1)
    (work,) = (w for w in workloads() if w.name == "W2")
    bench = Bench("benchmark", "growth", tuple(range(lanes)))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    networks = bench.networks(work.build)
    built = time.perf_counter()
    run = networks.train(Adam(1e-3), samples(work.x), samples(work.y), steps=STEPS,
                         loss=work.loss, record={loss: log_spaced()})  # fmt: skip
    end = time.perf_counter()
    memory = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert run.data.loss.notnull().all()
    found = {"networks": lanes, "build": built - start, "train": end - built, "memory": memory}
    print(json.dumps(found))


def draw(rows: list[dict[str, float]], path: Path) -> None:
    import altair as alt

    base = alt.Chart(alt.Data(values=rows)).properties(width=260, height=200)
    x = alt.X("networks:Q", scale=alt.Scale(type="log"), title="networks")
    panels = [
        base.mark_line(point=True).encode(
            x=x, y=alt.Y(f"{name}:Q", scale=alt.Scale(type="log"), title=title)
        )
        for name, title in (("seconds", "seconds"), ("memory", "memory (MiB)"))
    ]
    alt.hconcat(*panels).save(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", type=int)
    parser.add_argument("--figure", type=Path)
    options = parser.parse_args()
    if options.networks:
        measure(options.networks)
        return
    rows = []
    print("| networks | build s | train s | steps x networks / s | memory MiB |")
    print("|---|---|---|---|---|")
    for count in COUNTS:
        command = [sys.executable, __file__, "--networks", str(count)]
        found = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
        rows.append({**found, "seconds": found["build"] + found["train"]})
        speed = STEPS * count / found["train"]
        print(f"| {count:,} | {found['build']:.2f} | {found['train']:.2f} | {speed:,.0f} "
              f"| {found['memory']:.0f} |", flush=True)  # fmt: skip
    if options.figure:
        draw(rows, options.figure)


main()

"""How time and memory of the sharpness grow with parameters, samples and networks.

    python benchmarks/instruments/growth.py [--figure docs/images/curvature-growth.svg]

The top eigenvalue to 1e-3 of MLPs 64-w-w-10 on random data: widths up to ten million parameters at
100 samples, 100 to 10,000 samples at width 64, and 1 to 100 networks at once at width 32 and 100
samples. Each in a fresh process, on one thread; memory is what the process grew by after imports,
time that of the processor.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

SWEEPS = {
    "parameters": [(width, 100, 1) for width in (16, 256, 1024, 3130)],
    "samples": [(64, samples, 1) for samples in (100, 1000, 10_000)],
    "networks": [(32, 100, lanes) for lanes in (1, 10, 100)],
}


def measure(width: int, samples: int, lanes: int) -> None:
    import torch
    from lanes import at_once, built

    torch.set_num_threads(1)
    torch.random.manual_seed(0)
    models = [built(width) for _ in range(lanes)]
    x, y = torch.randn(samples, 64), torch.randint(0, 10, (samples,))
    at_once([built(4)], x[:2], y[:2])  # what a first call sets up is not counted
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()
    at_once(models, x, y)
    spent = time.process_time() - start
    memory = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    size = sum(p.numel() for p in models[0].parameters())
    found = {"parameters": size, "samples": samples, "networks": lanes}
    print(json.dumps({**found, "seconds": spent, "memory": memory}))


def draw(rows: dict[str, list[dict[str, float]]], path: Path) -> None:
    import altair as alt

    panels = []
    for sweep, found in rows.items():
        base = alt.Chart(alt.Data(values=found)).properties(width=200, height=160)
        x = alt.X(f"{sweep}:Q", scale=alt.Scale(type="log"), title=sweep)
        panels.append(
            alt.vconcat(
                *(
                    base.mark_line(point=True).encode(
                        x=x, y=alt.Y(f"{name}:Q", scale=alt.Scale(type="log"), title=title)
                    )
                    for name, title in (("seconds", "seconds"), ("memory", "memory (MiB)"))
                )
            )
        )
    alt.hconcat(*panels).save(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--one", type=int, nargs=3)
    parser.add_argument("--figure", type=Path)
    options = parser.parse_args()
    if options.one:
        measure(*options.one)
        return
    rows: dict[str, list[dict[str, float]]] = {}
    print("| parameters | samples | networks | seconds | memory MiB |")
    print("|---|---|---|---|---|")
    for sweep, points in SWEEPS.items():
        for point in points:
            command = [sys.executable, __file__, "--one", *map(str, point)]
            found = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
            rows.setdefault(sweep, []).append(found)
            print(f"| {found['parameters']:,} | {found['samples']:,} | {found['networks']} "
                  f"| {found['seconds']:.3f} | {found['memory']:.0f} |", flush=True)  # fmt: skip
    if options.figure:
        draw(rows, options.figure)


if __name__ == "__main__":
    main()

"""Transforms at uneven places and graph filters: time against what one would write, one thread.

    python benchmarks/instruments/frequency.py [--rounds 5] [--json FILE] [--figure FILE.svg]

The plain ways are a loop over frequencies in NumPy, and for the filter the kernel of each width
from distances, normalised and multiplied, as in the public notebooks on the frequency principle;
"distances anew" computes them for every width. scikit-learn gives its kernels. FINUFFT, where it is
installed, is an approximation to a stated tolerance, here 1e-12. "8 lanes" records 3 widths of 8
networks at one step, filters kept, against a loop over networks, kernels kept too. Rounds go in
turns, the least time of each counts; on a shared machine only ratios mean something. Figures are
drawn of a training by `--figure`.
"""

from __future__ import annotations

import argparse
import json
import time
from functools import partial
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.metrics.pairwise import rbf_kernel

from chymist import figures, models
from chymist.bench import Bench, samples
from chymist.ensemble import log_spaced
from chymist.instruments import (
    choose_widths,
    low_passed,
    nudft,
    training_filter_error,
    training_frequency_error,
)
from chymist.rendering import render
from chymist.solvers import Adam

try:
    import finufft
except ImportError:
    finufft = None

SAMPLES, FEATURES, OUTPUTS = 2000, 64, 10


def transforms(frequencies):
    draw = np.random.default_rng(0)
    u, y = draw.random(SAMPLES), draw.normal(size=(SAMPLES, OUTPUTS))
    places, values = torch.tensor(u), torch.tensor(y)
    k = np.arange(1, frequencies + 1)

    def loop():
        return np.stack([np.exp(-2j * np.pi * f * u) @ y for f in k])

    def fast():
        found = finufft.nufft1d1(
            2 * np.pi * u, y.T.astype(complex), 2 * frequencies + 2, eps=1e-12, isign=-1, nthreads=1
        )
        return found[:, frequencies + 2 :].T

    found = {"chymist": lambda: nudft(places, values, k).numpy(), "NumPy, a loop": loop}
    if finufft is not None:
        found["FINUFFT"] = fast
    return found


def data():
    draw = np.random.default_rng(1)
    return draw.normal(size=(SAMPLES, FEATURES)), draw.normal(size=(SAMPLES, OUTPUTS))


def filters(count):
    x, y = data()
    rows, values = torch.tensor(x), torch.tensor(y)
    widths = np.geomspace(10, 100, count)

    def distances():
        squares = (x**2).sum(1)
        return squares[:, None] + squares[None] - 2 * x @ x.T

    def low(kernel):
        return (kernel @ y) / kernel.sum(1, keepdims=True)

    def kept():
        d2 = distances()
        return np.stack([low(np.exp(-d2 / 2 / w)) for w in widths])

    return {
        "chymist": lambda: low_passed(rows, values, widths).numpy(),
        "NumPy": kept,
        "NumPy, distances anew": lambda: np.stack([low(np.exp(-distances() / 2 / w))
                                                   for w in widths]),
        "scikit-learn": lambda: np.stack([low(rbf_kernel(x, gamma=0.5 / w)) for w in widths]),
    }  # fmt: skip


def lanes(networks=8):
    from chymist.instruments import Snapshot

    count = 1000
    x, y = (torch.tensor(v[:count], dtype=torch.float32) for v in data())
    out = torch.randn(networks, count, OUTPUTS, generator=torch.Generator().manual_seed(0))
    widths = [10.0, 30.0, 100.0]
    instrument = training_filter_error(widths)
    snapshot = Snapshot(0, dict, lambda _: out, lambda v: v, x, y, lambda p: p.sum((1, 2)))
    instrument.measure(snapshot)
    d2 = ((x[:, None] - x[None]) ** 2).sum(2).numpy()
    kernels = [np.exp(-d2 / 2 / w) for w in widths]

    def loop():
        found = np.empty((networks, 2, len(widths)))
        for lane in range(networks):
            for i, kernel in enumerate(kernels):
                sums = kernel.sum(1, keepdims=True)
                low_y, low_h = ((kernel @ v) / sums for v in (y.numpy(), out[lane].numpy()))
                high_y, high_h = y.numpy() - low_y, out[lane].numpy() - low_h
                found[lane, 0, i] = np.linalg.norm(low_y - low_h) / np.linalg.norm(low_y)
                found[lane, 1, i] = np.linalg.norm(high_y - high_h) / np.linalg.norm(high_y)
        return found

    return {"chymist": lambda: instrument.measure(snapshot).numpy(), "NumPy, a loop": loop}


def compare(candidates, rounds):
    times = {name: [] for name in candidates}
    found = {}
    for _ in range(rounds):
        for name, run in candidates.items():
            start = time.perf_counter()
            found[name] = run()
            times[name].append(time.perf_counter() - start)
    least = {name: min(t) for name, t in times.items()}
    exact = found["NumPy" if "NumPy" in found else "NumPy, a loop"]
    return {
        name: {
            "seconds": s,
            "times chymist": s / least["chymist"],
            "apart": float(np.abs(found[name] - exact).max() / np.abs(exact).max()),
        }
        for name, s in least.items()
    }


def figure(path):
    """Draw errors of parts and of frequencies of networks that learn digits."""
    digits = load_digits()
    x, y = digits.data[:1000] / 16, np.eye(10)[digits.target[:1000]]
    widths = [round(w, 2) for w in choose_widths(torch.tensor(x), torch.tensor(y), (0.5, 0.8))]
    bench = Bench("benchmarks", "frequency", tuple(range(8)))
    networks = bench.networks(
        lambda: models.MLP(64, 128, 128, 10, activation="relu"),
        partial(models.gaussian_start, first_gain=0.5 * (2 / 64) ** 0.5, gain=0.5 * 2**0.5),
    )
    run = bench.train(
        networks, Adam(1e-3), samples(x), samples(y), steps=300,
        record={training_filter_error(widths): log_spaced(60),
                training_frequency_error([0.5, 1, 2, 4]): log_spaced(60)},
    ).data  # fmt: skip
    words = {"scale": "log", "x_scale": "log", "x_title": "updates", "domain": (3e-3, 3)}
    parts = run.filter_error.stack(curve=("part", "filter"))
    names = [f"{part}, d = {width:g}" for part, width in parts.curve.values]
    parts = parts.drop_vars(["curve", "part", "filter"]).assign_coords(curve=names)
    left = figures.measured(
        parts, "step", colour="curve", colour_title="part", title="relative error", **words
    ).properties(title="filtered on the graph of inputs")
    right = figures.measured(
        run.frequency_error, "step", colour="band", colour_title="cycles",
        title="relative error", **words,
    ).properties(title="along the first principal direction")  # fmt: skip
    chart = (left | right).resolve_scale(color="independent")
    path.write_bytes(render(chart.to_dict(), "svg"))
    for name in ("filter_error", "frequency_error"):
        late = run[name].mean("seed").sel(step=[10, 50, 250], method="nearest")
        print(late.to_series().unstack("step").round(3))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--figure", type=Path)
    given = parser.parse_args()
    if given.figure:
        figure(given.figure)
        return
    torch.set_num_threads(1)
    results = {}
    for name, candidates in (
        ("transform, 8 frequencies", transforms(8)),
        ("transform, 200 frequencies", transforms(200)),
        ("filter, 1 width", filters(1)),
        ("filter, 20 widths", filters(20)),
        ("8 lanes, 3 widths, 1000 samples", lanes()),
    ):
        results[name] = compare(candidates, given.rounds)
        print(name)
        for candidate, row in results[name].items():
            print(
                f"  {candidate:24} {1e3 * row['seconds']:8.1f} ms  {row['times chymist']:6.2f}x"
                f"  apart {row['apart']:.0e}"
            )
    if given.json:
        given.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()

"""Top-5 Hessian eigenvalues against curvlinops and PyHessian, at equal accuracy, on one thread.

Each candidate takes the loosest of its tolerances that brings all five eigenvalues within 1e-5
(relative) of a float64 reference; PyHessian is measured at its default too, whatever its error,
and chymist at that error beside it.
All are timed in turns by the processor time of their one thread, and the least of each counts. A
peer that is not installed, or fails, is said to be so.

    python benchmarks/instruments/curvature.py [--rounds 5] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn

from chymist.instruments import sharpness

ACCURACY = 1e-5
K = 5


class Block(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.a = nn.Conv2d(channels, channels, 3, padding=1)
        self.b = nn.Conv2d(channels, channels, 3, padding=1)
        self.norms = nn.ModuleList([nn.BatchNorm2d(channels), nn.BatchNorm2d(channels)])

    def forward(self, x):
        out = torch.relu(self.norms[0](self.a(x)))
        return torch.relu(x + self.norms[1](self.b(out)))


class Transformer(nn.Module):
    """Two layers over the eight rows of a digit; attention by its formula, for the peers' sake."""

    def __init__(self, width=24, heads=2):
        super().__init__()
        self.read, self.write, self.heads = nn.Linear(8, width), nn.Linear(width, 10), heads
        self.place = nn.Parameter(0.1 * torch.randn(8, width))
        self.layers = nn.ModuleList(
            nn.ModuleDict(
                {
                    "norm1": nn.LayerNorm(width),
                    "qkv": nn.Linear(width, 3 * width),
                    "out": nn.Linear(width, width),
                    "norm2": nn.LayerNorm(width),
                    "up": nn.Linear(width, 2 * width),
                    "down": nn.Linear(2 * width, width),
                }
            )
            for _ in range(2)
        )

    def forward(self, x):
        h = self.read(x.view(-1, 8, 8)) + self.place
        for layer in self.layers:
            q, k, v = (
                t.unflatten(-1, (self.heads, -1)).transpose(1, 2)
                for t in layer["qkv"](layer["norm1"](h)).chunk(3, dim=-1)
            )
            weights = (q @ k.mT / q.shape[-1] ** 0.5).softmax(-1)
            h = h + layer["out"]((weights @ v).transpose(1, 2).flatten(2))
            h = h + layer["down"](nn.functional.gelu(layer["up"](layer["norm2"](h))))
        return self.write(h.mean(1))


def picture():
    return nn.Unflatten(1, (1, 8, 8))


MODELS = {
    "MLP": (lambda: nn.Sequential(
        nn.Linear(64, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 10)
    ), 1000),
    "CNN": (lambda: nn.Sequential(
        picture(), nn.Conv2d(1, 8, 3, padding=1), nn.Tanh(), nn.AvgPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1), nn.Tanh(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(64, 10)
    ), 300),
    "ResNet": (lambda: nn.Sequential(
        picture(), nn.Conv2d(1, 12, 3, padding=1), Block(12), nn.AvgPool2d(2), Block(12),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(12, 10)
    ), 200),
    "Transformer": (Transformer, 200),
}  # fmt: skip


def trained(build, n):
    torch.random.manual_seed(0)
    model, data = build(), load_digits()
    x = torch.tensor(data.data[:n] / 16, dtype=torch.float32)
    y = torch.tensor(data.target[:n])
    adam = torch.optim.Adam(model.parameters(), 3e-3)
    for _ in range(150):
        adam.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        adam.step()
    adam.zero_grad()
    return model.eval(), x, y


def ours(model, x, y, tolerance, block=None):
    found = sharpness(
        model, nn.CrossEntropyLoss(), (x, y), K, end="magnitude", tolerance=tolerance, block=block
    )
    return found.values.numpy()


def ours_single(model, x, y, tolerance):
    return ours(model, x, y, tolerance, block=1)


def curvlinops(model, x, y, tolerance, checked=False, k=K):
    import scipy.sparse.linalg
    from curvlinops import HessianLinearOperator

    operator = HessianLinearOperator(
        model, nn.CrossEntropyLoss(), list(model.parameters()), [(x, y)],
        check_deterministic=checked,
    ).to_scipy()  # fmt: skip
    start = np.random.default_rng(0).normal(size=operator.shape[0]).astype(np.float32)
    return scipy.sparse.linalg.eigsh(
        operator, k, which="LM", tol=tolerance, v0=start, return_eigenvectors=False
    )


def curvlinops_default(model, x, y, tolerance):
    return curvlinops(model, x, y, tolerance, checked=True)


def pyhessian(model, x, y, tolerance, rounds=2000):
    from pyhessian import hessian

    model.zero_grad()
    made = hessian(model, nn.CrossEntropyLoss(), data=(x, y), cuda=False)
    values, _ = made.eigenvalues(maxIter=rounds, tol=tolerance, top_n=K)
    model.zero_grad()
    return np.array(values)


def pyhessian_default(model, x, y, tolerance):
    return pyhessian(model, x, y, tolerance, rounds=100)


LIKE = "chymist, as exact"
"""As exact as PyHessian at its default."""
CANDIDATES = {
    "chymist": (ours, [1e-1, 1e-2, 1e-3, 1e-4, 1e-5]),
    "chymist, block=1": (ours_single, [1e-1, 1e-2, 1e-3, 1e-4, 1e-5]),
    "curvlinops + eigsh": (curvlinops, [1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6]),
    "curvlinops, default": (curvlinops_default, [0.0]),
    "PyHessian": (pyhessian, [1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9]),
    "PyHessian, default": (pyhessian_default, [1e-3]),
    LIKE: (ours, [1e-1, 3e-2, 1e-2, 3e-3, 1e-3]),
}
DEFAULTS = [name for name in CANDIDATES if name.endswith("default")]


def error(found, exact):
    by_size = np.array(sorted(found, key=abs, reverse=True))
    return float(np.abs((by_size - exact) / exact).max())


def setting(run, tolerances, model, x, y, exact, accuracy):
    """Return the loosest tolerance that is accurate enough, or None and why not."""
    best = np.inf
    for tolerance in tolerances:
        try:
            best = min(best, now := error(run(model, x, y, tolerance), exact))
        except Exception as why:
            return None, f"{type(why).__name__}: {why}"[:100]
        if now <= accuracy:
            return tolerance, now
    return None, f"no better than {best:.1e}"


def compare(name, rounds):
    build, n = MODELS[name]
    model, x, y = trained(build, n)
    options = {"end": "magnitude", "tolerance": 1e-11, "dtype": torch.float64}
    found = sharpness(model, nn.CrossEntropyLoss(), (x, y), K, **options)
    exact = found.values.numpy()
    size = sum(p.numel() for p in model.parameters())
    result = {"parameters": size, "samples": n}
    settings = {}
    for candidate, (run, tolerances) in CANDIDATES.items():
        asked = np.inf if candidate in DEFAULTS else ACCURACY
        if candidate == LIKE and settings["PyHessian, default"][0] is not None:
            asked = settings["PyHessian, default"][1]
        settings[candidate] = setting(run, tolerances, model, x, y, exact, asked)
    times = {c: [] for c in CANDIDATES}
    for _ in range(rounds):
        for candidate, (run, _) in CANDIDATES.items():
            tolerance, _ = settings[candidate]
            if tolerance is not None:
                start = time.process_time()
                run(model, x, y, tolerance)
                times[candidate].append(time.process_time() - start)
    for candidate, (tolerance, reached) in settings.items():
        if tolerance is None:
            result[candidate] = {"failed": reached}
        else:
            result[candidate] = {
                "tolerance": tolerance, "error": reached, "seconds": min(times[candidate]),
                "times chymist": min(times[candidate]) / min(times["chymist"]),
            }  # fmt: skip
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--models", nargs="*", default=list(MODELS))
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    results = {}
    for name in given.models:
        results[name] = compare(name, given.rounds)
        made = results[name]
        print(f"{name}, {made['parameters']} parameters, {made['samples']} samples")
        for candidate in CANDIDATES:
            row = made[candidate]
            if "failed" in row:
                print(f"  {candidate:20} failed: {row['failed']}")
            else:
                print(
                    f"  {candidate:20} {1e3 * row['seconds']:8.1f} ms  {row['times chymist']:6.2f}x"
                    f"  error {row['error']:.0e} at tolerance {row['tolerance']:.0e}"
                )
    if given.json:
        given.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()

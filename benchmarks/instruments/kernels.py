"""Empirical tangent kernels, summed over outputs: time against plain torch.func, one thread.

    python benchmarks/instruments/kernels.py [--rounds 7] [--json FILE]

The plain way is the one of PyTorch's tutorial on tangent kernels, vmap(jacrev) and a sum of einsums
over the parameters; "matmul" writes the sum as products of flattened Jacobians. Rounds go in turns;
the least processor time of the one thread counts.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import torch
from torch import nn
from torch.func import functional_call, jacrev, vmap

from chymist.instruments import ntk

SAMPLES = 256
MODELS = {
    "MLP 64-256-256-10": lambda: nn.Sequential(
        nn.Linear(64, 256), nn.Tanh(), nn.Linear(256, 256), nn.Tanh(), nn.Linear(256, 10)
    ),
    "CNN 16-32": lambda: nn.Sequential(
        nn.Unflatten(1, (1, 8, 8)), nn.Conv2d(1, 16, 3, padding=1), nn.Tanh(), nn.AvgPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.Tanh(), nn.AvgPool2d(2), nn.Flatten(),
        nn.Linear(128, 10),
    ),
}  # fmt: skip


def jacobians(model, x):
    own = {n: p.detach() for n, p in model.named_parameters()}

    def one(parameters, sample):
        return functional_call(model, parameters, (sample[None],))[0]

    return vmap(jacrev(one), (None, 0))(own, x).values()


def einsums(model, x):
    return sum(torch.einsum("Naf,Maf->NM", j.flatten(2), j.flatten(2)) for j in jacobians(model, x))


def matmuls(model, x):
    return sum(j.flatten(1) @ j.flatten(1).T for j in jacobians(model, x))


CANDIDATES = {"chymist": ntk, "jacrev + einsum": einsums, "jacrev + matmul": matmuls}


def compare(build, rounds):
    torch.random.manual_seed(0)
    model, x = build(), torch.randn(SAMPLES, 64)
    exact = ntk(model, x, dtype=torch.float64)
    times = {name: [] for name in CANDIDATES}
    errors = {}
    for _ in range(rounds):
        for name, run in CANDIDATES.items():
            start = time.process_time()
            found = run(model, x)
            times[name].append(time.process_time() - start)
            errors[name] = float((found - exact).norm() / exact.norm())
    least = {name: min(t) for name, t in times.items()}
    return {
        name: {"seconds": s, "times chymist": s / least["chymist"], "error": errors[name]}
        for name, s in least.items()
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    results = {}
    for model, build in MODELS.items():
        results[model] = compare(build, given.rounds)
        print(f"{model}, {SAMPLES} samples")
        for name, row in results[model].items():
            print(
                f"  {name:18} {1e3 * row['seconds']:8.1f} ms  {row['times chymist']:6.2f}x"
                f"  error {row['error']:.0e}"
            )
    if given.json:
        given.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()

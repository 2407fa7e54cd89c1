"""Trace and spectral density of a Hessian: error and time against curvlinops and eigenthings.

Trace: the root of the mean squared relative error over `--seeds` draws, at equal numbers of
products with the dense float64 Hessian. Density: the Wasserstein-1 distance of the quadrature to
the exact spectrum over its largest eigenvalue, and the least processor time of one thread, at four
probes of 60 steps. A peer that is not installed is left out.

    python benchmarks/instruments/stochastic.py [--seeds 12] [--rounds 3] [--models MLP CNN]
"""

from __future__ import annotations

import argparse
import time
import warnings

import numpy as np
import scipy.stats
import torch
from curvature import MODELS, trained
from torch import nn

from chymist.instruments import dense, hessian, objective, spectral_density
from chymist.instruments.operators import from_matrix
from chymist.instruments.probes import one_key
from chymist.instruments.trace import METHODS

PRODUCTS = (30, 60)
PROBES, STEPS = 4, 60


def traces(matrix, seeds):
    true = float(matrix.trace())
    found = {}
    for products in PRODUCTS:
        for seed in range(seeds):
            for method in METHODS:
                values = METHODS[method](from_matrix(matrix), one_key(seed, "trace"), products)
                found.setdefault((products, method), []).append(float(values.mean()))
            try:
                from curvlinops import hutchpp_trace
            except ImportError:
                continue
            torch.random.manual_seed(seed)
            value = hutchpp_trace(matrix, products)
            found.setdefault((products, "curvlinops Hutch++"), []).append(float(value))
    return {k: np.sqrt(np.mean((np.array(v) / true - 1) ** 2)) for k, v in found.items()}


def ours(model, x, y, seed):
    found = spectral_density(
        model, nn.CrossEntropyLoss(), (x, y), probes=PROBES, steps=STEPS, seed=seed
    )
    return found.nodes, found.weights


def eigenthings(model, x, y, seed):
    from hessian_eigenthings import HessianOperator, spectral_density, supervised_loss

    operator = HessianOperator(model, [(x, y)], supervised_loss(nn.CrossEntropyLoss()))
    found = spectral_density(operator, num_runs=PROBES, lanczos_steps=STEPS, seed=seed)
    return found.raw_eigenvalues.nan_to_num(0), found.raw_weights


def densities(model, x, y, exact, rounds):
    made = {}
    for seed in range(rounds):
        for name, run in {"chymist": ours, "eigenthings": eigenthings}.items():
            start = time.process_time()
            try:
                nodes, weights = run(model, x, y, seed)
            except ImportError:
                continue
            spent = time.process_time() - start
            distance = scipy.stats.wasserstein_distance(
                nodes.flatten().numpy(), exact, weights.flatten().clamp(min=0).numpy()
            )
            made.setdefault(name, []).append((spent, distance / np.abs(exact).max()))
    return {n: (min(t for t, _ in v), np.mean([d for _, d in v])) for n, v in made.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--models", nargs="*", default=["MLP", "CNN"])
    given = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    for name in given.models:
        build, n = MODELS[name]
        model, x, y = trained(build, n)
        made = objective(model, nn.CrossEntropyLoss(), (x, y), dtype=torch.float64)
        matrix = dense(hessian(made))[0]
        print(f"{name}, {len(matrix)} parameters, {n} samples")
        found = densities(model, x, y, torch.linalg.eigvalsh(matrix).numpy(), given.rounds)
        for peer, (spent, distance) in found.items():
            ratio = spent / found["chymist"][0]
            print(f"  density, {peer:20} {spent:6.2f} s  {ratio:5.2f}x  distance {distance:.1e}")
        for (products, method), error in traces(matrix, given.seeds).items():
            print(f"  trace, {products} products, {method:20} error {error:.1e}", flush=True)


if __name__ == "__main__":
    main()

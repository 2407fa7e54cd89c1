"""Sharpness of 32 networks at once against curvlinops and this library, called 32 times.

Top eigenvalue to 1e-3 of a stack of MLPs on digits: narrow ones, of which a call's overhead takes
most of the time, and wide ones, which are arithmetic. Least processor time of one thread over the
rounds, in turns.

    python benchmarks/instruments/lanes.py [--rounds 3] [--lanes 32]
"""

from __future__ import annotations

import argparse
import time
import warnings

import numpy as np
import torch
from curvature import curvlinops
from sklearn.datasets import load_digits
from torch import nn
from torch.func import stack_module_state

from chymist.instruments import eigenpairs, hessian, sharpness
from chymist.instruments.objective import Objective, Piece, together

CASES = {"dispatch bound": (8, 32), "between": (32, 200), "compute bound": (256, 200)}
TOLERANCE = 1e-3


def built(width):
    return nn.Sequential(
        nn.Linear(64, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh(), nn.Linear(width, 10)
    )


def at_once(models, x, y):
    """Measure as a training does: stacked parameters, one product for all lanes."""
    stacked, _ = stack_module_state(models)

    def outputs(parameters):
        h = x.expand(len(models), *x.shape)
        for layer in (0, 2, 4):
            bias, weight = parameters[f"{layer}.bias"], parameters[f"{layer}.weight"]
            h = torch.baddbmm(bias[:, None], h, weight.mT)
            h = h.tanh() if layer < 4 else h
        return h

    def losses(out):
        goal = y.expand(len(models), -1)
        each = nn.functional.cross_entropy(out.flatten(0, 1), goal.flatten(), reduction="none")
        return each.view(len(models), -1).mean(1)

    made = Objective(stacked, (Piece(outputs, losses),), together(stacked, len(x)))
    return eigenpairs(hessian(made), 1, end="magnitude", tolerance=TOLERANCE).values[:, 0].numpy()


def one_by_one(models, x, y):
    return [
        sharpness(
            m, nn.CrossEntropyLoss(), (x, y), end="magnitude", tolerance=TOLERANCE
        ).values.item()
        for m in models
    ]  # fmt: skip


def peer(models, x, y):
    return [np.abs(curvlinops(m, x, y, TOLERANCE, k=1)).max() for m in models]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--lanes", type=int, default=32)
    given = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    data = load_digits()
    for name, (width, n) in CASES.items():
        torch.random.manual_seed(0)
        models = [built(width) for _ in range(given.lanes)]
        x = torch.tensor(data.data[:n] / 16, dtype=torch.float32)
        y = torch.tensor(data.target[:n])
        best, values = {}, {}
        for _ in range(given.rounds):
            for run in (at_once, one_by_one, peer):
                start = time.process_time()
                try:
                    values[run.__name__] = np.abs(np.array(run(models, x, y)))
                except ImportError:
                    continue
                spent = time.process_time() - start
                best[run.__name__] = min(best.get(run.__name__, np.inf), spent)
        print(f"{name}: width {width}, {n} samples, {given.lanes} lanes")
        for run, spent in best.items():
            off = np.abs(values[run] / values["one_by_one"] - 1).max()
            ratio = spent / best["at_once"]
            print(f"  {run:12} {1e3 * spent:9.1f} ms {ratio:6.2f}x  apart {off:.0e}", flush=True)


if __name__ == "__main__":
    main()

"""Norms, mean and variance of single samples' gradients against BackPACK, on one thread.

In units of a plain forward and backward pass, the least of many rounds in turns. `sampler` is
checked once, `one call` checks the model and the loss each time. BackPACK is left out where it is
not installed.

    python benchmarks/instruments/noise.py [--rounds 60]
"""

from __future__ import annotations

import argparse
import copy
import time
import warnings

import torch
from torch import nn

from chymist import instruments
from chymist.instruments.per_sample import samples_of

MODELS = {
    "MLP": lambda: nn.Sequential(
        nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 10)
    ),
    "CNN": lambda: nn.Sequential(
        nn.Unflatten(1, (1, 8, 8)), nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(),
        nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(1024, 10),
    ),
}  # fmt: skip


def candidates(model, x, y):
    loss = nn.CrossEntropyLoss()
    take = instruments.sampler(model, loss, (x, y))

    def plain():
        model.zero_grad()
        loss(model(x), y).backward()

    made = {
        "plain": plain,
        "norms, sampler": lambda: take((x, y)).squares(),
        "all, sampler": lambda: take((x, y)).moments(),
        "all, one call": lambda: samples_of(model, loss, (x, y)).moments(),
    }
    try:
        from backpack import backpack, extend
        from backpack.extensions import BatchL2Grad, SumGradSquared
    except ImportError:
        return made
    extended, extended_loss = extend(copy.deepcopy(model)), extend(nn.CrossEntropyLoss())

    def peer(*extensions):
        extended.zero_grad()
        value = extended_loss(extended(x), y)
        with backpack(*extensions):
            value.backward()

    made["norms, BackPACK"] = lambda: peer(BatchL2Grad())
    made["all, BackPACK"] = lambda: peer(BatchL2Grad(), SumGradSquared())
    return made


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=60)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    for name, build in MODELS.items():
        torch.random.manual_seed(0)
        x, y = torch.randn(128, 64), torch.randint(0, 10, (128,))
        made = candidates(build(), x, y)
        best = dict.fromkeys(made, float("inf"))
        for _ in range(rounds):
            for candidate, run in made.items():
                start = time.perf_counter()
                run()
                best[candidate] = min(best[candidate], time.perf_counter() - start)
        told = ", ".join(f"{c} {t / best['plain']:.2f}" for c, t in best.items())
        print(f"{name}: {told}")


if __name__ == "__main__":
    main()

"""How often rules speak of small healthy networks at random, before their first step.

Run: .venv/bin/python benchmarks/doctor/false_alarms.py [--draws 1000]

Widths 8 to 64, one to four hidden layers, ReLU, tanh or GELU, PyTorch's default initialisation or
He's, linear teachers as classes or numbers, batches of 16 to 128, SGD with and without momentum at
a twentieth to a fifth of the largest stable step for the batch (what a careful user finds), Adam
and AdamW at 1e-3 or 3e-3 with decays up to 0.01. Counted are findings above a note, by rule, with
the upper end of Wilson's 95 % interval, and the largest value of each number that has a threshold.
"""

from __future__ import annotations

import argparse
import itertools
import warnings
from collections import Counter

import torch
from score import wilson
from torch import nn

import chymist
from chymist.instruments import sharpness


def drawn(seed: int) -> chymist.Checkup:
    """Examine the healthy network of a seed."""
    torch.manual_seed(seed)

    def pick(*among: object) -> object:
        return among[int(torch.randint(0, len(among), ()))]

    width, depth = int(pick(8, 16, 32, 64)), int(pick(1, 2, 3, 4))  # type: ignore[call-overload]
    kind = pick(nn.ReLU, nn.Tanh, nn.GELU)
    classes, samples = bool(pick(True, False)), int(pick(16, 32, 64, 128))  # type: ignore[call-overload]
    layers: list[nn.Module] = []
    sizes = [10, *[width] * depth]
    for inner, outer in itertools.pairwise(sizes):
        layers += [nn.Linear(inner, outer), kind()]  # type: ignore[operator]
    model = nn.Sequential(*layers, nn.Linear(width, 5 if classes else 1))
    if pick(True, False):
        for layer in model:
            if isinstance(layer, nn.Linear):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                nn.init.zeros_(layer.bias)
    x = torch.randn(samples, 10)
    teacher = torch.randn(10, 5)
    y = (x @ teacher).argmax(1) if classes else (x @ teacher[:, :1]) / 10**0.5
    loss = nn.CrossEntropyLoss() if classes else nn.MSELoss()
    if pick(True, False):
        sharp = float(sharpness(model, loss, (x, y), tolerance=0.01).values[0])
        momentum = float(pick(0.0, 0.9))  # type: ignore[arg-type]
        lr = float(pick(0.05, 0.1, 0.2)) * (2 + 2 * momentum) / sharp  # type: ignore[arg-type]
        made: torch.optim.Optimizer = torch.optim.SGD(model.parameters(), lr, momentum=momentum)
    else:
        rule = pick(torch.optim.Adam, torch.optim.AdamW)
        lr, decay = pick(1e-3, 3e-3), pick(0.0, 1e-4, 1e-2)
        made = rule(model.parameters(), lr=lr, weight_decay=decay)  # type: ignore[operator]
    return chymist.preflight(model, loss, (x, y), made)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0)
    given = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    found: Counter[str] = Counter()
    largest: Counter[str] = Counter()
    for seed in range(given.first, given.first + given.draws):
        made = drawn(seed)
        for rule in {f.rule for f in made.findings if f.severity != "note"}:
            found[rule] += 1
            print(f"seed {seed}: {[f.says for f in made.findings if f.rule == rule]}")
        end, start = (made.chart.last(f"trial_{n}") for n in ("end", "start"))
        left = end.value / start.value if end is not None and start is not None else 0.0
        numbers = {"left after the trial": left}
        for name in ("trial_rise", "twin_units"):
            last = made.chart.last(name)
            numbers[name] = max(last.values.values(), default=0.0) if last is not None else 0.0
        for name, value in numbers.items():
            largest[name] = max(largest[name], value)  # type: ignore[assignment]
    for rule, count in found.items():
        most = wilson(count / given.draws, given.draws)[1]
        print(f"{rule}: {count} of {given.draws}, at most {most:.3f}")
    print(f"nothing else; an upper end of 0: {wilson(0.0, given.draws)[1]:.4f}")
    print(dict(largest))


if __name__ == "__main__":
    main()

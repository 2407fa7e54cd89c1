"""How often rules speak of small healthy networks at random, before their first step.

Run: .venv/bin/python benchmarks/doctor/false_alarms.py [--draws 1000]

Widths 8 to 64, one to four hidden layers, ReLU, tanh or GELU, PyTorch's default initialisation or
He's, linear teachers as classes or numbers, batches of 16 to 128, SGD with and without momentum at
a twentieth to a fifth of the largest stable step for the batch, Adam
and AdamW at 1e-3 or 3e-3 with decays up to 0.01. Counted are findings above a note, by rule, with
the upper end of Wilson's 95 % interval, and the largest value of each number that has a threshold.
Where the start is flat, a fifth of what is stable there is not stable for long: a network whose
loss on its batch is not finite, or comes above 1.5 times its start, within 100 steps is no healthy
one, and is counted apart.
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

SOUND, STEPS = 1.5, 100
"""What a healthy training stays below, over its first loss, and for how many steps."""


def drawn(seed: int) -> tuple[chymist.Checkup, bool]:
    """Examine the network of a seed; whether its training is healthy."""
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
    found = chymist.preflight(model, loss, (x, y), made)
    losses = []
    for _ in range(STEPS):
        made.zero_grad()
        value = loss(model(x), y)
        value.backward()
        made.step()
        losses.append(float(value.detach()))
    # Not below: a loss that is no number is no healthy one.
    return found, all(v <= SOUND * losses[0] for v in losses)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0)
    given = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    found: Counter[str] = Counter()
    largest: Counter[str] = Counter()
    told = ill = 0
    for seed in range(given.first, given.first + given.draws):
        made, healthy = drawn(seed)
        if not healthy:
            ill += 1
            told += made.worst not in (None, "note")
            continue
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
    sound = given.draws - ill
    for rule, count in found.items():
        print(f"{rule}: {count} of {sound}, at most {wilson(count / sound, sound)[1]:.3f}")
    print(f"nothing else; an upper end of 0: {wilson(0.0, sound)[1]:.4f}")
    print(f"{ill} of {given.draws} trainings are no healthy ones; something was said of {told}")
    print(dict(largest))


if __name__ == "__main__":
    main()

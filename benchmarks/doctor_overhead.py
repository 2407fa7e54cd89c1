"""What the doctor costs a training step: its economy set at every step, every 10th, by its budget.

Run: .venv/bin/python benchmarks/doctor_overhead.py [--steps 300] [--rounds 5]

The set is that of Cockpit's economy configuration: norms of gradients, sizes of updates, statistics
of single samples' gradients, the noise scale. Networks and batch (128) are those that Cockpit 1.0.2
was timed on: MLP 64-256-256-10, every step 149 times a plain step; CNN 1-16-32 on 8x8, 9 to 10
times (it does not import with today's setuptools, so these are figures measured before, on another
day). A plain and a watched training take turns step by step, so that both feel the same load; the
figure is the ratio of their processor times; the schedule's clock, which runs on in both, is given
half the budget. The last column is the share of the wall time that the schedule counted.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from statistics import median

import torch
from torch import nn
from torch.nn import functional

import chymist
from chymist.doctor.quantities.gradients import GRADIENTS
from chymist.doctor.quantities.noise import NOISE
from chymist.doctor.quantities.updates import UPDATES

ECONOMY = (GRADIENTS, UPDATES, NOISE)
COCKPIT = {"MLP": "149", "CNN": "9 to 10"}
BATCH = 128


def mlp() -> nn.Module:
    return nn.Sequential(
        nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 10)
    )


def cnn() -> nn.Module:
    return nn.Sequential(
        nn.Unflatten(1, (1, 8, 8)), nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(),
        nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(),
        nn.Linear(512, 10),
    )  # fmt: skip


def stepping(model: nn.Module) -> tuple[torch.optim.Optimizer, Callable[[], float]]:
    x, y = torch.randn(BATCH, 64), torch.randint(0, 10, (BATCH,))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)

    def step() -> float:
        start = time.process_time()
        optimizer.zero_grad()
        functional.cross_entropy(model(x), y).backward()
        optimizer.step()
        return time.process_time() - start

    return optimizer, step


def ratio(made: Callable[[], nn.Module], steps: int, **options: object) -> tuple[float, float]:
    """Return watched over plain time of a step, and the schedule's own count of the share."""
    torch.manual_seed(0)
    plain, watched = made(), made()
    optimizer, own = stepping(watched)
    _, other = stepping(plain)
    warm = max(5, steps // 10)
    with chymist.watch(watched, functional.cross_entropy, optimizer, **options) as w:  # type: ignore[arg-type]
        for _ in range(warm):
            own(), other()
        spent, elapsed = w.schedule.spent, w.schedule.elapsed
        with_doctor = without = 0.0
        for _ in range(steps):
            with_doctor += own()
            without += other()
        spent, elapsed = w.schedule.spent - spent, w.schedule.elapsed - elapsed
    return with_doctor / without, spent / max(1e-9, elapsed - spent)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    torch.set_num_threads(1)
    forms: dict[str, dict[str, object]] = {
        "economy, every step (bar 3)": {"every": 1, "quantities": ECONOMY},
        "economy, every 10th (bar 1.3)": {"every": 10, "quantities": ECONOMY},
        "everything, budget 0.05": {"budget": 0.025},
    }
    print(f"{'':32s}{'watched / plain':>16s}{'from':>8s}{'to':>8s}{'counted':>10s}")
    for name, made in (("MLP", mlp), ("CNN", cnn)):
        print(f"{name}: Cockpit's economy at every step {COCKPIT[name]} times a plain step")
        for form, options in forms.items():
            found = [ratio(made, given.steps, **options) for _ in range(given.rounds)]
            ratios = sorted(r for r, _ in found)
            counted = median(c for _, c in found)
            print(
                f"  {form:30s}{median(ratios):16.2f}{ratios[0]:8.2f}{ratios[-1]:8.2f}"
                f"{counted:10.3f}"
            )


if __name__ == "__main__":
    main()

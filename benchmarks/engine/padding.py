"""Whether networks of several widths should be padded to the widest, to be one ensemble.

    python benchmarks/engine/padding.py

Prints, for two families of widths, the processor time of training each width by itself and that of
as many networks of the widest, which is what padding trains. One thread; minimum of three.
"""

from __future__ import annotations

import time

import numpy as np
import torch

from chymist.bench import Bench, samples
from chymist.models import MLP
from chymist.solvers import Adam

LANES, STEPS = 16, 300
POINTS = np.linspace(-3, 3, 100)[:, None]


def seconds(width: int, lanes: int) -> float:
    """Processor time of training networks of two hidden layers of one width."""
    start = time.process_time()
    networks = Bench("benchmark", "padding", tuple(range(lanes))).networks(
        lambda: MLP(1, width, width, 1)
    )
    networks.train(Adam(1e-3), samples(POINTS), samples(np.sin(POINTS)), steps=STEPS, record={})
    return time.process_time() - start


def main() -> None:
    torch.set_num_threads(1)
    print("widths                own [s]  padded [s]  padded / own")
    for widths in ((10, 20, 30, 40, 50), (32, 64, 96, 128)):
        seconds(max(widths), 2)
        own = min(sum(seconds(w, LANES) for w in widths) for _ in range(3))
        padded = min(seconds(max(widths), LANES * len(widths)) for _ in range(3))
        print(f"{widths!s:20} {own:8.2f} {padded:11.2f} {padded / own:13.2f}")


main()

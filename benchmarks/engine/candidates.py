"""Ways to train a workload's networks, each a function (workload, lanes, steps) -> None."""

from __future__ import annotations

import torch
from workloads import Workload


def loop(work: Workload, lanes: int, steps: int) -> None:
    """What a user would do otherwise: one network after another."""
    x, y = (torch.as_tensor(a, dtype=torch.float32) for a in (work.x, work.y))
    generator = torch.Generator().manual_seed(0)
    for _ in range(lanes):
        network = work.build()
        optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
        order, used = torch.randperm(len(x), generator=generator), 0
        for _ in range(steps):
            rows = slice(None)
            if work.batch:
                if used + work.batch > len(x):
                    order, used = torch.randperm(len(x), generator=generator), 0
                rows, used = order[used : used + work.batch], used + work.batch
            optimizer.zero_grad()
            work.loss(network(x[rows]), y[rows]).backward()
            optimizer.step()


def chymist(work: Workload, lanes: int, steps: int, engine: str = "auto") -> None:
    """All networks as lanes of one ensemble; building them is part of it."""
    from dataclasses import replace

    from chymist.bench import Bench, samples
    from chymist.solvers import Adam

    bench = Bench("benchmark", work.name, tuple(range(lanes)))
    networks = replace(bench.networks(work.build), engine=engine)
    networks.train(
        Adam(1e-3), samples(work.x), samples(work.y), steps=steps, loss=work.loss,
        batch=work.batch, record={},
    )  # fmt: skip


def stacked(work: Workload, lanes: int, steps: int) -> None:
    """The same by PyTorch's operations, as without a C compiler."""
    chymist(work, lanes, steps, engine="stacked")


def peak(work: Workload, lanes: int, steps: int) -> None:
    """Batched matrix products of the workload's shape and nothing else, as many operations."""
    m, k, n = work.product
    a, b = torch.randn(lanes, m, k), torch.randn(lanes, k, n)
    out = torch.empty(lanes, m, n)
    done, wanted, group = 0.0, steps * lanes * work.flops, max(1, min(lanes, 2**19 // (m * k)))
    while done < wanted:
        for first in range(0, lanes, group):
            rows = slice(first, first + group)
            torch.bmm(a[rows], b[rows], out=out[rows])
        done += 2.0 * m * k * n * lanes


def jax(work: Workload, lanes: int, steps: int) -> None:
    """vmap over networks, jit, scan over steps; only where JAX is installed."""
    from peers import jax_program

    jax_program(work, lanes)(steps)


CANDIDATES = {f.__name__: f for f in (loop, chymist, stacked, peak, jax)}

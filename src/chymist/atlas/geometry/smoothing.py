"""How Ricci flow evens curvature out, for `ricci-flow`. `p` is a cell of its parameters."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from chymist import graphs
from chymist.atlas.geometry import ricci_figures as draw
from chymist.atlas.geometry.known_groups import known_graph
from chymist.bench import Bench
from chymist.claims import Claim, above, below
from chymist.study import Control, Experiment, Figure

SMALL = 1e-3
"""Of the mean length: shorter edges count as contracted."""


def smoothing(p: Any, bench: Bench) -> xr.Dataset:
    """Watch the spread of the curvature over edges that do not contract.

    Returns:
        spread (graph, seed, step): standard deviation of kappa over the edges that end longer than
        a thousandth of the mean; contracted (graph, seed): how many do not. On the karate club a
        seed renames the members, elsewhere it draws the graph.
    """
    names, spread, contracted = ("karate", "league", "blocks"), [], []
    for name in names:
        for seed in bench.seeds:
            graph = known_graph(name, bench, seed)[0]
            flow = graphs.ricci_flow(graph, p.smoothing_steps, alpha=0.5, p=p.smoothing_p)
            kept = flow.length[-1] > SMALL
            spread.append(flow.curvature[:, kept].std(1))
            contracted.append((~kept).sum())
    shape = (len(names), len(bench.seeds))
    return xr.Dataset({
        "spread": (("graph", "seed", "step"), np.reshape(spread, (*shape, -1)),
                   {"long_name": "standard deviation of the curvature", "units": "1"}),
        "contracted": (("graph", "seed"), np.reshape(contracted, shape),
                       {"long_name": "contracted edges", "units": "1"}),
    }, {"graph": list(names), "seed": list(bench.seeds),
        "step": range(p.smoothing_steps + 1)})  # fmt: skip


def evenness(run: xr.Dataset) -> xr.DataArray:
    """Log of the spread of kappa after 20 steps over the first; edges that do not contract."""
    return np.log(run.spread.isel(step=20, drop=True) / run.spread.isel(step=0, drop=True))


def straightness(run: xr.Dataset) -> xr.DataArray:
    """R^2 of a line through ln sd(kappa) against steps, 0 to 20."""
    logs = np.log(run.spread.isel(step=slice(21)))
    return xr.corr(logs, logs.step.astype(float), "step") ** 2


SMOOTHING = Experiment(
    "evening-out", "Curvature over twenty steps of the flow, p = 0.", smoothing, claims=(
        Claim("evens-out", "Its spread falls below a twentieth on edges that do not contract.",
              evenness, below(np.log(0.05))),
        Claim("exponentially", "It falls exponentially.", straightness, above(0.9)),
    ),
    figures=(Figure("smoothing", "Spread of the curvature; right, the control.", draw.smoothing),),
    control=Control("With p = 2 measures follow lengths, and curvature does not even out.",
                    {"smoothing_p": 2.0}, ("evens-out",)),
)  # fmt: skip

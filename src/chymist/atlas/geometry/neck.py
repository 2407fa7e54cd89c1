"""Two complete graphs and the edge that joins them, under Ricci flow, for `ricci-flow`.

`p` is a cell of the study's parameters.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from chymist import graphs
from chymist.atlas.geometry import ricci_figures as draw
from chymist.bench import Bench
from chymist.claims import Claim, between
from chymist.data import dumbbell, named_graph
from chymist.study import Control, Experiment, Figure
from chymist.theory import graph_curvature as theory

HALF = 0.5
"""Idleness of the measures: kappa is then half the curvature of Lin, Lu and Yau."""
COLLAPSE = 28
"""Steps of the flow of step 1; later the interior edges are rounding beside the bridge."""


def pinch(p: Any, bench: Bench) -> xr.Dataset:
    """Flow two complete graphs of k nodes and their bridge, from lengths of random size near 1.

    Returns:
        ratio, bridge (k, seed, time): ln(bridge / mean interior edge) and the bridge's curvature
        (Lin, Lu, Yau) under even measures; interior edges are those that do not end at the bridge.
        slope (k, seed): of the ratio over the last third of the time. factor (k, seed): what an
        interior edge keeps in one late step of size 1, p = 1.
    """
    steps = round(p.duration / p.neck_step)
    kept = np.arange(0, steps + 1, max(1, steps // 40))
    ratio, slope, bridge, factor = [], [], [], []
    for k in p.k.values.tolist():
        for seed in bench.seeds:
            graph, last, inside = _pieces(k, p.neck)
            noise = bench.key(seed, f"lengths of {k}").numpy().uniform(-1, 1, graph.edges)
            graph = graph.with_length(1 + p.jitter * noise)
            flow = graphs.ricci_flow(graph, steps, step=2 * p.neck_step, alpha=HALF)
            growth = np.log(flow.length[:, last] / flow.length[:, inside].mean(1))
            ratio.append(growth[kept])
            late = steps - steps // 3
            slope.append((growth[-1] - growth[late]) / ((steps - late) * p.neck_step))
            bridge.append(flow.curvature[kept, last] / HALF)
            mean = graphs.ricci_flow(graph, COLLAPSE, alpha=HALF, p=1).length[:, inside].mean(1)
            factor.append(mean[-1] / mean[-2])
    shape = (p.k.size, len(bench.seeds), -1)
    dims, one = ("k", "seed", "time"), {"units": "1"}
    return xr.Dataset({
        "ratio": (dims, np.reshape(ratio, shape), one | {"long_name": "ln(bridge / interior)"}),
        "slope": (dims[:2], np.reshape(slope, shape[:2]), one | {"long_name": "late growth rate"}),
        "bridge": (dims, np.reshape(bridge, shape), one | {"long_name": "curvature of the bridge"}),
        "factor": (dims[:2], np.reshape(factor, shape[:2]), one | {"long_name": "kept in a step"}),
    }, {"k": p.k.values, "seed": list(bench.seeds), "time": kept * p.neck_step})  # fmt: skip


def rates(p: Any, run: xr.Dataset) -> xr.Dataset:
    """Return the late growth rate, the bridge's late curvature and the late factor."""
    k = xr.DataArray(run.k.values, {"k": run.k.values}, ("k",))
    return xr.Dataset({
        "slope": theory.pinch_rate(k, p.neck_step),
        "bridge": theory.late_bridge(k).expand_dims(time=run.time),
        "factor": theory.collapse_factor(k),
    })  # fmt: skip


def _pieces(k: int, neck: bool) -> tuple[graphs.Graph, int, np.ndarray]:
    """The graph, the place of the edge that is the neck, and those of the interior edges."""
    graph = dumbbell(k) if neck else named_graph(f"complete-{2 * k}")
    ends = np.sort(graph.ends, axis=1)
    last = int(np.flatnonzero((ends == (k - 1, k)).all(1))[0])
    same = (ends[:, 0] < k) == (ends[:, 1] < k)
    return graph, last, np.flatnonzero(same & ~np.isin(ends, (k - 1, k)).any(1))


def slope_ratio(run: xr.Dataset) -> xr.DataArray:
    """Late slope of ln(bridge / interior edge) over the predicted rate."""
    return run.slope / run.predicted_slope


def bridge_ratio(run: xr.Dataset) -> xr.DataArray:
    """Last curvature of the bridge over the predicted one."""
    return (run.bridge / run.predicted_bridge).isel(time=-1, drop=True)


def factor_ratio(run: xr.Dataset) -> xr.DataArray:
    """What an interior edge keeps in a late step (p = 1, step 1) over 1 - k / (2 (k - 1))."""
    return run.factor / run.predicted_factor


NECK = Experiment(
    "bridge", "Two complete graphs of k nodes and a bridge, from random lengths.", pinch,
    prediction=rates, claims=(
        Claim("pinch", "The bridge outgrows the interior at the predicted rate.",
              slope_ratio, between(0.97, 1.03)),
        Claim("bridge-curvature", "The bridge's curvature rises to a positive limit.",
              bridge_ratio, between(0.97, 1.03)),
        Claim("collapse", "With p = 1 interior edges shrink by the predicted factor a step.",
              factor_ratio, between(0.97, 1.03)),
    ),
    figures=(Figure("neck", "Bridge over interior edge, and the bridge's curvature; dashed: "
                    "theory; in the control there is no neck.", draw.neck),),
    control=Control("A complete graph of 2k nodes has no neck.", {"neck": False},
                    ("pinch", "bridge-curvature", "collapse")),
)  # fmt: skip

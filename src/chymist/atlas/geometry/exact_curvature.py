"""Curvatures that have closed forms and bounds, as `ricci-flow` holds its solver to them.

A seed renames the nodes of named graphs, or draws random graphs. `p` is a cell of the study's
parameters.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from chymist import graphs
from chymist.bench import Bench
from chymist.data import NAMED_GRAPHS, named_graph, random_graph
from chymist.theory import graph_curvature as theory

BOUNDS = ("balanced Forman", "few triangles", "small degrees")
TINY = 1e-9
"""Difference of two slopes or values that counts as none."""
PIECES = ("first interval", "last interval", "three lines")


def named_curvatures(p: Any, bench: Bench) -> xr.Dataset:
    """Measure kappa_alpha / (1 - alpha) on graphs with closed forms, nodes renamed by each seed.

    Returns:
        lowest, highest (kind, seed): of the edges of a kind, that is a graph and two degrees.
    """
    lowest, highest = [], []
    for seed in bench.seeds:
        found: dict[str, np.ndarray] = {}
        for name in NAMED_GRAPHS:
            graph = named_graph(name)
            order = bench.key(seed, f"names of {name}").numpy().permutation(graph.nodes)
            graph = graph.relabelled(order)
            value = graphs.ollivier(graph, p.idleness).value / (1 - p.idleness)
            degrees = np.sort(graph.degree[graph.ends], axis=1)
            for low, high in np.unique(degrees, axis=0).tolist():
                found[f"{name} {low}-{high}"] = value[(degrees == (low, high)).all(1)]
        lowest.append([part.min() for part in found.values()])
        highest.append([part.max() for part in found.values()])
    dims = {"seed": list(bench.seeds), "kind": list(found)}
    says = {"long_name": "kappa / (1 - alpha)", "units": "1"}
    return xr.Dataset({
        "lowest": (("seed", "kind"), lowest, says | {"long_name": "smallest kappa / (1 - alpha)"}),
        "highest": (("seed", "kind"), highest, says | {"long_name": "largest kappa / (1 - alpha)"}),
    }, dims)  # fmt: skip


def closed_forms(p: Any, run: xr.Dataset) -> xr.Dataset:
    """Return the curvature of Lin, Lu and Yau of each kind of edge."""
    values = []
    for kind in run.kind.values.tolist():
        name, _, degrees = kind.partition(" ")
        family, _, size = name.partition("-")
        x, y = map(int, degrees.split("-"))
        sized = {"complete": theory.complete, "cycle": theory.cycle,
                 "hypercube": theory.hypercube, "rook": theory.rook}  # fmt: skip
        # Tabulated: Cushing et al., The Graph Curvature Calculator, arXiv:1712.03033.
        tabulated = {"icosahedron": 2 / 5, "dodecahedron": 0.0, "petersen": 0.0}
        if family in tabulated:
            values.append(tabulated[family])
        else:
            values.append(theory.tree(x, y) if family == "tree" else sized[family](int(size)))
    exact = xr.DataArray(np.array(values), {"kind": run.kind}, ("kind",))
    return xr.Dataset({"lowest": exact, "highest": exact})


def random_curvatures(p: Any, bench: Bench) -> xr.Dataset:
    """Hold random graphs to what is proved of kappa as a function of the idleness, and to bounds.

    Returns:
        bend (piece, seed): |kappa(middle) - mean of kappa(ends)| on the intervals from 0 to
        1 / (lcm + 1) of the degrees and from 1 / (max + 1) to 1, and |kappa - smallest of three
        lines| where these cross: both ends' and that through the point under their crossing; drift
        (seed): |kappa / (1 - alpha) - limit| from `from_threshold` thresholds on; violation (bound,
        seed): by how much a bound is broken; all the largest over edges. curvature (alpha, sample,
        seed): kappa_alpha of some edges of the first graph.
    """
    grid = np.linspace(0, 0.99, 34)
    bends, drifts, broken, shown = [], [], [], []
    for seed in bench.seeds:
        generator = bench.key(seed, "graphs").numpy()
        drawn = [random_graph(p.nodes, 4 / p.nodes, generator) for _ in range(p.graphs)]
        found = [_idleness(graph, p.from_threshold) for graph in drawn]
        bends.append(np.max([f[0] for f in found], 0))
        drifts.append(np.max([f[1] for f in found]))
        broken.append(np.max([_violations(graph) for graph in drawn], 0))
        first = drawn[0].edges // 2 + np.arange(3)
        shown.append([graphs.ollivier(drawn[0], alpha).value[first] for alpha in grid])
    one = {"units": "1"}
    return xr.Dataset({
        "bend": (("seed", "piece"), bends, one | {"long_name": "largest departure from a line"}),
        "drift": ("seed", drifts, one | {"long_name": "largest change of kappa / (1 - alpha)"}),
        "violation": (("seed", "bound"), broken, one | {"long_name": "largest violation"}),
        "curvature": (("seed", "alpha", "sample"), shown, one | {"long_name": "kappa_alpha"}),
    }, {"seed": list(bench.seeds), "piece": list(PIECES), "bound": list(BOUNDS), "alpha": grid,
        "sample": [0, 1, 2]})  # fmt: skip


def _idleness(graph: graphs.Graph, start: float) -> tuple[np.ndarray, float]:
    x, y = graph.degree[graph.ends].T
    kink, threshold = theory.idleness_kink(x, y), theory.idleness_threshold(x, y)

    def kappa(alpha: np.ndarray) -> np.ndarray:
        return graphs.ollivier(graph, alpha).value

    zero, at_kink, at_threshold = kappa(0 * kink), kappa(kink), kappa(threshold)
    rise, fall = (at_kink - zero) / kink, -at_threshold / (1 - threshold)
    first = np.abs(kappa(kink / 2) - (zero + at_kink) / 2)
    last = np.abs(kappa((1 + threshold) / 2) - at_threshold / 2)
    # kappa is concave, so it lies below both lines; a third one passes through what is found where
    # they cross, with the slope found there, if it is not their crossing itself.
    same = np.abs(rise - fall) < TINY
    cross = np.where(same, threshold, (-fall - zero) / np.where(same, 1, rise - fall))
    near = 1e-5
    cross = np.clip(cross, near, 0.999)
    under = kappa(cross)
    gap = zero + rise * cross - under
    slope = (kappa(cross + near) - kappa(cross - near)) / (2 * near)
    lines = np.zeros(graph.edges)
    for value, own in ((zero, rise), (-fall, fall)):
        # Where the third line meets one of the others there must be nothing below both.
        apart = np.where(np.abs(slope - own) > TINY, slope - own, 1)
        meets = np.clip((value - under + slope * cross) / apart, 0, 0.999)
        lines = np.maximum(lines, np.abs(kappa(meets) - value - own * meets))
    limit = graphs.lin_lu_yau(graph).value
    alphas = [start * threshold + s * (1 - start * threshold) for s in (0, 0.3, 0.9)]
    drift = [np.abs(kappa(a) / (1 - a) - limit).max() for a in alphas]
    three = np.where(gap > TINY, lines, np.maximum(gap, 0))
    return np.array([first.max(), last.max(), three.max()]), max(drift)


def _violations(graph: graphs.Graph) -> np.ndarray:
    """By how much, at most, each of three bounds is broken; 0 where it holds."""
    x, y = graph.degree[graph.ends].T
    start = graphs.ollivier(graph, 0.0).value
    below = graphs.balanced_forman(graph) - graphs.lin_lu_yau(graph).value
    above = start - graphs.triangles(graph) / np.maximum(x, y)
    under = -2 * np.maximum(0, 1 - 1 / x - 1 / y) - start
    return np.maximum(0, [below.max(), above.max(), under.max()])

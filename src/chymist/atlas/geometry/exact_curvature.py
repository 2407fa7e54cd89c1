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
PIECES = ("below the kink", "up to the threshold", "beyond it")


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
        known = {
            "complete": lambda n: theory.complete(n), "cycle": lambda n: theory.cycle(n),
            "hypercube": lambda n: theory.hypercube(n), "rook": lambda n: theory.rook(n),
            "tree": lambda n, x=x, y=y: theory.tree(x, y),
            # Tabulated: Cushing et al., The Graph Curvature Calculator, arXiv:1712.03033.
            "icosahedron": lambda n: 2 / 5, "dodecahedron": lambda n: 0.0,
            "petersen": lambda n: 0.0,
        }  # fmt: skip
        values.append(known[family](int(size or 0)))
    exact = xr.DataArray(np.array(values), {"kind": run.kind}, ("kind",))
    return xr.Dataset({"lowest": exact, "highest": exact})


def random_curvatures(p: Any, bench: Bench) -> xr.Dataset:
    """Hold random graphs to what is proved of kappa as a function of the idleness, and to bounds.

    Returns:
        bend (piece, seed): |kappa(middle) - mean of kappa(ends)| of the three intervals of alpha
        between 0, 1 / (lcm + 1), 1 / (max + 1) of the degrees and 1; drift (seed): the largest
        |kappa / (1 - alpha) - limit| from `from_threshold` thresholds on; violation (bound, seed):
        by how much a bound is broken; all the largest over edges. curvature (alpha, sample, seed):
        kappa_alpha of some edges of the first graph.
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
    knots = [0 * kink, kink, threshold, 0 * kink + 1]
    at = [graphs.ollivier(graph, knot).value for knot in knots[:3]] + [0 * kink]
    bend = [
        np.abs(graphs.ollivier(graph, (a + b) / 2).value - (left + right) / 2).max()
        for a, b, left, right in zip(knots, knots[1:], at, at[1:], strict=False)
    ]
    limit = graphs.lin_lu_yau(graph).value
    alphas = [start * threshold + s * (1 - start * threshold) for s in (0, 0.3, 0.9)]
    drift = [np.abs(graphs.ollivier(graph, a).value / (1 - a) - limit).max() for a in alphas]
    return np.array(bend), max(drift)


def _violations(graph: graphs.Graph) -> np.ndarray:
    """By how much, at most, each of three bounds is broken; 0 where it holds."""
    x, y = graph.degree[graph.ends].T
    start = graphs.ollivier(graph, 0.0).value
    below = graphs.balanced_forman(graph) - graphs.lin_lu_yau(graph).value
    above = start - graphs.triangles(graph) / np.maximum(x, y)
    under = -2 * np.maximum(0, 1 - 1 / x - 1 / y) - start
    return np.maximum(0, [below.max(), above.max(), under.max()])

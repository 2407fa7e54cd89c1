"""Curvatures that have closed forms, to which `ricci-flow` holds its solver.

A seed renames the nodes. `p` is a cell of the study's parameters.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from chymist import graphs
from chymist.atlas.geometry import ricci_figures as draw
from chymist.bench import Bench
from chymist.claims import Claim, below
from chymist.data import NAMED_GRAPHS, named_graph
from chymist.study import Control, Experiment, Figure
from chymist.theory import graph_curvature as theory


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


def digits(error: xr.DataArray) -> xr.DataArray:
    """log10 of an error, at least -17; dimensions other than seed by their largest."""
    others = [d for d in error.dims if d != "seed"]
    found: xr.DataArray = np.log10(np.maximum(error.max(others), 1e-17))  # type: ignore[assignment]
    return found


def value_error(run: xr.Dataset) -> xr.DataArray:
    """log10 of the largest |kappa_alpha / (1 - alpha) - closed form| over all edges."""
    low = abs(run.lowest - run.predicted_lowest)
    return digits(np.maximum(low, abs(run.highest - run.predicted_highest)))


VALUES = Experiment(
    "closed-forms", "Thirteen graphs with closed forms, nodes renamed by each seed, idleness 1/2.",
    named_curvatures, prediction=closed_forms, claims=(
        Claim("exact", "Curvatures of Lin, Lu and Yau are the closed forms.",
              value_error, below(-9)),),
    figures=(Figure("values", "Curvature by graph and degrees; strokes, the closed forms.",
                    draw.values),),
    control=Control("Without idleness kappa is another curvature.", {"idleness": 0.0}, ("exact",)),
)  # fmt: skip

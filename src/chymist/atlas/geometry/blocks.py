"""Graphs with communities under Ricci flow, for `ricci-flow`. `p` is a cell of its parameters."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from chymist import graphs
from chymist.bench import Bench
from chymist.data import karate_club, planted_partition, rewired
from chymist.theory import graph_curvature as theory

LEAGUE = (10,) * 12
"""Twelve conferences of ten; the chances below give some ten games a team, seven inside."""
LEAGUE_CHANCES = (0.8, 0.032)
WAYS = ("curvature", "flow", "spectral", "flow's metric")
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
            graph = _graph(name, bench, seed)[0]
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


def two_blocks(p: Any, bench: Bench) -> xr.Dataset:
    """Tell edges between blocks from those within, and the blocks, by curvature and by flow.

    Returns:
        auc (way, p_out, seed): chance that an edge between is higher, by -kappa and by length after
        the flow; ari (way, p_out, seed): of the best cut by modularity of either, of spectral
        clustering of the graph and of exp(-d), d the distances after the flow; signal (p_out).
    """
    auc, ari = [], []
    for chance in p.p_out.values.tolist():
        for seed in bench.seeds:
            generator = bench.key(seed, f"blocks at {chance:g}").numpy()
            sizes = (p.block,) * p.blocks
            graph, block = planted_partition(sizes, p.p_in, chance, generator)
            between = block[graph.ends[:, 0]] != block[graph.ends[:, 1]]
            flow = graphs.ricci_flow(graph, p.steps, alpha=0.5, p=p.blocks_p)
            heights = (-flow.curvature[0], flow.length[-1])
            near = np.exp(-graphs.path_lengths(flow.end))
            found = [_best_cut(graph, height) for height in heights]
            found += [graphs.spectral_groups(w, p.blocks) for w in (graph.matrix().toarray(), near)]
            auc.append([graphs.edge_auc(height, between) for height in heights])
            ari.append([graphs.adjusted_rand(groups, block) for groups in found])
    shape = (p.p_out.size, len(bench.seeds), -1)
    dims = ("p_out", "seed", "way")
    signal = theory.signal_ratio(2 * p.block, p.p_in, p.p_out)
    return xr.Dataset({
        "auc": (dims, _padded(np.reshape(auc, shape)),
                {"long_name": "AUC of edges between blocks", "units": "1"}),
        "ari": (dims, np.reshape(ari, shape), {"long_name": "adjusted Rand index", "units": "1"}),
        "signal": ("p_out", signal.values, {"long_name": "signal ratio", "units": "1"}),
    }, {"p_out": p.p_out.values, "seed": list(bench.seeds), "way": list(WAYS)})  # fmt: skip


def known_groups(p: Any, bench: Bench) -> xr.Dataset:
    """Find groups that are known: the sides of a karate club, the conferences of a league.

    Returns:
        ari (graph, exponent, after, cut, seed): after so many steps, of the cut of the largest
        modularity and of the best of all cuts. With `rewired` the graphs are random, of the same
        degrees.
    """
    names, exponents, after = ("karate", "league"), (0.0, 1.0, 2.0), (0, 5, 10, 20)
    values = []
    for name in names:
        for exponent in exponents:
            for seed in bench.seeds:
                graph, groups = _graph(name, bench, seed)
                if p.rewired:
                    graph = rewired(graph, bench.key(seed, f"rewired {name}").numpy())
                flow = graphs.ricci_flow(graph, max(after), alpha=0.5, p=exponent)
                heights = [flow.length[t] if t else -flow.curvature[0] for t in after]
                values.append([_scores(graph, height, groups) for height in heights])
    shape = (len(names), len(exponents), len(bench.seeds), len(after), 2)
    return xr.Dataset({
        "ari": (("graph", "exponent", "seed", "after", "cut"), np.reshape(values, shape),
                {"long_name": "adjusted Rand index", "units": "1"}),
    }, {"graph": list(names), "exponent": list(exponents), "seed": list(bench.seeds),
        "after": list(after), "cut": ["modularity", "best"]})  # fmt: skip


def _graph(name: str, bench: Bench, seed: int) -> tuple[graphs.Graph, np.ndarray]:
    generator = bench.key(seed, name).numpy()
    if name == "karate":
        graph, sides = karate_club()
        order = generator.permutation(graph.nodes)
        return graph.relabelled(order), sides[np.argsort(order)]
    if name == "league":
        return planted_partition(LEAGUE, *LEAGUE_CHANCES, generator)
    return planted_partition((40, 40), 0.3, 0.05, generator)


def _best_cut(graph: graphs.Graph, height: np.ndarray) -> np.ndarray:
    cuts = graphs.modularity_cuts(graph, height)
    return graphs.groups_below(graph, height, cuts.threshold[cuts.best])


def _scores(graph: graphs.Graph, height: np.ndarray, groups: np.ndarray) -> list[float]:
    """ARI of the cut of the largest modularity, and the largest of all cuts'."""
    cuts = graphs.modularity_cuts(graph, height)
    # Cuts into as many groups have the same ones.
    _, places = np.unique(cuts.count, return_index=True)
    found = [
        graphs.adjusted_rand(graphs.groups_below(graph, height, cuts.threshold[i]), groups)
        for i in places
    ]
    own = int(np.flatnonzero(cuts.count[places] == cuts.count[cuts.best])[0])
    return [found[own], max(found)]


def _padded(values: np.ndarray) -> np.ndarray:
    """Spectral ways give no height to edges."""
    return np.concatenate([values, np.full((*values.shape[:2], len(WAYS) - 2), np.nan)], 2)

"""Random graphs of two blocks under Ricci flow, for `ricci-flow`.

`p` is a cell of its parameters.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from chymist import graphs
from chymist.atlas.geometry import ricci_figures as draw
from chymist.bench import Bench
from chymist.claims import Claim, above
from chymist.data import planted_partition
from chymist.study import Control, Experiment, Figure
from chymist.theory import graph_curvature as theory

WAYS = ("curvature", "flow", "spectral", "flow's metric")


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


def _best_cut(graph: graphs.Graph, height: np.ndarray) -> np.ndarray:
    cuts = graphs.modularity_cuts(graph, height)
    return graphs.groups_below(graph, height, cuts.threshold[cuts.best])


def _padded(values: np.ndarray) -> np.ndarray:
    """Spectral ways give no height to edges."""
    return np.concatenate([values, np.full((*values.shape[:2], len(WAYS) - 2), np.nan)], 2)


def auc_gain(run: xr.Dataset) -> xr.DataArray:
    """AUC of edges between blocks by length after the flow less that by -kappa, first p_out."""
    auc = run.auc.isel(p_out=0, drop=True)
    return auc.sel(way="flow", drop=True) - auc.sel(way="curvature", drop=True)


def ari_gain(place: int, run: xr.Dataset) -> xr.DataArray:
    """ARI of the best cut by length after the flow less that by -kappa, at one p_out."""
    ari = run.ari.isel(p_out=slice(place, place + 1))
    return ari.sel(way="flow", drop=True) - ari.sel(way="curvature", drop=True)


def against_spectral(run: xr.Dataset) -> xr.DataArray:
    """ARI of the flow's cut over that of spectral clustering, where the signal is above 3.5."""
    ari = run.ari.isel(p_out=run.signal.values > 3.5)
    return ari.sel(way="flow", drop=True) / ari.sel(way="spectral", drop=True)


def blindness(run: xr.Dataset) -> xr.DataArray:
    """1 - |ARI| of the flow's cut where the signal is at most 1."""
    return 1 - abs(run.ari.isel(p_out=run.signal.values <= 1).sel(way="flow", drop=True))


def _between(run: xr.Dataset) -> xr.Dataset:
    return run.isel(p_out=(run.signal.values > 1) & (run.signal.values < 3))


def auc_between(run: xr.Dataset) -> xr.DataArray:
    """AUC of edges between blocks after the flow where the signal is between 1 and 3."""
    return _between(run).auc.sel(way="flow", drop=True)


def lost_by_cutting(run: xr.Dataset) -> xr.DataArray:
    """ARI of spectral clustering of exp(-d) less that of the cut, d after the flow, signal 1-3."""
    ari = _between(run).ari
    return ari.sel(way="flow's metric", drop=True) - ari.sel(way="flow", drop=True)


BLOCKS = Experiment(
    "two-blocks", "Two blocks of 40 nodes; ten steps of the flow, p = 2.", two_blocks, claims=(
        Claim("sharpens", "The flow tells edges between blocks apart better than curvature.",
              auc_gain, above(0.05)),
        Claim("finds", "And the blocks, by the best cut.", partial(ari_gain, 0), above(0.1)),
        Claim("finds-weaker", "Far better at the next weaker signal.",
              partial(ari_gain, 1), above(0.5)),
        Claim("as-spectral", "Above a signal of 3.5 it finds what spectral clustering finds.",
              against_spectral, above(0.9)),
        Claim("blind", "At a signal of 1 or less the cut finds nothing.", blindness, above(0.9)),
        Claim("still-seen", "Between 1 and 3 lengths still tell edges apart.",
              auc_between, above(0.7)),
        Claim("cut-fails-first", "There the metric knows more than cutting it finds.",
              lost_by_cutting, above(0.1)),
    ),
    figures=(Figure("blocks", "Edges told apart, and blocks found, by signal ratio; dotted, the "
                    "threshold of Kesten and Stigum.", draw.blocks),),
    control=Control("Where the blocks are no blocks nothing is sharpened.",
                    {"p_in": 0.2, "p_out": (0.2,)}, ("sharpens", "finds")),
)  # fmt: skip

"""Graphs whose groups are known, under Ricci flow, for `ricci-flow`.

`p` is a cell of its parameters.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from chymist import graphs
from chymist.atlas.geometry import ricci_figures as draw
from chymist.bench import Bench
from chymist.claims import Claim, above
from chymist.data import karate_club, planted_partition, rewired
from chymist.study import Control, Experiment, Figure

LEAGUE = (10,) * 12
"""Twelve conferences of ten; the chances below give some ten games a team, seven inside."""
LEAGUE_CHANCES = (0.8, 0.032)


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
                graph, groups = known_graph(name, bench, seed)
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


def known_graph(name: str, bench: Bench, seed: int) -> tuple[graphs.Graph, np.ndarray]:
    """Return a graph and the group of each node: the karate club, renamed, a league, or blocks."""
    generator = bench.key(seed, name).numpy()
    if name == "karate":
        graph, sides = karate_club()
        order = generator.permutation(graph.nodes)
        return graph.relabelled(order), sides[np.argsort(order)]
    if name == "league":
        return planted_partition(LEAGUE, *LEAGUE_CHANCES, generator)
    return planted_partition((40, 40), 0.3, 0.05, generator)


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


def karate(run: xr.Dataset) -> xr.DataArray:
    """ARI of the best cut of the karate club after ten steps, p = 0 and 1."""
    ari = run.ari.sel(graph="karate", after=10, cut="best", drop=True)
    return ari.sel(exponent=[0.0, 1.0])


def league(run: xr.Dataset) -> xr.DataArray:
    """ARI of the league's conferences after five steps, p = 0, cut by modularity."""
    return run.ari.sel(graph="league", after=5, exponent=0.0, cut="modularity", drop=True)


KNOWN = Experiment(
    "known-groups", "Groups that are known: the sides of a karate club; twelve conferences of a "
    "league.", known_groups, claims=(
        Claim("karate", "Some cut separates the sides of the club.", karate, above(0.55)),
        Claim("league", "The best cut by modularity finds the conferences.", league, above(0.92)),
    ),
    figures=(Figure("known", "ARI by exponent p, steps and cut.", draw.known),),
    control=Control("Random graphs of the same degrees have no groups.",
                    {"rewired": True}, ("karate", "league")),
)  # fmt: skip

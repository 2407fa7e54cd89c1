"""Communities of any graph by Ricci flow, against random graphs of its degrees, for `ricci-flow`.

`p` is a cell of the study's parameters.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from chymist import graphs
from chymist.atlas.geometry import ricci_figures as draw
from chymist.bench import Bench
from chymist.claims import Claim, above
from chymist.data import karate_club, rewired
from chymist.study import Control, Experiment, Figure


def communities(p: Any, bench: Bench) -> xr.Dataset:
    """Cut the user's graph, or the karate club, at long edges after the flow.

    With `surgery` the flow removes edges longer than four times the mean every so many steps.

    Returns:
        quality (of, seed): modularity of the best cut of the graph, and of a random graph of its
        degrees; agreement (score): ARI and NMI with communities that are known, or NaN; length,
        curvature (edge, when) before and after, NaN where surgery removed the edge; source, target
        (edge), group (node) with their names. With `rewired` the graph itself is a random one.
    """
    graph, names, known, title = _given(bench)
    found = [_cut(p, graph, bench, "the graph")]
    if p.rewired:
        found = [_cut(p, _random(graph, bench, s, "itself"), bench, "itself") for s in bench.seeds]
    flow, groups, _ = found[0]
    first = graph if not p.rewired else _random(graph, bench, bench.seeds[0], "itself")
    drawn = [_random(graph, bench, seed, "chance") for seed in bench.seeds]
    chance = [_cut(p, other, bench, "by chance")[2] for other in drawn]
    own = [f[2] for f in found] * (1 if p.rewired else len(bench.seeds))
    scores = [np.nan, np.nan]
    if known is not None:
        scores = [graphs.adjusted_rand(groups, known), graphs.mutual_information(groups, known)]
    one = {"units": "1"}
    when = ["before", "after"]
    return xr.Dataset({
        "quality": (("of", "seed"), [own, chance], one | {"long_name": "modularity"}),
        "agreement": ("score", scores, one | {"long_name": "agreement with known groups"}),
        "length": (("when", "edge"), flow.length[[0, -1]], one | {"long_name": "length"}),
        "curvature": (("when", "edge"), flow.curvature[[0, -1]], one | {"long_name": "curvature"}),
        "source": ("edge", names[first.ends[:, 0]], one | {"long_name": "one end"}),
        "target": ("edge", names[first.ends[:, 1]], one | {"long_name": "other end"}),
        "group": ("node", groups, one | {"long_name": "group of the best cut"}),
    }, {"of": ["graph", "random"], "seed": list(bench.seeds), "when": when, "node": names,
        "edge": np.arange(first.edges), "score": ["ARI", "NMI"]}, {"name": title})  # fmt: skip


def _given(bench: Bench) -> tuple[graphs.Graph, np.ndarray, np.ndarray | None, str]:
    if bench.input is None:
        graph, sides = karate_club()
        return graph, np.array([str(i) for i in range(graph.nodes)]), sides, "karate club"
    data = bench.input
    if data.attrs.get("notes"):
        bench.note(f"{data.attrs['name']}: {data.attrs['notes']}")
    graph = graphs.Graph.of(data.sizes["node"], data.ends.values, data.length.values)
    known = data.community.values if "community" in data else None
    return graph, data.name.values.astype(str), known, str(data.attrs["name"])


def _random(graph: graphs.Graph, bench: Bench, seed: int, purpose: str) -> graphs.Graph:
    """A random graph of the same degrees and lengths."""
    drawn = rewired(graph, bench.key(seed, purpose).numpy())
    return drawn.with_length(graph.length)


def _cut(
    p: Any, graph: graphs.Graph, bench: Bench, label: str
) -> tuple[graphs.Flow, np.ndarray, float]:
    """Flow, and the groups of the cut of the largest modularity, with that."""
    flow = graphs.ricci_flow(
        graph, p.own_steps, alpha=0.5, p=p.own_p,
        surgery=graphs.without_longer(4.0) if p.surgery else None, every=p.surgery or 1,
        on_step=lambda done, steps: bench.progress(label, done, steps),
    )  # fmt: skip
    height = flow.length[-1]
    # What surgery removed is above all that is left, the earlier the higher.
    lasted = np.isfinite(flow.length).sum(0)
    gone = np.isnan(height)
    height = np.where(gone, np.nanmax(height, initial=0) + 1 + len(flow.length) - lasted, height)
    cuts = graphs.modularity_cuts(graph, height)
    groups = graphs.groups_below(graph, height, cuts.threshold[cuts.best])
    return flow, groups, float(cuts.modularity[cuts.best])


def beyond_chance(run: xr.Dataset) -> xr.DataArray:
    """Modularity of the best cut of the graph less that of a random graph of its degrees."""
    return run.quality.sel(of="graph", drop=True) - run.quality.sel(of="random", drop=True)


OWN = Experiment(
    "own-graph", "The communities of a graph, yours or the karate club, by cutting long edges.",
    communities, claims=(
        Claim("communities", "The cut is better than on random graphs of the same degrees.",
              beyond_chance, above(0.1)),),
    figures=(
        Figure("curvature", "Curvature of the edges before and after the flow.", draw.histogram),
        Figure("communities", "Modularity of the best cut, of the graph and of random ones.",
               draw.quality)),
    control=Control("A random graph of its degrees has none.", {"rewired": True},
                    ("communities",)),
    reads="ends",
)  # fmt: skip

"""Curvature as a function of the idleness, and its bounds, on the random graphs of `ricci-flow`.

A seed draws the graphs. `p` is a cell of the study's parameters.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from chymist import graphs
from chymist.atlas.geometry import ricci_figures as draw
from chymist.atlas.geometry.closed_forms import digits
from chymist.bench import Bench
from chymist.claims import Claim, below
from chymist.data import random_graph
from chymist.study import Control, Experiment, Figure
from chymist.theory import graph_curvature as theory

BOUNDS = ("balanced Forman", "few triangles", "small degrees")
TINY = 1e-9
"""Difference of two slopes or values that counts as none."""
PIECES = ("first interval", "last interval", "three lines")


def random_curvatures(p: Any, bench: Bench) -> xr.Dataset:
    """Hold random graphs to what is proved of kappa as a function of the idleness, and to bounds.

    Returns:
        bend (piece, seed): |kappa(middle) - mean of kappa(ends)| on the intervals from 0 to
        1 / (lcm + 1) of the degrees and from 1 / (max + 1) to 1, and |kappa - smallest of three
        lines| where these cross: both ends' and that through the point under their crossing; drift
        (seed): |kappa / (1 - alpha) - limit| from `from_threshold` thresholds on; violation (bound,
        seed): by how much a bound is broken; all the largest over edges. curvature (alpha, sample,
        seed): kappa_alpha of three edges of the first graph, whose larger degree is the
        least, the median and the largest.
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
        order = np.argsort(drawn[0].degree[drawn[0].ends].max(1), kind="stable")
        some = order[[0, len(order) // 2, -1]]
        shown.append([graphs.ollivier(drawn[0], alpha).value[some] for alpha in grid])
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


def bend_error(run: xr.Dataset) -> xr.DataArray:
    """log10 of the largest distance from a line on two intervals of alpha, and from three lines."""
    return digits(run.bend)


def drift_error(run: xr.Dataset) -> xr.DataArray:
    """log10 of the largest |kappa / (1 - alpha) - limit| for alpha from the threshold on."""
    return digits(run.drift)


def bound_error(run: xr.Dataset) -> xr.DataArray:
    """log10 of the largest amount by which one of three bounds is broken."""
    return digits(run.violation)


IDLENESS = Experiment(
    "random-graphs", "Random graphs: kappa as a function of the idleness alpha, and bounds.",
    random_curvatures, claims=(
        Claim("three-pieces", "kappa is the least of three lines in alpha, the first up to "
              "1/(lcm + 1) of the degrees, the last from 1/(max + 1) on.", bend_error, below(-9)),
        Claim("constant", "kappa/(1 - alpha) is constant from the threshold 1/(max + 1) on.",
              drift_error, below(-9)),
        Claim("bounds", "Balanced Forman curvature, triangles and degrees bound it.",
              bound_error, below(-9)),
    ),
    figures=(Figure("idleness", "kappa of three edges against the idleness.", draw.idleness),),
    control=Control("From idleness 0 on the ratio is not constant.",
                    {"from_threshold": 0.0}, ("constant",)),
)  # fmt: skip

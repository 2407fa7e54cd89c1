"""Ollivier's Ricci curvature of the edges of a graph, exactly."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from chymist.compiling import NoKernel
from chymist.graphs.graph import Graph
from chymist.graphs.transport import by_program, kernel, pointer

DENSE = 2**27
"""Most bytes for the distances of all pairs; beyond, they are found around each node anew."""
WIDEST = 2**24
"""Most pairs of neighbours of the two ends of one edge."""
DUST = 1e-15
"""Mass that counts as none."""


@dataclass(frozen=True)
class Curvature:
    """Curvature [edge], the distance of the ends [edge], and the proof.

    `gap` [edge] bounds the curvature's error: the transport's cost less its dual's value, over the
    distance. An edge whose ends coincide has no curvature: NaN.
    """

    value: Float[ndarray, " edge"]
    distance: Float[ndarray, " edge"]
    gap: Float[ndarray, " edge"]


def ollivier(
    graph: Graph, alpha: float | Float[ndarray, " edge"] = 0.5, p: float = 0.0
) -> Curvature:
    r"""kappa(x, y) = 1 - W1(mu_x, mu_y) / d(x, y) of each edge xy; unit 1.

    d is the shortest-path distance, which is less than the edge's length where there is a shorter
    way; mu_x keeps the mass alpha (one, or one an edge) at x and gives 1 - alpha to its neighbours,
    in proportion exp(-w^p) of the edges' lengths w (p = 0: evenly). Exact to rounding. One thread;
    all edges in one call. Memory: 8 nodes^2 bytes up to 128 MiB, beyond it only a node's
    surroundings. Ollivier, J. Funct. Anal. 256 (2009) 810.

    Raises:
        ValueError: alpha outside [0, 1), p outside [0, 10], or an edge whose ends have over
            2^24 pairs of neighbours.

    >>> triangle = Graph.of(3, [(0, 1), (1, 2), (0, 2)])
    >>> ollivier(triangle).value.round(12).tolist()
    [0.75, 0.75, 0.75]
    """
    stay = np.array(np.broadcast_to(np.asarray(alpha, dtype=float), graph.edges))
    if not ((stay >= 0) & (stay < 1)).all():
        raise ValueError(f"alpha must lie in [0, 1), got {alpha}")
    if not 0 <= p <= 10:
        raise ValueError(f"p must lie in [0, 10], got {p}")
    pairs = np.prod(graph.degree[graph.ends] + 1, axis=1)
    if graph.edges and pairs.max() > WIDEST:
        raise ValueError(f"an edge has {pairs.max()} pairs of neighbours; at most {WIDEST}")
    share = neighbour_mass(graph, p)
    try:
        least, apart, gap = _by_kernel(graph, share, stay)
    except NoKernel:
        least, apart, gap = _by_programs(graph, share, stay)
    with np.errstate(invalid="ignore", divide="ignore"):
        near = apart > 0
        return Curvature(
            np.where(near, 1 - least / apart, np.nan), apart, np.where(near, gap / apart, np.nan)
        )


def lin_lu_yau(graph: Graph, p: float = 0.0) -> Curvature:
    r"""Curvature of Lin, Lu and Yau, lim (alpha -> 1) kappa_alpha / (1 - alpha); unit 1.

    Exact, as kappa_alpha / (1 - alpha) is constant from alpha = 1/2 on: where mu_x keeps more than
    half of its mass at x, some of it must go to y, so that the best potential falls by d(x, y) from
    x to y, and what else there is to choose does not depend on alpha. Lin, Lu, Yau, Tohoku 63
    (2011) 605.

    >>> square = Graph.of(4, [(0, 1), (1, 2), (2, 3), (0, 3)])
    >>> lin_lu_yau(square).value.round(12).tolist()
    [1.0, 1.0, 1.0, 1.0]
    """
    half = ollivier(graph, 0.5, p)
    return Curvature(2 * half.value, half.distance, 2 * half.gap)


def neighbour_mass(graph: Graph, p: float) -> Float[ndarray, " arc"]:
    """Share of each of a node's arcs, exp(-w^p) over their sum: one in all for each node.

    The smallest exponent of each node is taken from all, so that nothing underflows to 0 / 0.
    """
    first, _, edge = graph.arcs
    exponent = graph.length[edge] ** p if p else np.ones(len(edge))
    if not len(edge):
        return exponent
    begin = first[:-1][np.diff(first) > 0]
    count = np.diff(first)[np.diff(first) > 0]
    weight = np.exp(np.repeat(np.minimum.reduceat(exponent, begin), count) - exponent)
    found: ndarray[Any, Any] = weight / np.repeat(np.add.reduceat(weight, begin), count)
    return found


def _by_kernel(
    graph: Graph, share: ndarray[Any, Any], stay: ndarray[Any, Any]
) -> list[ndarray[Any, Any]]:
    first, other, edge = graph.arcs
    degree = graph.degree
    # From the end of smaller degree, those of one node together.
    turned = degree[graph.ends[:, 0]] > degree[graph.ends[:, 1]]
    ends = np.where(turned[:, None], graph.ends[:, ::-1], graph.ends)
    order = np.argsort(ends[:, 0], kind="stable")
    given = np.ascontiguousarray(ends[order])
    length, stays = graph.length[edge], stay[order]
    unit = bool((graph.length == 1).all())
    small = 8 * graph.nodes**2 <= DENSE
    dense = np.empty((graph.nodes, graph.nodes)) if small else None
    found = [np.empty(graph.edges) for _ in range(3)]
    failed = kernel().edges(
        ctypes.c_int64(graph.nodes), pointer(first), pointer(other), pointer(length),
        ctypes.c_int(unit), pointer(share), pointer(stays),
        ctypes.c_int64(graph.edges), pointer(given), pointer(dense), *map(pointer, found),
    )  # fmt: skip
    if failed:
        raise MemoryError("no room for the distances around an edge")
    back = np.empty_like(order)
    back[order] = np.arange(len(order))
    return [values[back] for values in found]


def _by_programs(
    graph: Graph, share: ndarray[Any, Any], stay: ndarray[Any, Any]
) -> list[ndarray[Any, Any]]:
    from scipy.sparse.csgraph import dijkstra

    first, other, _ = graph.arcs
    # Zero would be no edge to SciPy: such edges get a length that no sum of others notices.
    tiny = np.finfo(float).tiny
    distance = graph.matrix(np.maximum(graph.length, tiny))
    found = np.empty((3, graph.edges))
    for e, (x, y) in enumerate(graph.ends.tolist()):
        excess = np.zeros(graph.nodes)
        for node, sign in ((x, 1.0), (y, -1.0)):
            arcs = slice(first[node], first[node + 1])
            excess[other[arcs]] += sign * (1 - stay[e]) * share[arcs]
            excess[node] += sign * stay[e]
        rows, columns = np.flatnonzero(excess > DUST), np.flatnonzero(excess < -DUST)
        away = dijkstra(distance, indices=[x, *rows])
        away[away < 1e-300] = 0
        found[1, e] = away[0, y]
        if len(rows) and len(columns):
            done = by_program(excess[rows], -excess[columns], away[1:][:, columns])
            found[0, e], found[2, e] = done.cost, done.gap
        else:
            found[0, e] = found[2, e] = 0
    return list(found)

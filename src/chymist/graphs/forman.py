"""Curvatures of edges that are counted rather than solved for; lengths play no part."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from chymist.graphs.graph import Graph


def forman(graph: Graph) -> Float[ndarray, " edge"]:
    """4 - d_x - d_y of each edge xy, d the degrees; unit 1. Forman, DCG 29 (2003) 323.

    >>> forman(Graph.of(3, [(0, 1), (1, 2)])).tolist()
    [1.0, 1.0]
    """
    found: ndarray[Any, Any] = 4.0 - graph.degree[graph.ends].sum(1)
    return found


def triangles(graph: Graph) -> Int[ndarray, " edge"]:
    """How many triangles each edge is in.

    >>> triangles(Graph.of(4, [(0, 1), (1, 2), (0, 2), (2, 3)])).tolist()
    [1, 1, 1, 0]
    """
    beside = graph.neighbours
    return np.array([len(beside[x] & beside[y]) for x, y in graph.ends.tolist()], dtype=np.int64)


def augmented_forman(graph: Graph) -> Float[ndarray, " edge"]:
    """4 - d_x - d_y + 3 T of each edge, T its triangles; unit 1. Samal et al., Sci. Rep. 2018.

    >>> augmented_forman(Graph.of(3, [(0, 1), (1, 2), (0, 2)])).tolist()
    [3.0, 3.0, 3.0]
    """
    return forman(graph) + 3.0 * triangles(graph)


def balanced_forman(graph: Graph) -> Float[ndarray, " edge"]:
    """Balanced Forman curvature, a lower bound of Lin, Lu and Yau's; unit 1.

    2 / d_x + 2 / d_y - 2 + 2 T / max + T / min + (s_x + s_y) / (g max), with max and min of the two
    degrees, T the triangles of xy, s_x the neighbours of x in 4-cycles over xy without diagonals,
    and g the most such cycles that pass through one of these; 0 where a degree is 1. Topping et
    al., ICLR 2022, arXiv:2111.14522.

    >>> balanced_forman(Graph.of(4, [(0, 1), (1, 2), (2, 3), (0, 3)])).tolist()
    [1.0, 1.0, 1.0, 1.0]
    """
    beside = graph.neighbours
    found = np.zeros(graph.edges)
    for e, (x, y) in enumerate(graph.ends.tolist()):
        least, most = sorted((len(beside[x]), len(beside[y])))
        if least == 1:
            continue
        both = beside[x] & beside[y]
        own = [beside[x] - both - {y}, beside[y] - both - {x}]
        # Cycles over xy through each neighbour of one end: its own neighbours beside the other.
        through = [[len(beside[z] & own[1 - i]) for z in own[i]] for i in (0, 1)]
        cycles = [c for counts in through for c in counts if c]
        value = 2 / least + 2 / most - 2 + 2 * len(both) / most + len(both) / least
        found[e] = value + (len(cycles) / (max(cycles) * most) if cycles else 0)
    return found

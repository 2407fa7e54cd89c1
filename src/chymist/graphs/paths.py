"""Shortest paths between all nodes."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from chymist.graphs.graph import Graph


def path_lengths(graph: Graph) -> Float[ndarray, "node node"]:
    """Length of the shortest path between each two nodes, infinite between components.

    >>> path_lengths(Graph.of(3, [(0, 1), (1, 2)], [1.0, 0.5]))[0].tolist()
    [0.0, 1.0, 1.5]
    """
    from scipy.sparse.csgraph import dijkstra

    # Zero would be no edge to SciPy: such edges get a length that no sum of others notices.
    found: ndarray[Any, Any] = dijkstra(graph.matrix(np.maximum(graph.length, 1e-300)))
    return np.where(found < 1e-290, 0.0, found)

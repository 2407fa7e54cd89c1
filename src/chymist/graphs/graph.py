"""A graph whose edges have lengths: plain arrays, and what follows from them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray


@dataclass(frozen=True, eq=False)
class Graph:
    """An undirected graph without loops or double edges; nodes are 0 .. nodes - 1.

    `ends` [edge, 2] are the nodes that an edge joins, `length` [edge] how long it is.

    Raises:
        ValueError: an end is no node, a loop, an edge twice, or a length that is negative or not
            finite. Lengths of zero are allowed: a flow contracts edges to them.

    >>> triangle = Graph.of(3, [(0, 1), (1, 2), (0, 2)])
    >>> triangle.degree.tolist()
    [2, 2, 2]
    """

    nodes: int
    ends: Int[ndarray, "edge 2"]
    length: Float[ndarray, " edge"]

    @classmethod
    def of(cls, nodes: int, ends: Any, length: Any = None) -> Graph:
        """Build a graph from pairs of nodes; without lengths all are 1."""
        pairs = np.asarray(ends, dtype=np.int64).reshape(-1, 2)
        far = np.ones(len(pairs)) if length is None else np.asarray(length, dtype=float)
        return cls(nodes, pairs, far)

    def __post_init__(self) -> None:
        low, high = np.sort(self.ends, axis=1).T
        if len(self.ends) and (low.min() < 0 or high.max() >= self.nodes):
            raise ValueError(f"ends must be nodes 0 to {self.nodes - 1}")
        if (low == high).any():
            raise ValueError(f"edge {int(np.argmax(low == high))} is a loop")
        if len(np.unique(low * self.nodes + high)) < len(self.ends):
            raise ValueError("an edge is given twice")
        if self.length.shape != (len(self.ends),):
            raise ValueError(f"{len(self.ends)} edges have {self.length.shape} lengths")
        fits = np.isfinite(self.length) & (self.length >= 0)
        if not fits.all():
            wrong = self.length[np.argmin(fits)]
            raise ValueError(f"length must be finite and not negative, got {wrong}")

    @property
    def edges(self) -> int:
        """How many edges there are."""
        return len(self.ends)

    @cached_property
    def arcs(self) -> tuple[Int[ndarray, " node_1"], Int[ndarray, " arc"], Int[ndarray, " arc"]]:
        """Each edge both ways: where a node's arcs begin, the node an arc leads to, its edge."""
        source = np.concatenate([self.ends[:, 0], self.ends[:, 1]])
        other = np.concatenate([self.ends[:, 1], self.ends[:, 0]])
        order = np.lexsort((other, source))
        first = np.searchsorted(source[order], np.arange(self.nodes + 1))
        return first, other[order], np.tile(np.arange(self.edges), 2)[order]

    @property
    def degree(self) -> Int[ndarray, " node"]:
        """How many edges each node has."""
        found: ndarray[Any, Any] = np.diff(self.arcs[0])
        return found

    @cached_property
    def neighbours(self) -> tuple[frozenset[int], ...]:
        """The neighbours of each node."""
        first, other, _ = self.arcs
        return tuple(frozenset(part.tolist()) for part in np.split(other, first[1:-1]))

    def with_length(self, length: Float[ndarray, " edge"]) -> Graph:
        """Return the same edges with other lengths."""
        new = replace(self, length=np.asarray(length, dtype=float))
        new.__dict__["arcs"] = self.arcs  # they do not depend on lengths
        return new

    def keeping(self, kept: ndarray[Any, Any]) -> Graph:
        """Return the graph of the edges that a mask or a list of places keeps; all nodes stay."""
        return Graph(self.nodes, self.ends[kept], self.length[kept])

    def relabelled(self, names: Int[ndarray, " node"]) -> Graph:
        """Return the graph in which node i is called names[i]; edges keep their places."""
        return Graph(self.nodes, np.asarray(names)[self.ends], self.length)

    def components(self) -> Int[ndarray, " node"]:
        """Number the connected components; return that of each node."""
        from scipy.sparse.csgraph import connected_components

        found: ndarray[Any, Any] = connected_components(self.matrix(), directed=False)[1]
        return found.astype(np.int64)

    def matrix(self, values: Float[ndarray, " edge"] | None = None) -> Any:
        """Return the symmetric sparse matrix of one value an edge; without values, of ones."""
        from scipy.sparse import csr_array

        first, other, edge = self.arcs
        held = np.ones(self.edges) if values is None else np.asarray(values, dtype=float)
        return csr_array((held[edge], other, first), shape=(self.nodes, self.nodes))

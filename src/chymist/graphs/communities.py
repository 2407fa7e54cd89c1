"""Groups of nodes: those that a cut of long edges leaves, how good they are, and a second way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from chymist.graphs.graph import Graph

SAME = 1e-9
"""Difference of two heights, relative to the largest, that counts as none."""


@dataclass(frozen=True)
class Cuts:
    """All cuts of a graph at one height an edge, the one that keeps all edges last.

    At `threshold` [cut] all higher edges are cut; `modularity` [cut] and `count` [cut] are those of
    the components that are left. Heights that are equal but for rounding are cut together.
    """

    threshold: Float[ndarray, " cut"]
    modularity: Float[ndarray, " cut"]
    count: Int[ndarray, " cut"]

    @property
    def best(self) -> int:
        """Place of the cut of the largest modularity, that of fewest groups among equals."""
        top = self.modularity.max()
        return int(np.flatnonzero(self.modularity >= top - SAME)[-1])


def modularity(graph: Graph, groups: Int[ndarray, " node"]) -> float:
    """Q = sum over groups c of L_c / m - (D_c / 2 m)^2, L_c edges inside, D_c sum of degrees.

    Each edge counts as one. Newman, Girvan, Phys. Rev. E 69 (2004) 026113.

    >>> two = Graph.of(6, [(0, 1), (1, 2), (0, 2), (3, 4), (4, 5), (3, 5), (2, 3)])
    >>> round(modularity(two, np.array([0, 0, 0, 1, 1, 1])), 6)
    0.357143
    """
    x, y = np.asarray(groups)[graph.ends].T
    inside = (x == y).sum() / graph.edges
    degrees = np.bincount(np.asarray(groups), weights=graph.degree)
    return float(inside - ((degrees / (2 * graph.edges)) ** 2).sum())


def modularity_cuts(graph: Graph, height: Float[ndarray, " edge"]) -> Cuts:
    """Cut a graph at every distinct height: components of the edges not above it, and modularity.

    One pass from the lowest edge up, joining components: O(edges log edges).

    Raises:
        ValueError: there is no edge, or a height is not finite.

    >>> two = Graph.of(6, [(0, 1), (1, 2), (0, 2), (3, 4), (4, 5), (3, 5), (2, 3)])
    >>> cuts = modularity_cuts(two, np.array([1.0, 1, 1, 1, 1, 1, 2]))
    >>> cuts.threshold.tolist(), cuts.count.tolist(), cuts.modularity.round(6).tolist()
    ([1.0, 2.0], [2, 1], [0.357143, 0.0])
    """
    height = np.asarray(height, dtype=float)
    if not graph.edges or not np.isfinite(height).all():
        raise ValueError("a cut needs edges of finite height")
    order = np.argsort(height, kind="stable")
    span = SAME * np.abs(height).max()
    joined = _Components(graph)
    threshold, quality, count = [], [], []
    for place, edge in enumerate(order.tolist()):
        joined.join(*graph.ends[edge].tolist())
        last = place + 1 == len(order)
        if last or height[order[place + 1]] - height[edge] > span:
            threshold.append(height[edge])
            quality.append(joined.modularity)
            count.append(joined.count)
    return Cuts(np.array(threshold), np.array(quality), np.array(count))


def groups_below(
    graph: Graph, height: Float[ndarray, " edge"], threshold: float
) -> Int[ndarray, " node"]:
    """Return the component of each node once all edges above the threshold are cut."""
    span = SAME * float(np.abs(height).max())
    return graph.keeping(np.asarray(height) <= threshold + span).components()


def spectral_groups(weights: Float[ndarray, "node node"], count: int) -> Int[ndarray, " node"]:
    """Divide nodes into groups by the leading eigenvectors of the normalised similarity.

    D^(-1/2) W D^(-1/2), `count` eigenvectors, groups by a pivoted QR decomposition: no random
    start. Ng, Jordan, Weiss 2001; Damle, Minden, Ying, Inf. Inference 8 (2019) 181. Dense:
    O(nodes^3).

    Raises:
        ValueError: `count` is not from 1 to the number of nodes.

    >>> blocks = np.kron(np.eye(2), np.ones((3, 3))) + 0.1
    >>> len(set(spectral_groups(blocks, 2)[:3])), len(set(spectral_groups(blocks, 2)))
    (1, 2)
    """
    from scipy.linalg import eigh, qr, svd

    n = len(weights)
    if not 1 <= count <= n:
        raise ValueError(f"count must lie in [1, {n}], got {count}")
    total = weights.sum(1)
    root = np.divide(1.0, np.sqrt(total), out=np.zeros(n), where=total > 0)
    vectors = eigh(root[:, None] * weights * root, subset_by_index=[n - count, n - 1])[1]
    pivots = qr(vectors.T, mode="r", pivoting=True)[1]
    left, _, right = svd(vectors[pivots[:count]].T)
    found: ndarray[Any, Any] = np.abs(vectors @ (left @ right)).argmax(1)
    return found


def adjusted_rand(found: Int[ndarray, " node"], true: Int[ndarray, " node"]) -> float:
    """Adjusted Rand index: 1 where the groups are the same, 0 on average by chance.

    >>> adjusted_rand(np.array([0, 0, 1, 1]), np.array([5, 5, 3, 3]))
    1.0
    """
    a, b = (np.unique(groups, return_inverse=True)[1] for groups in (found, true))
    shared = np.bincount(a * (int(b.max()) + 1) + b)

    def pairs(counts: Int[ndarray, " group"]) -> float:
        return float((counts * (counts - 1.0)).sum() / 2)

    both, ours, theirs = pairs(shared), pairs(np.bincount(a)), pairs(np.bincount(b))
    chance = ours * theirs / (len(a) * (len(a) - 1) / 2)
    most = (ours + theirs) / 2
    return 1.0 if most == chance else (both - chance) / (most - chance)


def mutual_information(found: Int[ndarray, " node"], true: Int[ndarray, " node"]) -> float:
    """Normalised mutual information, by the mean of both entropies: 1 where groups are the same.

    >>> round(mutual_information(np.array([0, 0, 1, 1]), np.array([5, 5, 3, 3])), 12)
    1.0
    """
    from sklearn.metrics import normalized_mutual_info_score

    return float(normalized_mutual_info_score(true, found))


def edge_auc(height: Float[ndarray, " edge"], between: Bool[ndarray, " edge"]) -> float:
    """Chance that an edge between communities is higher than one within; ties count half.

    NaN where there are none of a kind.

    >>> edge_auc(np.array([3.0, 1.0, 2.0]), np.array([True, False, True]))
    1.0
    """
    from scipy.stats import rankdata

    between = np.asarray(between, dtype=bool)
    many, few = int(between.sum()), int((~between).sum())
    if not many or not few:
        return float("nan")
    ranks = rankdata(height)[between].sum() - many * (many + 1) / 2
    return float(ranks / (many * few))


class _Components:
    """Components that are joined edge by edge, and the modularity they have."""

    def __init__(self, graph: Graph) -> None:
        self._m = graph.edges
        self._parent = list(range(graph.nodes))
        self._degree = graph.degree.astype(float).tolist()
        self._across = [dict.fromkeys(beside, 1) for beside in graph.neighbours]
        self.count = graph.nodes
        self.modularity = -sum((d / (2 * self._m)) ** 2 for d in self._degree)

    def join(self, x: int, y: int) -> None:
        a, b = self._root(x), self._root(y)
        if a == b:
            return
        if len(self._across[a]) < len(self._across[b]):
            a, b = b, a
        # Edges between the two are inside from now on.
        self.modularity += self._across[a].pop(b) / self._m
        self.modularity -= self._degree[a] * self._degree[b] / (2 * self._m**2)
        for other, edges in self._across[b].items():
            if other != a:
                self._across[a][other] = self._across[a].get(other, 0) + edges
                self._across[other][a] = self._across[other].get(a, 0) + edges
                del self._across[other][b]
        self._across[b] = {}
        self._parent[b] = a
        self._degree[a] += self._degree[b]
        self.count -= 1

    def _root(self, node: int) -> int:
        while self._parent[node] != node:
            self._parent[node] = self._parent[self._parent[node]]
            node = self._parent[node]
        return node

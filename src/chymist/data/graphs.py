"""Graphs to try things on: named ones, random ones with communities, and one of friendships."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Int
from numpy import ndarray

from chymist.graphs import Graph

NAMED_GRAPHS = (
    "complete-5", "cycle-3", "cycle-4", "cycle-5", "cycle-6", "cycle-9", "hypercube-3",
    "hypercube-4", "icosahedron", "dodecahedron", "petersen", "rook-4", "tree-3",
)  # fmt: skip
"""Graphs whose curvatures have closed forms; tree-3: binary, three generations below its root."""


def named_graph(name: str) -> Graph:
    """Return a graph by its name, such as `complete-5`, `hypercube-4` or `petersen`.

    Raises:
        ValueError: no graph has this name.

    >>> named_graph("petersen").edges
    15
    """
    import networkx as nx

    kind, _, size = name.partition("-")
    n = int(size) if size.isdecimal() else 0
    known: dict[str, Any] = {
        "complete": lambda: nx.complete_graph(n),
        "cycle": lambda: nx.cycle_graph(n),
        "hypercube": lambda: nx.hypercube_graph(n),
        "icosahedron": nx.icosahedral_graph,
        "dodecahedron": nx.dodecahedral_graph,
        "petersen": nx.petersen_graph,
        "rook": lambda: nx.cartesian_product(nx.complete_graph(n), nx.complete_graph(n)),
        "tree": lambda: nx.balanced_tree(2, n),
        "torus": lambda: nx.grid_2d_graph(n, n, periodic=True),
    }
    if kind not in known:
        raise ValueError(f"no graph is called {name}")
    return _plain(known[kind]())


def karate_club() -> tuple[Graph, Int[ndarray, " node"]]:
    """Friendships in a karate club, and the side each member took when it split.

    34 members, 78 edges, weights left out. Zachary, J. Anthropol. Res. 33 (1977) 452.

    >>> karate_club()[0].edges
    78
    """
    import networkx as nx

    club = nx.karate_club_graph()
    sides = np.array([club.nodes[i]["club"] == "Officer" for i in club], dtype=np.int64)
    return _plain(club), sides


def dumbbell(size: int) -> Graph:
    """Two complete graphs of `size` nodes joined by one edge, which is the last.

    >>> dumbbell(4).edges, dumbbell(4).ends[-1].tolist()
    (13, [3, 4])
    """
    low, high = np.triu_indices(size, 1)
    whole = np.stack([low, high], 1)
    return Graph.of(2 * size, np.concatenate([whole, whole + size, [[size - 1, size]]]))


def planted_partition(
    sizes: tuple[int, ...], inside: float, outside: float, generator: np.random.Generator
) -> tuple[Graph, Int[ndarray, " node"]]:
    """Draw a stochastic block model; return it with the block of each node.

    Two nodes of one block are joined with probability `inside`, others with `outside`.

    >>> graph, block = planted_partition((3, 2), 1.0, 0.0, np.random.default_rng(0))
    >>> graph.edges, block.tolist()
    (4, [0, 0, 0, 1, 1])
    """
    block = np.repeat(np.arange(len(sizes)), sizes)
    low, high = np.triu_indices(len(block), 1)
    chance = np.where(block[low] == block[high], inside, outside)
    drawn = generator.random(len(low)) < chance
    return Graph.of(len(block), np.stack([low, high], 1)[drawn]), block


def random_graph(nodes: int, chance: float, generator: np.random.Generator) -> Graph:
    """Join each two nodes with the same probability."""
    return planted_partition((nodes,), chance, 0.0, generator)[0]


def rewired(graph: Graph, generator: np.random.Generator, swaps: int = 10) -> Graph:
    """Return a random graph of the same degrees: `swaps` exchanges of ends tried an edge.

    Two edges ab, cd become ad, cb where that makes neither a loop nor a double edge: the simple
    configuration model. Lengths are 1.

    >>> star = Graph.of(4, [(0, 1), (0, 2), (0, 3)])
    >>> rewired(star, np.random.default_rng(0)).degree.tolist()
    [3, 1, 1, 1]
    """
    ends = graph.ends.tolist()
    present = {(min(e), max(e)) for e in ends}
    tries = swaps * graph.edges
    pairs = generator.integers(0, max(graph.edges, 1), size=(tries, 2)).tolist()
    turns = generator.random(tries) < 0.5
    for (i, j), turned in zip(pairs, turns.tolist(), strict=True):
        (a, b), (c, d) = ends[i], ends[j][::-1] if turned else ends[j]
        new = {(min(a, d), max(a, d)), (min(c, b), max(c, b))}
        if len({a, b, c, d}) < 4 or new & present:
            continue
        present -= {(min(a, b), max(a, b)), (min(c, d), max(c, d))}
        present |= new
        ends[i], ends[j] = [a, d], [c, b]
    return Graph.of(graph.nodes, ends)


def _plain(graph: Any) -> Graph:
    place = {node: i for i, node in enumerate(graph)}
    return Graph.of(len(place), [(place[a], place[b]) for a, b in graph.edges])

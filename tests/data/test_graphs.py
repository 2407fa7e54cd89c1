import numpy as np
import pytest

from chymist.data import (
    NAMED_GRAPHS,
    dumbbell,
    karate_club,
    named_graph,
    planted_partition,
    random_graph,
    rewired,
)
from chymist.graphs import modularity


def test_named_graphs_have_their_sizes():
    sizes = {n: (named_graph(n).nodes, named_graph(n).edges) for n in NAMED_GRAPHS}
    assert sizes["petersen"] == (10, 15)
    assert sizes["icosahedron"] == (12, 30)
    assert sizes["dodecahedron"] == (20, 30)
    assert sizes["rook-4"] == (16, 48)
    assert sizes["hypercube-4"] == (16, 32)
    assert sizes["tree-3"] == (15, 14)
    with pytest.raises(ValueError, match="no graph is called nonsense-3"):
        named_graph("nonsense-3")


def test_the_karate_club_split_along_its_friendships():
    graph, sides = karate_club()
    assert (graph.nodes, graph.edges, int(sides.sum())) == (34, 78, 17)
    assert modularity(graph, sides) > 0.3


def test_planted_partitions_have_the_chances_asked_for():
    graph, block = planted_partition((300, 200), 0.2, 0.05, np.random.default_rng(0))
    same = block[graph.ends[:, 0]] == block[graph.ends[:, 1]]
    pairs_inside = 300 * 299 / 2 + 200 * 199 / 2
    assert same.sum() / pairs_inside == pytest.approx(0.2, abs=0.01)
    assert (~same).sum() / 60_000 == pytest.approx(0.05, abs=0.005)
    assert random_graph(50, 1.0, np.random.default_rng(0)).edges == 50 * 49 // 2


@pytest.mark.parametrize("seed", range(3))
def test_rewiring_keeps_degrees_and_loses_communities(seed):
    graph, block = planted_partition((30, 30), 0.4, 0.02, np.random.default_rng(seed))
    drawn = rewired(graph, np.random.default_rng(seed + 9))
    assert drawn.degree.tolist() == graph.degree.tolist()
    assert modularity(graph, block) > 0.35
    assert modularity(drawn, block) < 0.15


def test_a_dumbbell_is_two_complete_graphs_and_a_bridge():
    graph = dumbbell(5)
    assert sorted(graph.degree.tolist()) == [4] * 8 + [5] * 2
    assert len(set(graph.keeping(np.arange(graph.edges - 1)).components().tolist())) == 2

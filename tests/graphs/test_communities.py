import networkx as nx
import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score, roc_auc_score

from chymist.data import karate_club, planted_partition, random_graph
from chymist.graphs import (
    Graph,
    adjusted_rand,
    edge_auc,
    groups_below,
    modularity,
    modularity_cuts,
    mutual_information,
    path_lengths,
    spectral_groups,
)


@pytest.mark.parametrize("seed", range(4))
def test_cuts_are_components_with_networkx_s_modularity(seed):
    rng = np.random.default_rng(seed)
    graph = random_graph(25, 0.15, rng)
    height = rng.integers(0, 12, graph.edges).astype(float)
    cuts = modularity_cuts(graph, height)
    assert cuts.threshold.tolist() == sorted(set(height.tolist()))
    whole = nx.Graph()
    whole.add_nodes_from(range(25))
    whole.add_edges_from(graph.ends.tolist())
    for place, threshold in enumerate(cuts.threshold):
        left = nx.Graph(whole)
        left.remove_edges_from(graph.ends[height > threshold].tolist())
        parts = list(nx.connected_components(left))
        assert cuts.count[place] == len(parts)
        assert cuts.modularity[place] == pytest.approx(nx.community.modularity(whole, parts))
        groups = groups_below(graph, height, threshold)
        assert {frozenset(np.flatnonzero(groups == g).tolist()) for g in set(groups.tolist())} == {
            frozenset(p) for p in parts
        }
        assert modularity(graph, groups) == pytest.approx(cuts.modularity[place])
    assert cuts.modularity[cuts.best] == cuts.modularity.max()


def test_heights_that_differ_by_rounding_are_cut_together():
    graph = Graph.of(4, [(0, 1), (1, 2), (2, 3)])
    cuts = modularity_cuts(graph, np.array([1.0, 1.0 + 1e-12, 2.0]))
    assert cuts.count.tolist() == [2, 1]
    with pytest.raises(ValueError, match="finite height"):
        modularity_cuts(graph, np.array([1.0, np.nan, 2.0]))


@pytest.mark.parametrize("seed", range(4))
def test_scores_are_scikit_learn_s(seed):
    rng = np.random.default_rng(seed)
    a, b = rng.integers(0, 4, 60), rng.integers(3, 9, 60)
    a[:30] = b[:30]
    assert adjusted_rand(a, b) == pytest.approx(adjusted_rand_score(a, b), abs=1e-12)
    assert mutual_information(a, b) == pytest.approx(normalized_mutual_info_score(a, b))
    height, between = rng.integers(0, 9, 60).astype(float), rng.random(60) < 0.4
    assert edge_auc(height, between) == pytest.approx(roc_auc_score(between, height))
    assert np.isnan(edge_auc(height, np.zeros(60, bool)))


def test_one_group_each_and_one_for_all():
    assert adjusted_rand(np.arange(5), np.arange(5)) == 1
    assert adjusted_rand(np.zeros(5, int), np.zeros(5, int)) == 1
    assert adjusted_rand(np.zeros(5, int), np.arange(5)) == 0


def test_spectral_groups_find_blocks_whatever_the_order():
    graph, block = planted_partition((30, 20, 25), 0.5, 0.02, np.random.default_rng(0))
    found = spectral_groups(graph.matrix().toarray(), 3)
    assert adjusted_rand(found, block) == 1
    order = np.random.default_rng(1).permutation(75)
    again = spectral_groups(graph.relabelled(order).matrix().toarray(), 3)
    assert adjusted_rand(again[order], found) == 1
    with pytest.raises(ValueError, match="count must lie"):
        spectral_groups(np.eye(3), 4)


def test_path_lengths_are_networkx_s_and_zero_is_a_length():
    graph, _ = karate_club()
    length = np.random.default_rng(0).uniform(0, 2, graph.edges)
    length[3] = 0.0
    g = nx.Graph()
    for (a, b), w in zip(graph.ends.tolist(), length.tolist(), strict=True):
        g.add_edge(a, b, w=w)
    far = dict(nx.all_pairs_dijkstra_path_length(g, weight="w"))
    expected = [[far[i][j] for j in range(34)] for i in range(34)]
    np.testing.assert_allclose(path_lengths(graph.with_length(length)), expected, atol=1e-12)

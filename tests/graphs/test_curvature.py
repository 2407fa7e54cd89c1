import networkx as nx
import numpy as np
import pytest
from scipy.optimize import linprog

from chymist.data import karate_club, named_graph, planted_partition, random_graph
from chymist.graphs import Graph, curvature, lin_lu_yau, neighbour_mass, ollivier, transport


def weighted(seed, nodes=14):
    rng = np.random.default_rng(seed)
    graph = random_graph(nodes, 0.3, rng)
    return graph.with_length(rng.uniform(0.2, 3, graph.edges))


def referee(graph, alpha, p):
    """Curvature by definition: whole measures, NetworkX's distances, a dense linear program."""
    g = nx.Graph()
    g.add_nodes_from(range(graph.nodes))
    for (a, b), w in zip(graph.ends.tolist(), graph.length.tolist(), strict=True):
        g.add_edge(a, b, w=w)
    far = dict(nx.all_pairs_dijkstra_path_length(g, weight="w"))

    def measure(x):
        weights = {y: np.exp(-(g[x][y]["w"] ** p)) for y in g[x]}
        total = sum(weights.values())
        return {x: alpha} | {y: (1 - alpha) * w / total for y, w in weights.items()}

    found = []
    for x, y in graph.ends.tolist():
        mu, nu = measure(x), measure(y)
        cost = np.array([[far[a][b] for b in nu] for a in mu])
        sends = np.kron(np.eye(len(mu)), np.ones(len(nu)))
        takes = np.kron(np.ones(len(mu)), np.eye(len(nu)))
        masses = [*mu.values(), *nu.values()]
        least = linprog(cost.ravel(), A_eq=np.vstack([sends, takes]), b_eq=masses).fun
        found.append(1 - least / far[x][y])
    return np.array(found)


@pytest.mark.parametrize("alpha", [0.0, 0.3, 0.5])
@pytest.mark.parametrize("p", [0.0, 1.0, 2.0])
def test_it_is_the_definition_solved_by_linear_programs(alpha, p):
    for seed in range(3):
        graph = weighted(seed)
        found = ollivier(graph, alpha, p)
        np.testing.assert_allclose(found.value, referee(graph, alpha, p), atol=1e-9)
        assert found.gap.max() < 1e-12
        # Some edge must be longer than the way round it, or distances are not told from lengths.
        assert (found.distance < graph.length - 1e-9).any()


@pytest.mark.parametrize(
    ("name", "exact"),
    [
        ("complete-2", 2), ("complete-7", 7 / 6), ("cycle-3", 1.5), ("cycle-4", 1),
        ("cycle-5", 0.5), ("cycle-6", 0), ("cycle-11", 0), ("hypercube-1", 2), ("hypercube-5", 0.4),
        ("icosahedron", 0.4), ("dodecahedron", 0), ("petersen", 0), ("rook-4", 2 / 3),
        ("torus-7", 0),
    ],
)  # fmt: skip
def test_closed_forms(name, exact):
    np.testing.assert_allclose(lin_lu_yau(named_graph(name)).value, exact, atol=1e-13)


def test_a_tree_s_edge_depends_on_the_degrees_of_its_ends():
    graph = Graph.of(9, [(0, 1), (0, 2), (0, 3), (1, 4), (1, 5), (2, 6), (6, 7), (6, 8)])
    x, y = graph.degree[graph.ends].T
    np.testing.assert_allclose(lin_lu_yau(graph).value, 2 / x + 2 / y - 2, atol=1e-14)


def test_the_limit_is_reached_at_one_half_on_any_lengths():
    graph = weighted(3)
    limit = lin_lu_yau(graph, p=1.5).value
    for alpha in (0.6, 0.9, 0.999):
        value = ollivier(graph, alpha, 1.5).value / (1 - alpha)
        np.testing.assert_allclose(value, limit, atol=1e-11)
    assert np.abs(ollivier(graph, 0.2, 1.5).value / 0.8 - limit).max() > 1e-3


def test_published_test_vectors_of_the_karate_club():
    graph, _ = karate_club()
    expected = [0.111111, -0.143750, 0.041667, -0.114583, -0.281250]
    np.testing.assert_allclose(ollivier(graph, 0.5, 2).value[:5], expected, atol=5e-7)


@pytest.mark.parametrize("unit", [True, False])
def test_names_and_directions_do_not_matter(unit):
    graph = weighted(4)
    graph = graph.with_length(np.ones(graph.edges)) if unit else graph
    value = ollivier(graph, 0.4, 1).value
    rng = np.random.default_rng(0)
    order = rng.permutation(graph.edges)
    ends = rng.permutation(graph.nodes)[graph.ends[order]]
    ends = np.where(rng.random(graph.edges)[:, None] < 0.5, ends, ends[:, ::-1])
    again = ollivier(Graph.of(graph.nodes, ends, graph.length[order]), 0.4, 1)
    np.testing.assert_allclose(again.value, value[order], atol=1e-13)
    scaled = graph.with_length(7 * graph.length)
    np.testing.assert_allclose(ollivier(scaled, 0.4).value, ollivier(graph, 0.4).value, atol=1e-13)


@pytest.mark.parametrize("unit", [True, False])
def test_distances_around_a_node_are_those_of_all_pairs(monkeypatch, unit):
    rng = np.random.default_rng(1)
    graph, _ = planted_partition((30, 40), 0.2, 0.03, rng)
    if not unit:
        graph = graph.with_length(rng.uniform(0.1, 4, graph.edges))
    whole = ollivier(graph, 0.3, 1)
    monkeypatch.setattr(curvature, "DENSE", 0)
    local = ollivier(graph, 0.3, 1)
    np.testing.assert_array_equal(local.value, whole.value)
    np.testing.assert_array_equal(local.distance, whole.distance)


def test_without_a_compiler_it_is_the_same(monkeypatch):
    graph = weighted(5)
    graph = graph.with_length(np.where(np.arange(graph.edges) == 2, 0.0, graph.length))
    compiled = ollivier(graph, 0.5, 1)
    monkeypatch.setenv("CHYMIST_NATIVE", "0")
    transport.kernel.cache_clear()
    found = ollivier(graph, 0.5, 1)
    monkeypatch.undo()
    transport.kernel.cache_clear()
    np.testing.assert_allclose(found.value, compiled.value, atol=1e-9)
    np.testing.assert_allclose(found.distance, compiled.distance, atol=1e-12)
    assert np.isnan(found.value[2])


def test_one_idleness_an_edge():
    graph = weighted(6)
    alpha = np.where(np.arange(graph.edges) % 2, 0.1, 0.7)
    mixed = ollivier(graph, alpha).value
    np.testing.assert_array_equal(mixed[1::2], ollivier(graph, 0.1).value[1::2])
    np.testing.assert_array_equal(mixed[::2], ollivier(graph, 0.7).value[::2])


def test_long_edges_do_not_underflow_to_nothing():
    graph = Graph.of(4, [(0, 1), (1, 2), (2, 3)], [60.0, 61.0, 62.0])
    mass = neighbour_mass(graph, 2.0)
    np.testing.assert_allclose(mass, [1, 1, np.exp(-121), 1, np.exp(-123), 1], rtol=1e-12)
    assert np.isfinite(ollivier(graph, 0.5, 2).value).all()


def test_ends_that_coincide_have_no_curvature():
    graph = Graph.of(3, [(0, 1), (1, 2), (0, 2)], [0.0, 1.0, 1.0])
    found = ollivier(graph)
    assert np.isnan(found.value[0])
    assert np.isfinite(found.value[1:]).all()


@pytest.mark.parametrize("alpha", [-0.1, 1.0, np.nan])
def test_an_idleness_out_of_range_is_refused(alpha):
    with pytest.raises(ValueError, match="alpha must lie in"):
        ollivier(named_graph("cycle-4"), alpha)


def test_other_bad_arguments_are_refused(monkeypatch):
    with pytest.raises(ValueError, match="p must lie in"):
        ollivier(named_graph("cycle-4"), 0.5, -1)
    monkeypatch.setattr(curvature, "WIDEST", 8)
    with pytest.raises(ValueError, match="9 pairs of neighbours"):
        ollivier(named_graph("cycle-4"))


@pytest.mark.parametrize(
    ("ends", "length", "says"),
    [
        ([(0, 3)], None, "nodes 0 to 2"), ([(1, 1)], None, "a loop"),
        ([(0, 1), (1, 0)], None, "twice"), ([(0, 1)], [1.0, 2.0], "lengths"),
        ([(0, 1)], [-1.0], "not negative, got -1"), ([(0, 1)], [np.inf], "finite"),
    ],
)  # fmt: skip
def test_what_is_no_graph_is_refused(ends, length, says):
    with pytest.raises(ValueError, match=says):
        Graph.of(3, ends, length)

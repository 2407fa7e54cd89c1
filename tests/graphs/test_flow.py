import numpy as np
import pytest

from chymist.data import karate_club, named_graph
from chymist.graphs import (
    Graph,
    adjusted_rand,
    groups_below,
    modularity_cuts,
    ricci_flow,
    without_longer,
)


def test_published_test_vectors_of_the_karate_club():
    graph, _ = karate_club()
    flow = ricci_flow(graph, 3, p=2)
    expected = [0.584642, 1.222957, 0.828566, 1.893597]
    np.testing.assert_allclose(flow.length[-1, :4], expected, atol=5e-7)
    assert flow.length.mean(1) == pytest.approx(np.ones(4))


def test_the_published_cuts_of_the_karate_club_after_forty_steps():
    graph, sides = karate_club()
    length = ricci_flow(graph, 40, p=1).length[-1]
    cuts = modularity_cuts(graph, length)
    found = [adjusted_rand(groups_below(graph, length, t), sides) for t in cuts.threshold]
    assert max(found) == pytest.approx(0.772, abs=5e-4)
    assert found[cuts.best] == pytest.approx(0.385, abs=5e-4)


def test_what_is_alike_stays_alike():
    flow = ricci_flow(named_graph("complete-6"), 20)
    np.testing.assert_allclose(flow.length, 1, atol=1e-9)
    free = ricci_flow(named_graph("complete-6"), 3, normalise=False)
    np.testing.assert_allclose(free.length[:, 0], 0.4 ** np.arange(4), rtol=1e-12)


def test_a_complete_graph_keeps_its_shape():
    # Two measures differ by what their nodes keep, which moves straight: kappa knows no lengths.
    length = np.random.default_rng(0).uniform(0.8, 1.2, 10)
    flow = ricci_flow(named_graph("complete-5").with_length(length), 30, step=0.5)
    np.testing.assert_allclose(flow.length, np.tile(length / length.mean(), (31, 1)), rtol=1e-12)


def test_an_edge_by_itself_contracts_and_stays():
    graph = Graph.of(5, [(0, 1), (2, 3), (3, 4)])
    flow = ricci_flow(graph, 3)
    assert flow.length[:, 0].tolist() == [1.0, 0.0, 0.0, 0.0]
    assert np.isnan(flow.curvature[1:, 0]).all()
    assert flow.length[-1, 1] == pytest.approx(1.5)


def test_surgery_removes_edges_for_good():
    seen = []
    graph = Graph.of(6, [(0, 1), (1, 2), (0, 2), (3, 4), (4, 5), (3, 5), (2, 3)])
    flow = ricci_flow(
        graph, 6, surgery=without_longer(2.0), every=2, on_step=lambda done, of: seen.append(done)
    )
    assert seen == [1, 2, 3, 4, 5, 6]
    gone = np.isnan(flow.length[:, 6])
    assert gone.any()
    assert not gone[0]
    assert (np.diff(gone.astype(int)) >= 0).all()
    assert np.isfinite(flow.length[:, :6]).all()
    assert len(set(flow.end.components().tolist())) == 2
    assert flow.length[-1, :6].mean() == pytest.approx(1)


def test_a_step_too_large_is_refused():
    with pytest.raises(ValueError, match="makes a length negative"):
        ricci_flow(named_graph("complete-4"), 1, step=3.0)
    with pytest.raises(ValueError, match="steps must be"):
        ricci_flow(named_graph("complete-4"), -1)
    with pytest.raises(ValueError, match="all lengths are zero"):
        ricci_flow(Graph.of(4, [(0, 1), (2, 3)]), 1)

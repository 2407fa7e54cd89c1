import numpy as np
import pytest

from chymist.data import dumbbell, named_graph, random_graph
from chymist.graphs import augmented_forman, balanced_forman, forman, lin_lu_yau, triangles


def by_matrix(graph, e):
    """Topping et al., Definition 1, by adjacency vectors."""
    a = graph.matrix().toarray().astype(int)
    i, j = graph.ends[e]
    di, dj = a[i].sum(), a[j].sum()
    if min(di, dj) == 1:
        return 0.0
    both = a[i] * a[j]

    def beside(i, j):
        own = [k for k in np.flatnonzero(a[i]) if k != j and not a[j, k]]
        counts = [a[k] @ (a[j] * (1 - a[i])) - 1 for k in own]
        return [c for c in counts if c > 0]

    cycles = beside(i, j) + beside(j, i)
    most, least = max(di, dj), min(di, dj)
    value = 2 / di + 2 / dj - 2 + 2 * both.sum() / most + both.sum() / least
    return value + (len(cycles) / (max(cycles) * most) if cycles else 0)


@pytest.mark.parametrize("seed", range(6))
def test_balanced_forman_is_its_definition_and_a_lower_bound(seed):
    graph = random_graph(16, 0.3, np.random.default_rng(seed))
    found = balanced_forman(graph)
    np.testing.assert_allclose(found, [by_matrix(graph, e) for e in range(graph.edges)])
    assert (found <= lin_lu_yau(graph).value + 1e-12).all()
    # Not by a margin: somewhere the bound is met.
    assert np.abs(found - lin_lu_yau(graph).value).min() < 1e-9


def test_known_values():
    np.testing.assert_allclose(balanced_forman(named_graph("complete-5")), 5 / 4)
    np.testing.assert_allclose(balanced_forman(named_graph("cycle-5")), 0)
    assert balanced_forman(dumbbell(8))[-1] == pytest.approx(-1.5)
    assert forman(dumbbell(8))[-1] == -12
    assert triangles(named_graph("complete-5")).tolist() == [3] * 10
    assert augmented_forman(named_graph("complete-5")).tolist() == [5.0] * 10

import numpy as np
import pytest

from chymist.data import dumbbell, named_graph
from chymist.graphs import Graph, lin_lu_yau, ollivier, ricci_flow
from chymist.theory import graph_curvature as theory


@pytest.mark.parametrize("n", [3, 4, 5, 6, 8])
def test_closed_forms_are_what_transport_gives(n):
    for name, exact in (
        (f"complete-{n}", theory.complete(n)), (f"cycle-{n}", theory.cycle(n)),
        (f"rook-{n}", theory.rook(n)),
    ):  # fmt: skip
        np.testing.assert_allclose(lin_lu_yau(named_graph(name)).value, exact, atol=1e-12)
    cube = named_graph(f"hypercube-{min(n, 5)}")
    np.testing.assert_allclose(lin_lu_yau(cube).value, theory.hypercube(min(n, 5)), atol=1e-12)


@pytest.mark.parametrize("k", [4, 6, 9])
def test_the_bridge_of_a_dumbbell(k):
    assert lin_lu_yau(dumbbell(k)).value[-1] == pytest.approx(theory.bridge(k))
    flow = ricci_flow(dumbbell(k), 60, step=0.4)
    assert 2 * flow.curvature[-1, -1] == pytest.approx(theory.late_bridge(k), rel=1e-3)
    growth = np.log(flow.length[:, -1] / flow.length[:, 0])
    assert (growth[60] - growth[50]) / 2 == pytest.approx(theory.pinch_rate(k, 0.2), rel=1e-3)


def test_the_late_curvature_of_the_bridge_is_positive_and_falls_with_k():
    k = np.array([4, 8, 16, 64, 256])
    found = theory.late_bridge(k)
    assert (found > 0).all()
    assert (np.diff(found) < 0).all()
    assert found[-1] * k[-1] ** 2 == pytest.approx(2, rel=0.05)


def test_kappa_bends_at_the_thresholds_and_nowhere_beyond():
    # A path's end: degrees 1 and 2; kink and threshold coincide at 1/3.
    graph = Graph.of(3, [(0, 1), (1, 2)])
    at = float(theory.idleness_threshold(1, 2))
    assert at == float(theory.idleness_kink(1, 2)) == pytest.approx(1 / 3)
    value = [ollivier(graph, a).value[0] for a in (0.0, at / 2, at, (1 + at) / 2)]
    assert value == pytest.approx([0, 1 / 3, 2 / 3, 1 / 3])


def test_the_signal_ratio_is_one_at_the_threshold():
    a, b = 12.0, 12.0 + 1 - 5.0
    ratio = theory.signal_ratio(100, a / 100, b / 100)
    assert ratio == pytest.approx((a - b) ** 2 / (2 * (a + b)))
    assert theory.signal_ratio(80, 0.3, 0.3) == 0


@pytest.mark.parametrize(
    "call",
    [
        lambda: theory.complete(1), lambda: theory.cycle(2), lambda: theory.hypercube(0),
        lambda: theory.tree(0, 3), lambda: theory.late_bridge(3),
        lambda: theory.pinch_rate(5, 0.0), lambda: theory.pinch_rate(5, 0.9),
        lambda: theory.collapse_factor(2), lambda: theory.idleness_kink(0, 1),
        lambda: theory.signal_ratio(80, 0.0, 0.0), lambda: theory.signal_ratio(80, -0.1, 0.2),
    ],
)  # fmt: skip
def test_bad_arguments_are_refused(call):
    with pytest.raises(ValueError, match=r"must .*, got"):
        call()

import numpy as np
import pytest

from chymist import catalogue
from chymist.bench import Bench
from chymist.data import graph

STUDY = catalogue.find("ricci-flow")


def measured(name, seeds=(0, 1), data=None, **given):
    (p,) = STUDY.params.parse(given).cells()
    experiment = STUDY.experiment(name)
    run = experiment.run(p, Bench("ricci-flow", name, seeds, input=data))
    if experiment.prediction is None:
        return run
    theory = experiment.prediction(p, run)
    return run.merge(theory.rename({n: f"predicted_{n}" for n in theory}), join="exact")


def statistic(claim, run):
    return STUDY.claim(claim).statistic(run)


def test_curvatures_are_the_closed_forms_with_idleness_alone():
    assert float(statistic("exact", measured("closed-forms")).max()) < -12
    assert float(statistic("exact", measured("closed-forms", idleness=0.0)).min()) > -1


def test_kappa_has_three_pieces_and_keeps_its_bounds():
    run = measured("random-graphs", graphs=5)
    for claim in ("three-pieces", "constant", "bounds"):
        assert float(statistic(claim, run).max()) < -10
    early = measured("random-graphs", graphs=5, from_threshold=0.5)
    assert float(statistic("constant", early).min()) > -3


def test_more_pieces_in_the_middle_are_seen(monkeypatch):
    from chymist import graphs
    from chymist.theory import graph_curvature as theory

    def bent(graph, alpha=0.5, p=0.0):
        x, y = graph.degree[graph.ends].T
        a, b = theory.idleness_kink(x, y), theory.idleness_threshold(x, y)
        knots = np.stack([0 * a, a, (2 * a + b) / 3, (a + 2 * b) / 3, b, 0 * a + 1], 1)
        at = np.broadcast_to(alpha, graph.edges)
        value = [np.interp(i, k, k * (1 - k)) for i, k in zip(at, knots, strict=True)]
        return graphs.Curvature(np.array(value), a, a)

    monkeypatch.setattr(graphs, "ollivier", bent)
    run = measured("random-graphs", graphs=5)
    first, last, middle = run.bend.transpose("piece", "seed").values
    assert max(first.max(), last.max()) < 1e-12
    assert middle.min() > 1e-5
    assert float(statistic("three-pieces", run).min()) > -5


def test_the_neck_pinches_at_the_predicted_rate_and_only_a_neck_does():
    run = measured("bridge", k="4,6", duration=12)
    for claim in ("pinch", "bridge-curvature", "collapse"):
        np.testing.assert_allclose(statistic(claim, run), 1, atol=0.01)
    whole = measured("bridge", k="4,6", duration=12, neck=False)
    np.testing.assert_allclose(statistic("pinch", whole), 0, atol=1e-12)


def test_blocks_are_sharpened_where_there_are_any():
    run = measured("two-blocks", p_out="0.08")
    assert float(statistic("sharpens", run).min()) > 0
    assert run.signal.item() == pytest.approx(5.09, abs=0.01)
    # Spectral clustering gives groups, and no height of edges.
    assert np.isnan(run.auc.sel(way="spectral")).all()


def test_the_spread_of_the_curvature_falls():
    run = measured("evening-out", seeds=(0,))
    assert float(statistic("evens-out", run).max()) < np.log(0.05)
    # The karate club has two edges that contract, both of curvature 1/2.
    assert run.contracted.sel(graph="karate").item() == 2


def test_known_groups_are_found_and_lost_with_the_edges():
    run = measured("known-groups", seeds=(0,))
    assert float(statistic("karate", run).min()) > 0.55
    assert float(statistic("league", run).min()) > 0.8
    # Modularity cannot choose better than the best.
    assert (run.ari.sel(cut="best") >= run.ari.sel(cut="modularity")).all()
    lost = measured("known-groups", seeds=(0,), rewired=True)
    assert float(lost.ari.max()) < 0.4


@pytest.fixture
def two_cliques(tmp_path):
    ends = [f"{s}{i},{s}{j},1" for s in "ab" for i in range(6) for j in range(i)]
    path = tmp_path / "net.csv"
    path.write_text("source,target,length\n" + "\n".join([*ends, "a0,b0,2", "a1,a1,3"]))
    return graph(path)


@pytest.mark.parametrize("surgery", [0, 2])
def test_a_user_s_graph_falls_into_its_parts(two_cliques, surgery):
    run = measured("own-graph", data=two_cliques, own_p=1.0, surgery=surgery)
    group = dict(zip(run.node.values.tolist(), run.group.values.tolist(), strict=True))
    assert {group[f"a{i}"] for i in range(6)} != {group[f"b{i}"] for i in range(6)}
    assert len(set(group.values())) == 2
    assert np.isnan(run.agreement).all()
    assert float(statistic("communities", run).min()) > 0.1
    gone = np.isnan(run.length.sel(when="after"))
    assert int(gone.sum()) == (1 if surgery else 0)


def test_what_was_left_out_is_noted(two_cliques):
    notes = []
    (p,) = STUDY.params.parse({}).cells()
    bench = Bench("ricci-flow", "own-graph", (0,), input=two_cliques, note=notes.append)
    STUDY.experiment("own-graph").run(p, bench)
    assert notes == ["net: 1 loops left out"]

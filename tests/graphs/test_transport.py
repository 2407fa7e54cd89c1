import subprocess
import sys

import numpy as np
import pytest
from scipy.optimize import linprog

from chymist.graphs import transport, transport_w1
from chymist.graphs.transport import by_program

WAYS = [transport_w1, by_program]


def referee(mu, nu, cost):
    """A linear program written out, and nothing of the code under test."""
    rows, columns = cost.shape
    sends = np.kron(np.eye(rows), np.ones(columns))
    takes = np.kron(np.ones(rows), np.eye(columns))
    return linprog(cost.ravel(), A_eq=np.vstack([sends, takes]), b_eq=np.concatenate([mu, nu])).fun


def masses(n, rng):
    values = rng.random(n) * (rng.random(n) < 0.8)
    values[0] += 0.1
    return values / values.sum()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("seed", range(12))
def test_it_is_the_linear_program_s_optimum_and_the_dual_proves_it(way, seed):
    rng = np.random.default_rng(seed)
    n, m = rng.integers(1, 12, 2)
    mu, nu = masses(n, rng), masses(m, rng)
    cost = rng.random((n, m)) if seed % 2 else rng.integers(0, 4, (n, m)).astype(float)
    found = way(mu, nu, cost)
    assert found.cost == pytest.approx(referee(mu, nu, cost), abs=1e-9)
    assert found.gap < 1e-12
    assert (found.u[:, None] + found.v <= cost + 1e-12).all()
    assert mu @ found.u + nu @ found.v == pytest.approx(found.cost, abs=1e-12)


def test_large_problems_agree_too():
    rng = np.random.default_rng(0)
    mu, nu, cost = masses(70, rng), masses(90, rng), rng.random((70, 90))
    found = transport_w1(mu, nu, cost)
    assert found.cost == pytest.approx(by_program(mu, nu, cost).cost, abs=1e-10)
    assert found.gap < 1e-12


def test_order_scale_and_direction_do_not_matter():
    rng = np.random.default_rng(1)
    mu, nu, cost = masses(9, rng), masses(7, rng), rng.random((9, 7))
    least = transport_w1(mu, nu, cost).cost
    rows, columns = rng.permutation(9), rng.permutation(7)
    assert transport_w1(mu[rows], nu[columns], cost[rows][:, columns]).cost == pytest.approx(least)
    assert transport_w1(nu, mu, cost.T).cost == pytest.approx(least, rel=1e-13)
    assert transport_w1(mu, nu, 1e-9 * cost).cost == pytest.approx(1e-9 * least, rel=1e-12)
    assert transport_w1(3 * mu, 3 * nu, cost).cost == pytest.approx(3 * least, rel=1e-13)


def test_on_a_line_it_is_the_area_between_the_distributions():
    rng = np.random.default_rng(2)
    place, mu, nu = np.sort(rng.random(15)), masses(15, rng), masses(15, rng)
    area = (np.abs(np.cumsum(mu - nu))[:-1] * np.diff(place)).sum()
    assert transport_w1(mu, nu, np.abs(place[:, None] - place)).cost == pytest.approx(area)


@pytest.mark.parametrize(
    ("mu", "nu", "cost", "says"),
    [
        ([1.0], [1.0], [[1.0, 2.0]], "costs"),
        ([0.5, 0.6], [1.0], [[1.0], [1.0]], "masses must be equal"),
        ([0.0], [0.0], [[1.0]], "masses must be equal and positive"),
        ([1.5, -0.5], [1.0], [[1.0], [1.0]], "mass must be finite and not negative"),
        ([1.0], [1.0], [[np.nan]], "cost must be finite"),
        ([1.0], [1.0], [[-1.0]], "cost must be finite and not negative"),
    ],
)
def test_bad_arguments_are_refused(mu, nu, cost, says):
    with pytest.raises(ValueError, match=says):
        transport_w1(np.array(mu), np.array(nu), np.array(cost))


def test_without_a_compiler_it_is_a_linear_program(monkeypatch):
    monkeypatch.setenv("CHYMIST_NATIVE", "0")
    transport.kernel.cache_clear()
    rng = np.random.default_rng(3)
    mu, nu, cost = masses(5, rng), masses(6, rng), rng.random((5, 6))
    got = transport_w1(mu, nu, cost).cost
    monkeypatch.undo()
    transport.kernel.cache_clear()
    assert got == pytest.approx(transport_w1(mu, nu, cost).cost, abs=1e-10)


def test_importing_graphs_imports_no_library_of_transport():
    code = "import chymist.graphs, sys; sys.exit(any(m in sys.modules for m in ('ot', 'sklearn')))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0

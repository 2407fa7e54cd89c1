from itertools import pairwise

import numpy as np
import pytest

from chymist import solvers
from chymist.theory import relaxation

SHAPES = [(15,), (7, 7), (6, 11)]


def drawn(shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def dense(shape):
    """The matrix of the stencil, column by column."""
    n = int(np.prod(shape))
    return np.array([solvers.laplacian(e.reshape(shape)).ravel() for e in np.eye(n)]).T


@pytest.mark.parametrize("native", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("omega", [1.0, 2 / 3])
def test_sweeps_are_those_of_the_matrix(shape, omega, native):
    a, u, b = dense(shape), drawn(shape), drawn(shape, 1)
    for sweeps in (1, 4):
        swept = solvers.jacobi(u, b, sweeps, omega, native=native)
        plain = solvers.jacobi_matrix(a, u.ravel(), b.ravel(), sweeps, omega)
        np.testing.assert_allclose(swept.ravel(), plain, atol=1e-12)
        swept = solvers.sor(u, b, sweeps, omega, native=native)
        plain = solvers.sor_matrix(a, u.ravel(), b.ravel(), sweeps, omega)
        np.testing.assert_allclose(swept.ravel(), plain, atol=1e-12)


@pytest.mark.parametrize("shape", SHAPES)
def test_compiled_red_black_sweeps_are_numpys(shape):
    u, b = drawn(shape), drawn(shape, 1)
    ours = solvers.gauss_seidel(u, b, 3, "red-black")
    np.testing.assert_allclose(
        ours, solvers.gauss_seidel(u, b, 3, "red-black", native=False), atol=1e-12
    )
    # Even points first: they see only old values.
    once = solvers.gauss_seidel(u, b, 1, "red-black")
    even = np.indices(shape).sum(0) % 2 == 0 if len(shape) == 2 else np.arange(shape[0]) % 2 == 0
    np.testing.assert_allclose(once[even], solvers.jacobi(u, b)[even], atol=1e-12)


def test_inputs_are_left_as_they_were_and_wrong_shapes_refused():
    u, b = drawn((7,)), drawn((7,), 1)
    kept = u.copy(), b.copy()
    solvers.jacobi(u, b, 3)
    solvers.sor(u, b, 3)
    np.testing.assert_array_equal((u, b), kept)
    with pytest.raises(ValueError, match=r"u is \(7,\) and b \(6,\)"):
        solvers.jacobi(u, b[:6])
    with pytest.raises(ValueError, match="no order 'zigzag'"):
        solvers.sor(u, b, order="zigzag")


@pytest.mark.parametrize("shape", [(31,), (15, 15), (5, 9)])
def test_the_direct_solution_solves(shape):
    b = drawn(shape)
    np.testing.assert_allclose(solvers.laplacian(solvers.poisson_dst(b)), b, atol=1e-12)
    np.testing.assert_allclose(
        solvers.poisson_dst(b).ravel(), np.linalg.solve(dense(shape), b.ravel()), atol=1e-11
    )


def test_over_relaxation_at_its_best_is_a_square_root_faster():
    b = drawn((31,))
    exact, zero = solvers.poisson_dst(b), np.zeros(31)
    best = relaxation.sor_optimal(32)
    left = {w: abs(solvers.sor(zero, b, 100, w) - exact).max() for w in (1.0, best)}
    assert left[best] < 1e-6 * left[1.0]


@pytest.mark.parametrize("shape", [(31, 31), (127, 127)])
def test_a_v_cycle_gains_a_digit_whatever_the_grid(shape):
    b = drawn(shape)
    exact, u = solvers.poisson_dst(b), np.zeros(shape)
    errors = []
    for _ in range(6):
        u = solvers.multigrid_v(u, b)
        errors.append(abs(u - exact).max())
    assert max(b / a for a, b in pairwise(errors)) < 0.2


def test_on_a_line_one_red_black_cycle_is_direct():
    b = drawn((127,))
    exact = solvers.poisson_dst(b)
    once = solvers.multigrid_v(np.zeros(127), b)
    assert abs(once - exact).max() < 1e-11 * abs(exact).max()


def test_anyone_can_solve_on_the_coarse_grid():
    b = drawn((31, 31))
    exact, u = solvers.poisson_dst(b), np.zeros((31, 31))
    asked = []

    def coarse(rest):
        asked.append(rest.shape)
        return solvers.poisson_dst(rest)

    for _ in range(5):
        u = solvers.multigrid_v(u, b, coarse=coarse)
    assert asked == [(15, 15)] * 5
    assert abs(u - exact).max() < 1e-3 * abs(exact).max()
    # A coarse solver that knows nothing leaves the smooth part to the sweeps.
    idle = np.zeros((31, 31))
    for _ in range(5):
        idle = solvers.multigrid_v(idle, b, coarse=np.zeros_like)
    assert abs(idle - exact).max() > 0.1 * abs(exact).max()
    with pytest.raises(ValueError, match="needs 2\\^p - 1 points"):
        solvers.multigrid_v(np.zeros(9), np.zeros(9))


def test_the_first_sweep_below_the_tolerance_is_found():
    b = drawn((15, 15))
    exact, zero = solvers.poisson_dst(b), np.zeros((15, 15))
    done, u = solvers.jacobi_until(zero, b, exact, 1e-3)
    assert abs(u - exact).max() < 1e-3
    assert abs(solvers.jacobi(zero, b, done - 1) - exact).max() >= 1e-3
    assert done > 64
    np.testing.assert_allclose(u, solvers.jacobi(zero, b, done), atol=1e-12)
    assert solvers.jacobi_until(exact, b, exact, 1e-3)[0] == 0
    assert solvers.jacobi_until(zero, b, exact, 1e-3, limit=70)[0] == 70


def test_without_a_compiler_numpy_sweeps(monkeypatch):
    from chymist.solvers import relaxation as room

    monkeypatch.setenv("CHYMIST_NATIVE", "0")
    room._kernel.cache_clear()
    try:
        assert room._kernel() is None
        assert solvers.jacobi(np.zeros(3), np.array([0.0, 2.0, 0.0]), 2).tolist() == [0.5, 1.0, 0.5]
    finally:
        room._kernel.cache_clear()

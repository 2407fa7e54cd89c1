import math

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from chymist.theory import deep_linear


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
@pytest.mark.parametrize(("target", "start"), [(2.0, 0.01), (0.7, 0.1)])
def test_it_solves_the_equation_of_the_product(depth, target, start):
    # The factors themselves: each scalar w_j moves by (s - product) times the other factors.
    def velocity(_, w):
        return (target - w.prod()) * w.prod() / w

    end = 3 * deep_linear.half_time(target, start, depth)
    times = np.linspace(0, end, 7)
    path = solve_ivp(
        velocity, (0, end), np.full(depth, start ** (1 / depth)), "DOP853", times,
        rtol=1e-11, atol=1e-13,
    )  # fmt: skip
    found = deep_linear.singular_value(times, target, start, depth)
    np.testing.assert_allclose(found, path.y.prod(0), rtol=1e-7)


def test_gradient_descent_on_matrices_follows_each_mode():
    generator = np.random.default_rng(0)
    u, v = (np.linalg.qr(generator.normal(size=(4, 4)))[0] for _ in range(2))
    targets, start, lr, steps = np.array([3.0, 2.0, 1.0, 0.5]), 1e-3, 1e-3, 4000
    m = u * targets @ v.T
    turn = np.linalg.qr(generator.normal(size=(4, 4)))[0]
    one, two = start**0.5 * turn @ v.T, start**0.5 * u @ turn.T
    for _ in range(steps):
        error = two @ one - m
        one, two = one - lr * two.T @ error, two - lr * error @ one.T
    found = [deep_linear.singular_value(np.array([lr * steps]), s, start, 2)[0] for s in targets]
    np.testing.assert_allclose(np.diag(u.T @ two @ one @ v), found, rtol=0.02)


@pytest.mark.parametrize("depth", [1, 2, 3, 5])
def test_time_and_value_are_inverse(depth):
    for share in (0.05, 0.5, 0.999):
        t = deep_linear.time_to_reach(share, 1.5, 1e-3, depth)
        back = deep_linear.singular_value(np.array([t]), 1.5, 1e-3, depth)[0]
        assert back == pytest.approx(share * 1.5, rel=1e-8)


def test_small_starts_wait_by_the_published_powers():
    starts = np.array([1e-8, 1e-9])
    for depth, slope in ((3, 1 / 3), (4, 1 / 2)):
        times = [deep_linear.half_time(2.0, a, depth) for a in starts]
        assert math.log10(times[1] / times[0]) == pytest.approx(slope, abs=0.01)
        scale = depth * 2.0 * (1 - 2 / depth)
        assert times[1] == pytest.approx(starts[1] ** -(1 - 2 / depth) / scale, rel=0.02)
    logs = [deep_linear.half_time(2.0, a, 2) for a in starts]
    assert logs[1] - logs[0] == pytest.approx(math.log(10) / 4, rel=1e-6)


def test_larger_values_come_first_only_with_depth():
    for depth in (2, 3):
        assert deep_linear.half_time(2.0, 1e-4, depth) < deep_linear.half_time(1.0, 1e-4, depth)
    alike = [deep_linear.half_time(s, s * 1e-4, 1) for s in (1.0, 2.0)]
    assert alike[0] == pytest.approx(alike[1])


def test_the_end_is_the_target():
    for depth in (1, 2, 3):
        assert deep_linear.singular_value(np.array([1e4]), 1.5, 0.1, depth)[0] == pytest.approx(1.5)


@pytest.mark.parametrize(
    "call",
    [
        lambda: deep_linear.time_to_reach(0.5, 1.0, 0.1, 0),
        lambda: deep_linear.time_to_reach(1.0, 1.0, 0.1, 2),
        lambda: deep_linear.time_to_reach(0.05, 1.0, 0.1, 2),
        lambda: deep_linear.time_to_reach(0.5, 1.0, 0.0, 2),
        lambda: deep_linear.half_time(-1.0, 0.1, 2),
        lambda: deep_linear.singular_value(np.array([-1.0]), 1.0, 0.1, 2),
        lambda: deep_linear.singular_value(np.array([1.0]), 1.0, 1.0, 2),
        lambda: deep_linear.singular_value(np.array([1.0]), 1.0, 0.1, 1.5),
        lambda: deep_linear.singular_value(np.zeros(1), 1.0, 0.1, 1.5),
        lambda: deep_linear.singular_value(np.array([1.0]), 1.0, 0.0, 2),
        lambda: deep_linear.singular_value(np.array([1.0]), np.inf, 0.1, 2),
    ],
)
def test_bad_arguments_are_refused(call):
    with pytest.raises(ValueError, match=r"must .*, got"):
        call()

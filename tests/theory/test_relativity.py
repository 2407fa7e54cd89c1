import math

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from chymist.theory import relativity


def solved(velocity, start, times):
    return solve_ivp(
        velocity, (0, times[-1]), start, "DOP853", times, rtol=1e-12, atol=1e-12
    ).y  # fmt: skip


@pytest.mark.parametrize(("force", "mass", "c"), [(1.0, 1.0, 1.0), (-2.0, 0.5, 3.0)])
def test_motion_under_a_constant_force(force, mass, c):
    def velocity(_, state):
        gamma = math.hypot(1, state[1] / (mass * c))
        return [state[1] / (mass * gamma), force, 1 / gamma]

    times = np.linspace(0, 3, 7)
    x, p, proper = solved(velocity, [0.0, 0.0, 0.0], times)
    found = relativity.constant_force(times, force, mass, c)
    np.testing.assert_allclose(found.x, x, atol=1e-10)
    np.testing.assert_allclose(found.v, p / (mass * np.hypot(1, p / (mass * c))), atol=1e-10)
    np.testing.assert_allclose(found.proper_time, proper, atol=1e-10)
    assert (abs(found.v) < c).all()


def test_newton_is_the_limit_at_the_stated_rate():
    t = np.array([1.5])
    gaps = [1.5**2 / 2 - relativity.constant_force(t, 1.0, 1.0, c).x[0] for c in (1e3, 1e5)]
    for gap, c in zip(gaps, (1e3, 1e5), strict=True):
        assert gap == pytest.approx(1.5**4 / (8 * c**2), rel=1e-4)


def test_the_gyration_of_a_simulated_charge():
    momentum, field, mass, c = 2.0, 1.3, 0.6, 3.0

    def velocity(_, p):
        gamma = math.sqrt(1 + p @ p / (mass * c) ** 2)
        return field / (gamma * mass) * np.array([p[1], -p[0]])

    times = np.array([0.0, 0.5])
    p = solved(velocity, [momentum, 0.0], times)
    turned = -math.atan2(p[1, -1], p[0, -1]) / 0.5
    found = relativity.gyration_frequency(1.0, field, momentum, mass, c)
    assert found == pytest.approx(turned, rel=1e-9)


@pytest.mark.parametrize("c", [2.0, 5.0])
def test_the_perihelion_of_a_simulated_orbit(c):
    def velocity(_, state):
        r, p = state[:2], state[2:]
        return np.concatenate([p / math.sqrt(1 + p @ p / c**2), -r / np.linalg.norm(r) ** 3])

    def turning(_, state):
        return state[:2] @ state[2:]

    turning.direction = 1  # from approach to departure: a perihelion
    found = solve_ivp(
        velocity,
        (0, 60),
        np.array([1.0, 0.0, 0.0, 0.7]),
        "DOP853",
        events=turning,
        rtol=1e-12,
        atol=1e-13,
    ).y_events[0]
    angles = np.unwrap(np.arctan2(found[:, 1], found[:, 0]))
    advance = np.diff(angles) % (2 * math.pi)
    expected = relativity.perihelion_advance(1.0, 0.7, c) % (2 * math.pi)
    np.testing.assert_allclose(advance[1:], expected, atol=1e-7)


def test_weak_fields_advance_by_the_small_form():
    found = relativity.perihelion_advance(1.0, 1.0, 1e6)
    assert found == pytest.approx(math.pi * 1e-12, rel=1e-9)


@pytest.mark.parametrize(
    "call",
    [
        lambda: relativity.constant_force(np.ones(1), 0.0),
        lambda: relativity.constant_force(np.ones(1), 1.0, -1.0),
        lambda: relativity.gyration_frequency(1.0, 1.0, 1.0, c=0.0),
        lambda: relativity.gyration_frequency(math.nan, 1.0, 1.0),
        lambda: relativity.perihelion_advance(0.0, 1.0),
        lambda: relativity.perihelion_advance(1.0, 1.0, 1.0),
        lambda: relativity.constant_force(np.ones(1), 1.0, 1.0, -1.0),
        lambda: relativity.gyration_frequency(1.0, 1.0, 1.0, mass=0.0),
        lambda: relativity.gyration_frequency(1.0, math.inf, 1.0),
        lambda: relativity.gyration_frequency(1.0, 1.0, math.nan),
        lambda: relativity.perihelion_advance(1.0, -1.0),
        lambda: relativity.perihelion_advance(1.0, 1.0, -2.0),
    ],
)
def test_bad_arguments_are_refused(call):
    with pytest.raises(ValueError, match=r"must .*, got"):
        call()

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chymist.theory import regret

SCHEDULES = {
    "constant": lambda t: np.ones(t),
    "root": lambda t: np.arange(1, t + 1) ** -0.5,
    "linear": regret.linear_decay,
}
T = 256


def hard_last_iterate(steps):
    """(last value, mean value) of Harvey's function under subgradient steps; f* = 0, R = 1."""
    t = len(steps)
    a = 1 / (8 * (t - np.arange(1, t + 1) + 1))
    b = np.sqrt(np.arange(1, t + 1)) / (2 * t**0.5)
    h = np.zeros((t + 1, t))
    for i in range(t + 1):
        h[i, :i] = a[:i]
        if i < t:
            h[i, i] = -b[i]
    x, values = np.zeros(t), []
    for eta in steps:
        heights = h @ x
        values.append(heights.max())
        first = np.flatnonzero(heights >= heights.max() - 1e-12)[0]
        x = x - eta * h[first]
        x /= max(1, np.linalg.norm(x))
    return values[-1], np.mean(values), np.linalg.norm(h, axis=1).max()


def absolute_values(steps, runs=2000, seed=0):
    """Losses of SGD on L(x, theta) = |theta - x|, x = +-1 with P(1) = 0.7: optimum 1, L* = 0.6."""
    generator = np.random.default_rng(seed)
    theta = np.full(runs, -2.0)
    population, regrets = [], []
    for eta in steps:
        x = np.where(generator.random(runs) < 0.7, 1.0, -1.0)
        population.append(0.7 * abs(theta - 1) + 0.3 * abs(theta + 1) - 0.6)
        regrets.append(abs(theta - x) - abs(1 - x))
        theta = np.clip(theta - eta * np.sign(theta - x), -2, 2)
    return np.array(population), np.array(regrets)


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("scale", [0.02, 0.2, 1.0])
def test_the_bounds_hold_on_runs(name, scale):
    steps = scale * SCHEDULES[name](T)
    losses, regrets = absolute_values(steps)
    distance, gradient = 3.0, 1.0
    worst = regrets.mean(0).max()
    assert worst <= regret.average_on_bounded_domain(steps, 4.0, gradient)
    assert losses.mean() <= regret.average(steps, distance, gradient)
    weighted = (steps @ losses.mean(1)) / steps.sum()
    assert weighted <= regret.weighted_average(steps, distance, gradient)
    last = losses[-1].mean()
    assert last <= regret.last_of_falling(steps, distance, gradient)
    assert last <= regret.last(steps, distance, gradient)


@pytest.mark.parametrize("name", SCHEDULES)
def test_the_bounds_hold_where_the_last_iterate_is_bad(name):
    steps = SCHEDULES[name](T) / (T**0.5 if name != "root" else 1)
    last, mean, gradient = hard_last_iterate(steps)
    assert 0 < last <= regret.last(steps, 1.0, gradient)
    assert last <= regret.last_of_falling(steps, 1.0, gradient)
    assert mean <= regret.average(steps, 1.0, gradient)


def test_the_identity_behind_the_last_iterate():
    # q_T = weighted mean + sum_k (1/w_(k+1:T) - 1/w_(k:T)) sum_(t>=k) w_t (q_t - q_k).
    generator = np.random.default_rng(0)
    w, q = generator.uniform(0.1, 1, 30), generator.normal(size=30)
    total = w @ q / w.sum()
    for k in range(29):
        gain = 1 / w[k + 1 :].sum() - 1 / w[k:].sum()
        total += gain * (w[k:] @ (q[k:] - q[k]))
    assert total == pytest.approx(q[-1], abs=1e-12)


def test_the_last_bound_is_its_sum_written_out():
    eta = np.random.default_rng(1).uniform(0.1, 1, 9)
    g = np.random.default_rng(2).uniform(0, 2, 9)
    total = 4.0 / (2 * eta.sum())
    for t in range(9):
        total += g[t] ** 2 * eta[t] ** 2 / eta[min(t + 1, 8) :].sum() / 2
    assert regret.last(eta, 2.0, g) == pytest.approx(total, rel=1e-12)


@given(st.integers(2, 60), st.floats(0.01, 10), st.floats(0.1, 5), st.floats(0.1, 5))
def test_constant_steps_have_the_known_forms(t, eta, r, g):
    steps = np.full(t, eta)
    common = r**2 / (2 * t * eta) + g**2 * eta / 2
    assert regret.average(steps, r, g) == pytest.approx(common)
    assert regret.weighted_average(steps, r, g) == pytest.approx(common)
    assert regret.average_on_bounded_domain(steps, r, g) == pytest.approx(common)
    harmonic = (1 / np.arange(1, t)).sum()
    last = r**2 / (2 * t * eta) + g**2 * eta / 2 * (1 + harmonic)
    assert regret.last_of_falling(steps, r, g) == pytest.approx(last)
    assert regret.last(steps, r, g) == pytest.approx(last)


@pytest.mark.parametrize("name", SCHEDULES)
def test_the_best_base_step_is_the_least_of_the_bound(name):
    shape = SCHEDULES[name](T)
    best = regret.best_base_step(shape, 1.5, 0.7)
    value = regret.last(best * shape, 1.5, 0.7)
    for factor in (0.97, 1.03):
        assert regret.last(factor * best * shape, 1.5, 0.7) > value


def test_linear_decay_loses_the_logarithm():
    values = {}
    for name in ("constant", "linear"):
        values[name] = [
            t**0.5 * regret.last(regret.best_base_step(s, 1, 1) * s, 1, 1)
            for t in (64, 1024, 16384)
            for s in [SCHEDULES[name](t)]
        ]
    assert max(values["linear"]) <= 2 * 2**0.5
    assert np.ptp(values["linear"]) < 0.2 < np.ptp(values["constant"])


@pytest.mark.parametrize(
    "call",
    [
        lambda: regret.average(np.array([0.1, 0.2]), 1.0, 1.0),
        lambda: regret.average_on_bounded_domain(np.array([0.1, 0.2]), 1.0, 1.0),
        lambda: regret.last_of_falling(np.array([0.1, 0.2]), 1.0, 1.0),
        lambda: regret.average_on_bounded_domain(np.ones(2), 0.0, 1.0),
        lambda: regret.average(np.ones(2), 0.0, 1.0),
        lambda: regret.weighted_average(np.ones(2), 1.0, 0.0),
        lambda: regret.last_of_falling(np.ones(2), -1.0, 1.0),
        lambda: regret.last(np.array([1.0, 0.0]), 1.0, 1.0),
        lambda: regret.last(np.array([1.0, np.nan]), 1.0, 1.0),
        lambda: regret.last(np.array([]), 1.0, 1.0),
        lambda: regret.last(np.ones(2), 0.0, 1.0),
        lambda: regret.last(np.ones(2), 1.0, np.array([1.0, -1.0])),
        lambda: regret.best_base_step(np.ones(2), 0.0, 1.0),
        lambda: regret.linear_decay(0),
        lambda: regret.average_on_bounded_domain(np.ones(2), 1.0, 0.0),
        lambda: regret.average(np.ones(2), 1.0, -1.0),
        lambda: regret.weighted_average(np.ones(2), 0.0, 1.0),
        lambda: regret.last_of_falling(np.ones(2), 1.0, 0.0),
        lambda: regret.best_base_step(np.ones(2), 1.0, 0.0),
    ],
)
def test_bad_schedules_are_refused(call):
    with pytest.raises(ValueError, match=r"must .*, got"):
        call()

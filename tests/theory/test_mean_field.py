import numpy as np
import pytest
from scipy.integrate import solve_ivp

from chymist.theory import mean_field
from chymist.theory.mean_field import Particles

DATA = np.random.default_rng(9)
X = DATA.normal(size=(12, 3))
Y = np.maximum(X[:, 0], 0) - 0.5 * X[:, 1]


def tanh_slope(u):
    return 1 - np.tanh(u) ** 2


def drawn(shape, seed=0):
    generator = np.random.default_rng(seed)
    return Particles(generator.normal(size=shape), generator.normal(size=(*shape, 3)))


def test_a_step_is_the_width_times_the_gradient_of_the_risk():
    start, h = drawn((5,)), 1e-6

    def risk(particles):
        return ((mean_field.outputs(particles, X, np.tanh) - Y) ** 2).mean() / 2

    moved = mean_field.flow(start, X, Y, np.tanh, tanh_slope, 1.0, 1)
    for j in range(5):
        up, down = (start.a + d * np.eye(5)[j] for d in (h, -h))
        slope = (risk(start._replace(a=up)) - risk(start._replace(a=down))) / (2 * h)
        assert moved.a[j] - start.a[j] == pytest.approx(-5 * slope, abs=1e-7)
        for i in range(3):
            change = np.zeros((5, 3))
            change[j, i] = h
            up, down = (start._replace(w=start.w + s * change) for s in (1, -1))
            slope = (risk(up) - risk(down)) / (2 * h)
            assert moved.w[j, i] - start.w[j, i] == pytest.approx(-5 * slope, abs=1e-7)


def test_linear_neurons_follow_the_limit_in_closed_form():
    # f = E[a w] with a, w ~ N(0, 1), x = 1: a + w grows and a - w shrinks by e^(R), so that
    # f = sinh(2 R) var, where dR/dt = y - f. Symmetric particles have the moments exactly.
    pairs = np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]], dtype=float)
    start = Particles(pairs[:, 0], pairs[:, 1:])
    one, target = np.ones((1, 1)), np.array([0.8])
    end = mean_field.flow(start, one, target, lambda u: u, np.ones_like, 1e-4, 10_000)
    limit = solve_ivp(lambda _, r: 0.8 - np.sinh(2 * r), (0, 1), [0.0], rtol=1e-9).y[0, -1]
    found = mean_field.outputs(end, one, lambda u: u)[0]
    assert found == pytest.approx(np.sinh(2 * limit), rel=1e-3)
    # What the flow conserves: a^2 - w^2 of every neuron.
    np.testing.assert_allclose(end.a**2 - end.w[:, 0] ** 2, 0, atol=1e-9)


def test_groups_do_not_feel_each_other_and_copies_stay_copies():
    start = drawn((4, 6))
    together = mean_field.flow(start, X, Y, np.tanh, tanh_slope, 0.1, 30)
    alone = mean_field.flow(Particles(start.a[2], start.w[2]), X, Y, np.tanh, tanh_slope, 0.1, 30)
    np.testing.assert_allclose(together.a[2], alone.a, atol=1e-12)
    double = Particles(np.tile(start.a[2], 2), np.tile(start.w[2], (2, 1)))
    doubled = mean_field.flow(double, X, Y, np.tanh, tanh_slope, 0.1, 30)
    np.testing.assert_allclose(doubled.w[:6], alone.w, atol=1e-12)


def test_finite_widths_fluctuate_by_the_constant_at_the_start():
    reference = drawn((400_000,), seed=1)
    constant = mean_field.fluctuation(reference, X, np.tanh)
    mean = np.zeros(len(X))  # the limit: a is symmetric
    for width in (16, 64):
        groups = drawn((4000, width), seed=width)
        square = ((mean_field.outputs(groups, X, np.tanh) - mean) ** 2).mean(-1)
        error = square.std() / 4000**0.5
        assert abs(square.mean() - constant / width) < 4.5 * error


def test_the_distance_to_the_limit_falls_as_one_over_the_width():
    reference = drawn((8192,), seed=3)
    limit = mean_field.flow(reference, X, Y, np.tanh, tanh_slope, 0.2, 25)
    target = mean_field.outputs(limit, X, np.tanh)
    distances = []
    for width in (16, 128):
        groups = Particles(
            reference.a[:4096].reshape(-1, width), reference.w[:4096].reshape(-1, width, 3)
        )
        end = mean_field.flow(groups, X, Y, np.tanh, tanh_slope, 0.2, 25)
        distances.append(((mean_field.outputs(end, X, np.tanh) - target) ** 2).mean())
    assert np.log(distances[0] / distances[1]) / np.log(8) == pytest.approx(1, abs=0.3)


def test_the_movement_exponent_of_both_limits():
    moves = {}
    for scale in (0.5, 1.0):
        change = []
        for width in (64, 1024):
            # f = m^-s sum with the same loss is the mean-field network with outputs m^(1-s) f; its
            # gradient flow at unit speed of f moves neurons by m^(s - 1).
            start = drawn((width,), seed=5)
            gain = width ** (1 - scale)
            a, w, rate = start.a, start.w, 0.05 / (1 if scale == 0.5 else 1 / width)
            for _ in range(60):
                hidden = np.tanh(w @ X.T)
                base = gain / width
                residual = base * a @ hidden - base * start.a @ np.tanh(start.w @ X.T) - Y
                pull = residual * tanh_slope(w @ X.T)
                a, w = (
                    a - rate * base * hidden @ residual / 12,
                    w - rate * base * a[:, None] * (pull @ X) / 12,
                )
            change.append(np.linalg.norm(w - start.w) / np.linalg.norm(start.w))
        moves[scale] = np.log(change[1] / change[0]) / np.log(16)
    for scale, found in moves.items():
        assert found == pytest.approx(mean_field.movement_exponent(scale), abs=0.1)


@pytest.mark.parametrize(
    "call",
    [
        lambda: mean_field.flow(drawn((2,)), X, Y, np.tanh, tanh_slope, 0.0, 1),
        lambda: mean_field.flow(drawn((2,)), X, Y, np.tanh, tanh_slope, 0.1, -1),
        lambda: mean_field.flow(drawn((2,)), X, Y * np.nan, np.tanh, tanh_slope, 0.1, 1),
        lambda: mean_field.fluctuation(drawn((1,)), X, np.tanh),
        lambda: mean_field.movement_exponent(0.4),
        lambda: mean_field.flow(drawn((2,)), X * np.nan, Y, np.tanh, tanh_slope, 0.1, 1),
        lambda: mean_field.flow(
            drawn((2,))._replace(a=np.array([1.0, np.inf])), X, Y, np.tanh, tanh_slope, 1, 1
        ),
        lambda: mean_field.flow(
            drawn((2,))._replace(w=np.full((2, 3), np.nan)), X, Y, np.tanh, tanh_slope, 1, 1
        ),
    ],
)
def test_bad_arguments_are_refused(call):
    with pytest.raises(ValueError, match=r"must .*, got"):
        call()

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.interpolate import CubicSpline

from chymist.theory import linear_frequency_principle as lfp

X = np.array([-0.8, -0.6, -0.3, -0.06, 0.1])
Y = np.array([0.25, -0.25, -0.07, 0.15, -0.05])
AT = np.linspace(-0.8, 0.1, 61)
BOTH = lfp.Moments(1.0, 30.0)


def apart(one, other):
    return np.linalg.norm(one - other) / np.linalg.norm(other)


def fourier(points, period, terms):
    angle = 2 * np.pi / period * np.outer(points, np.arange(1, terms + 1))
    return np.hstack([np.ones((len(points), 1)), np.cos(angle), np.sin(angle)])


def weights_of_coefficients(moments, period, terms):
    base = 2 * np.pi / period
    each = lfp.weight(base * np.arange(1, terms + 1), moments)
    # cos and sin of amplitude A hold |h^|^2 = A^2 / 4 twice, hence the factor 2.
    return np.concatenate([lfp.weight(np.array([base / 10]), moments), 2 * each, 2 * each])


def test_cubic_moments_give_the_natural_cubic_spline():
    found = lfp.interpolant(X, Y, AT, lfp.Moments(1.0, 0.0), 20.0, 1000)
    assert apart(found, CubicSpline(X, Y, bc_type="natural")(AT)) < 0.2
    # The zero mean far away bends the ends; a longer period takes the difference away.
    longer = lfp.interpolant(X, Y, AT, lfp.Moments(1.0, 0.0), 80.0, 4000)
    assert apart(longer, CubicSpline(X, Y, bc_type="natural")(AT)) < 0.05


def test_linear_moments_give_straight_segments():
    found = lfp.interpolant(X, Y, AT, lfp.Moments(0.0, 1.0), 20.0)
    assert apart(found, np.interp(AT, X, Y)) < 0.01


def test_it_is_the_interpolant_of_least_weighted_norm():
    # argmin of sum c^2 / W under the constraints, by a pseudo-inverse on the coefficients.
    period, terms = 6.0, 200
    root = weights_of_coefficients(BOTH, period, terms) ** 0.5
    least = root * (np.linalg.pinv(fourier(X, period, terms) * root) @ Y)
    found = lfp.interpolant(X, Y, AT, BOTH, period, terms)
    np.testing.assert_allclose(found, fourier(AT, period, terms) @ least, atol=1e-8)
    np.testing.assert_allclose(lfp.interpolant(X, Y, X, BOTH, period, terms), Y, atol=1e-9)


def test_the_flow_solves_its_equation_mode_by_mode():
    period, terms = 6.0, 20
    speed = weights_of_coefficients(BOTH, period, terms)
    design = fourier(X, period, terms)
    times = np.array([0.0, 1e-3, 1e-2, 0.1])
    solved = solve_ivp(
        lambda _, c: -speed * (design.T @ (design @ c - Y)), (0, 0.1), np.zeros(2 * terms + 1),
        method="LSODA", t_eval=times, rtol=1e-9, atol=1e-11,
    )  # fmt: skip
    found = lfp.flow(X, Y, AT, times, BOTH, period, terms)
    np.testing.assert_allclose(found, (fourier(AT, period, terms) @ solved.y).T, atol=1e-6)


def test_the_tangent_kernel_of_wide_networks_gives_the_same_curve_where_biases_spread():
    # Output weights trained only, |w| r and kinks spread widely: by Monte Carlo over neurons.
    generator = np.random.default_rng(0)
    w = generator.uniform(-3, 3, 200_000)
    b = generator.uniform(-6, 6, 200_000)
    features = np.maximum(np.outer(X, w) + b, 0), np.maximum(np.outer(AT, w) + b, 0)
    gram = features[0] @ features[0].T
    curve = features[1] @ features[0].T @ np.linalg.solve(gram, Y)
    found = lfp.interpolant(X, Y, AT, lfp.Moments(1.0, 0.0), 20.0, 1000)
    assert apart(found, curve) < 0.15
    line = lfp.interpolant(X, Y, AT, lfp.Moments(0.0, 1.0), 20.0, 1000)
    assert apart(line, curve) > 0.3


def test_only_the_ratio_of_moments_shapes_the_interpolant():
    one = lfp.interpolant(X, Y, AT, BOTH, 20.0, 500)
    other = lfp.interpolant(X, Y, AT, lfp.Moments(7.0, 210.0), 20.0, 500)
    np.testing.assert_allclose(one, other, atol=1e-9)


def test_moments_of_uniform_draws():
    generator = np.random.default_rng(1)
    r = abs(generator.uniform(-1.5, 1.5, 10**6))
    a = generator.uniform(-0.7, 0.7, 10**6)
    found = lfp.uniform_moments(1.5, 0.7)
    for drawn, expected in ((r**3, found.r3), (a**2 * r, found.a2r)):
        assert abs(drawn.mean() - expected) < 4.5 * drawn.std() / 1e3


def test_both_parts_of_the_weight_are_equal_at_the_crossover():
    moments = lfp.Moments(5.0, 0.2)
    k = np.array([lfp.crossover(moments)])
    parts = lfp.weight(k, lfp.Moments(5.0, 0.0)), lfp.weight(k, lfp.Moments(0.0, 0.2))
    assert parts[0] == pytest.approx(parts[1])
    slope = np.diff(np.log(lfp.weight(np.array([0.01, 0.02]), moments, 2))) / np.log(2)
    assert slope == pytest.approx(-5, abs=1e-3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": np.array([0.0, 0.0])}, "two points have the same x"),
        ({"y": np.zeros(3)}, "must be lists of one length, got"),
        ({"x": np.array([0.0, np.inf])}, "x must be finite, got inf"),
        ({"period": 1.5}, "at most half the period 1.5, got 1.0"),
        ({"time": np.array([-1.0])}, "a time must be at least 0, got -1.0"),
        ({"y": np.array([0.0, np.nan])}, "y must be finite, got nan"),
        ({"at": np.array([np.inf])}, "at must be finite, got inf"),
        ({"terms": 0}, "terms must be a whole number from 1, got 0"),
        ({"moments": lfp.Moments(-1.0, 2.0)}, "r3 must be at least 0, got -1"),
        ({"moments": lfp.Moments(0.0, 0.0)}, "sum of moments must be positive, got 0"),
    ],
)
def test_bad_arguments_are_refused(change, message):
    good = {
        "x": np.array([0.0, 1.0]), "y": np.ones(2), "at": np.zeros(1), "time": np.ones(1),
        "moments": BOTH, "period": 10.0, "terms": 5,
    }  # fmt: skip
    with pytest.raises(ValueError, match=message):
        lfp.flow(**{**good, **change})


def test_data_may_span_half_the_period():
    x, y = np.array([0.0, 1.0]), np.array([0.2, -0.4])
    np.testing.assert_allclose(lfp.interpolant(x, y, x, BOTH, 2.0, 500), y, atol=1e-9)


def test_bad_moments_are_refused():
    with pytest.raises(ValueError, match="amplitude must be positive, got 0"):
        lfp.uniform_moments(1.0, 0.0)
    with pytest.raises(ValueError, match="weight must be positive, got -1"):
        lfp.uniform_moments(-1.0, 1.0)
    with pytest.raises(ValueError, match="dimension must be a whole number from 1, got 0"):
        lfp.weight(np.ones(1), BOTH, 0)
    with pytest.raises(ValueError, match="period must be positive, got -1"):
        lfp.kernel(X, X, BOTH, -1.0)
    with pytest.raises(ValueError, match="a2r must be positive, got 0"):
        lfp.crossover(lfp.Moments(1.0, 0.0))
    with pytest.raises(ValueError, match="frequency must be positive, got 0"):
        lfp.weight(np.array([0.0]), BOTH)

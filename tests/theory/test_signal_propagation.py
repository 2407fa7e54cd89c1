import math

import numpy as np
import pytest

from chymist.theory import dual_activations as dual
from chymist.theory import signal_propagation as signal

SETTINGS = [
    (dual.tanh(), np.tanh, 2.5, 0.1),
    (dual.leaky_relu(), lambda u: np.maximum(u, 0), 1.5, 0.2),
]


@pytest.mark.parametrize(("activation", "phi", "weight", "bias"), SETTINGS)
def test_a_wide_random_network_carries_these_moments(activation, phi, weight, bias):
    width, layers = 1500, 5
    q = signal.variance_fixed_point(activation, weight, bias)
    expected = signal.correlations(0.3, q, activation, weight, bias, layers)
    moments = []
    for seed in range(8):
        generator = np.random.default_rng(seed)
        z = generator.normal(size=(2, width))
        h = q**0.5 * np.stack([z[0], 0.3 * z[0] + 0.91**0.5 * z[1]])
        for _ in range(layers):
            w = generator.normal(size=(width, width)) * (weight / width) ** 0.5
            h = phi(h) @ w + bias**0.5 * generator.normal(size=width)
        moments.append([(h[0] ** 2).mean(), (h[0] * h[1]).mean() / q])
    mean, error = np.mean(moments, 0), np.std(moments, 0, ddof=1) / 8**0.5
    # Five errors of eight networks, and 1/width for the finite one.
    assert (abs(mean - [q, expected[-1]]) < 5 * error + 0.01).all()


def test_variances_settle_at_the_fixed_point():
    path = signal.variances(4.0, dual.erf(), 1.3, 0.2, 200)
    assert path[-1] == pytest.approx(signal.variance_fixed_point(dual.erf(), 1.3, 0.2))
    relu = signal.variance_fixed_point(dual.leaky_relu(), 1.2, 0.4)
    assert relu == pytest.approx(0.4 / (1 - 0.6))
    assert signal.variance_fixed_point(dual.leaky_relu(), 2.5, 0.1) == math.inf
    assert signal.variance_fixed_point(dual.tanh(), 0.5, 0.0) == 0.0


def test_no_fixed_point_within_reach_is_said():
    with pytest.raises(ValueError, match="must settle within 20000 layers"):
        signal.variance_fixed_point(dual.erf(), math.pi / 4, 0.0)


@pytest.mark.parametrize(("weight", "bias"), [(1.0, 0.3), (4.0, 0.05)])
def test_the_slope_is_the_derivative_of_the_map(weight, bias):
    q = signal.variance_fixed_point(dual.erf(), weight, bias)
    at, h = 0.4, 1e-6
    up, down = (signal.correlations(at + d, q, dual.erf(), weight, bias, 1)[1] for d in (h, -h))
    assert signal.slope(q, dual.erf(), weight, at) == pytest.approx((up - down) / (2 * h), rel=1e-6)


@pytest.mark.parametrize(("weight", "bias"), [(1.0, 0.3), (4.0, 0.05)])
def test_correlations_approach_their_end_at_the_depth_scale(weight, bias):
    q = signal.variance_fixed_point(dual.erf(), weight, bias)
    path = signal.correlations(0.6, q, dual.erf(), weight, bias, 4000)
    gap = abs(path - path[-1])
    late = np.flatnonzero((gap > 1e-9) & (gap < 1e-5))
    assert len(late) > 3
    decay = np.polyfit(late, np.log(gap[late]), 1)[0]
    scale = signal.depth_scale(q, dual.erf(), weight, bias)
    assert -1 / decay == pytest.approx(scale, rel=0.01)
    ordered = signal.slope(q, dual.erf(), weight) < 1
    assert (path[-1] == pytest.approx(1, abs=1e-6)) == ordered == (weight == 1.0)


def test_the_critical_line_parts_order_from_chaos():
    critical = signal.critical_weight_variance(dual.erf(), 0.1)
    for factor, ordered in ((0.98, True), (1.02, False)):
        q = signal.variance_fixed_point(dual.erf(), critical * factor, 0.1)
        assert (signal.slope(q, dual.erf(), critical * factor) < 1) == ordered
    # The published line of tanh passes weights of 1 as biases vanish.
    tanh = signal.critical_weight_variance(dual.tanh(), 1e-6)
    assert 1 < tanh < 1.05
    with pytest.raises(ValueError, match="chi_1 must pass 1 below a weight variance of 20"):
        signal.critical_weight_variance(dual.leaky_relu(0.0), 0.1)


def test_relu_at_two_keeps_variance_and_draws_all_inputs_together():
    assert signal.variances(1.0, dual.leaky_relu(), 2.0, 0.0, 9) == pytest.approx(np.ones(10))
    path = signal.correlations(0.0, 1.0, dual.leaky_relu(), 2.0, 0.0, 200)
    assert path[1] == pytest.approx(1 / np.pi)
    assert (np.diff(path) > 0).all() and path[-1] > 0.995
    assert signal.depth_scale(1.0, dual.leaky_relu(), 2.0, 0.0) == math.inf


@pytest.mark.parametrize(
    "call",
    [
        lambda: signal.variances(-1.0, dual.erf(), 1.0, 0.0, 2),
        lambda: signal.variances(1.0, dual.erf(), 1.0, 0.0, -1),
        lambda: signal.variance_fixed_point(dual.erf(), -1.0, 0.0),
        lambda: signal.correlations(1.1, 1.0, dual.leaky_relu(), 2.0, 0.0, 1),
        lambda: signal.correlations(0.5, 1.0, dual.erf(), 1.0, 0.1, 1),
        lambda: signal.correlations(0.5, 0.0, dual.erf(), 1.0, 0.1, 1),
        lambda: signal.slope(1.0, dual.erf(), -1.0),
        lambda: signal.slope(1.0, dual.erf(), 1.0, 2.0),
        lambda: signal.critical_weight_variance(dual.erf(), 0.0),
        lambda: signal.variances(1.0, dual.erf(), -1.0, 0.0, 2),
        lambda: signal.variances(1.0, dual.erf(), 1.0, -0.1, 2),
        lambda: signal.variance_fixed_point(dual.erf(), 1.0, 0.0, -1.0),
        lambda: signal.variance_fixed_point(dual.erf(), 1.0, -0.5),
        lambda: signal.correlations(0.5, -1.0, dual.leaky_relu(), 2.0, 0.0, 1),
        lambda: signal.correlations(0.5, 1.0, dual.leaky_relu(), 2.0, 0.0, -1),
        lambda: signal.slope(-1.0, dual.quadratic(), 1.0),
        lambda: signal.critical_weight_variance(dual.erf(), -0.1),
        lambda: signal.critical_weight_variance(dual.erf(), 0.1, np.inf),
    ],
)
def test_bad_arguments_are_refused(call):
    with pytest.raises(ValueError, match=r"must .*, got"):
        call()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: signal.correlations(0.5, -1.0, dual.erf(), 1.0, 0.1, 1), "^variance must"),
        (
            lambda: signal.critical_weight_variance(dual.erf(), -0.1),
            "^bias variance must be positive",
        ),
        (lambda: signal.critical_weight_variance(dual.erf(), 0.1, np.inf), "^highest must"),
    ],
)
def test_the_argument_at_fault_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()

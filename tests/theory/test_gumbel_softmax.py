import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, softmax

from chymist.theory import gumbel_softmax as gumbel

LOGITS = np.array([0.3, -1.0, 0.8, 0.1])
VALUES = np.array([1.0, -2.0, 0.5, 3.0])
P = softmax(LOGITS)


def test_the_gradient_by_differences():
    h = 1e-6
    slopes = [
        (softmax(LOGITS + h * e) @ VALUES - softmax(LOGITS - h * e) @ VALUES) / (2 * h)
        for e in np.eye(4)
    ]
    np.testing.assert_allclose(gumbel.exact_gradient(P, VALUES), slopes, atol=1e-9)


@pytest.mark.parametrize("baseline", ["none", "mean", "best"])
def test_the_variance_of_drawn_score_functions(baseline):
    b = {"none": 0.0, "mean": P @ VALUES, "best": gumbel.best_baseline(P, VALUES)}[baseline]
    z = np.random.default_rng(0).choice(4, size=400_000, p=P)
    samples = (VALUES[z][:, None] - b) * (np.eye(4)[z] - P)
    gradient = gumbel.exact_gradient(P, VALUES)
    error = samples.std(0) / len(z) ** 0.5
    assert (abs(samples.mean(0) - gradient) < 4.5 * error).all()
    square = ((samples - gradient) ** 2).sum(1) / (gradient @ gradient)
    found = gumbel.score_function_variance(P, VALUES, b)
    assert abs(square.mean() - found) < 4.5 * square.std() / len(z) ** 0.5


@given(st.lists(st.floats(-3, 3), min_size=4, max_size=4))
def test_no_baseline_beats_the_best(change):
    best = gumbel.best_baseline(P, VALUES)
    least = gumbel.score_function_variance(P, VALUES, best)
    assert gumbel.score_function_variance(P, VALUES, best + np.array(change)) >= least - 1e-12


def relaxed(function, derivative, logit, tau):
    """(relative bias, relative variance) of Gumbel softmax for two categories, by trapezoids."""
    s = np.linspace(-60, 60, 600_001)
    share = expit(tau * s - logit)
    weight = tau * share * (1 - share) * (s[1] - s[0])
    y = expit(s)
    sample = derivative(y) * y * (1 - y) / tau
    p = expit(logit)
    exact = p * (1 - p) * (function(1.0) - function(0.0))
    mean = weight @ sample
    return (mean - exact) / exact, (weight @ sample**2 - mean**2) / exact**2


@pytest.mark.parametrize(
    ("function", "derivative"),
    [
        (lambda y: (y - 0.45) ** 2, lambda y: 2 * (y - 0.45)),
        (lambda y: y**3, lambda y: 3 * y**2),
    ],
)
def test_leading_laws_at_small_temperatures(function, derivative):
    found = gumbel.two_categories(function, derivative, 0.7)
    bias, variance = np.transpose(
        [relaxed(function, derivative, 0.7, tau) for tau in (0.004, 0.002)]
    )
    ratios = abs(bias) / (found.bias * np.array([0.004, 0.002]))
    assert ratios[1] == pytest.approx(1, abs=0.03)
    assert abs(ratios[1] - 1) < abs(ratios[0] - 1) + 1e-4
    assert variance[1] * 0.002 == pytest.approx(found.variance, rel=0.02)


def test_a_linear_function_has_the_published_constant_and_a_smaller_bias():
    found = gumbel.two_categories(lambda y: y, lambda y: 1.0, 0.7)
    rho = expit(0.7) * expit(-0.7)
    assert found.variance == pytest.approx(1 / (6 * rho))
    assert found.bias == pytest.approx(0, abs=1e-9)
    bias = [abs(relaxed(lambda y: y, np.ones_like, 0.7, tau)[0]) for tau in (0.04, 0.02)]
    assert np.log2(bias[0] / bias[1]) == pytest.approx(2, abs=0.05)


@pytest.mark.parametrize("samples", [10, 1000])
def test_the_best_temperature_is_the_least_of_the_sum(samples):
    leading = gumbel.Leading(1.7, 0.4)
    tau = gumbel.best_temperature(leading, samples) * np.array([1.0, 0.98, 1.02])
    error = (leading.bias * tau) ** 2 + leading.variance / tau / samples
    assert error.argmin() == 0


@pytest.mark.parametrize(
    "call",
    [
        lambda: gumbel.exact_gradient(np.array([0.5, 0.6]), np.ones(2)),
        lambda: gumbel.exact_gradient(np.array([1.5, -0.5]), np.ones(2)),
        lambda: gumbel.score_function_variance(np.array([0.5, 0.5]), np.ones(2)),
        lambda: gumbel.best_baseline(np.array([np.nan, 0.5]), np.ones(2)),
        lambda: gumbel.two_categories(lambda y: 1.0, lambda y: 0.0, 0.0),
        lambda: gumbel.two_categories(lambda y: y, lambda y: 1.0, np.inf),
        lambda: gumbel.best_temperature(gumbel.Leading(0.0, 1.0), 5),
        lambda: gumbel.best_temperature(gumbel.Leading(1.0, 1.0), 0),
        lambda: gumbel.best_temperature(gumbel.Leading(1.0, 0.0), 5),
    ],
)
def test_bad_arguments_are_refused(call):
    with pytest.raises(ValueError, match=r"must .*, got"):
        call()

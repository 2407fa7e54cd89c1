import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import erf

from chymist.theory import dual_activations as dual

KNOWN = [
    ("relu", dual.leaky_relu(), lambda u: np.maximum(u, 0), lambda u: 1.0 * (u > 0)),
    (
        "leaky",
        dual.leaky_relu(0.3),
        lambda u: np.where(u > 0, u, 0.3 * u),
        lambda u: np.where(u > 0, 1, 0.3),
    ),
    ("abs", dual.leaky_relu(-1), np.abs, np.sign),
    ("line", dual.leaky_relu(1), lambda u: u, np.ones_like),
    ("erf", dual.erf(), erf, lambda u: 2 / np.pi**0.5 * np.exp(-(u**2))),
    ("sine", dual.sine(), np.sin, np.cos),
    ("square", dual.quadratic(), lambda u: u**2, lambda u: 2 * u),
    ("tanh", dual.tanh(), np.tanh, lambda u: 1 - np.tanh(u) ** 2),
]
CASES = [(1.0, 1.0, 0.5), (0.3, 2.0, -0.6), (1.5, 0.7, 0.0), (0.8, 0.8, 0.8), (0.5, 0.5, -0.5)]


@pytest.mark.parametrize(("name", "pair", "phi", "slope"), KNOWN, ids=[k[0] for k in KNOWN])
@pytest.mark.parametrize(("q", "r", "s"), CASES)
def test_averages_are_those_of_drawn_gaussians(name, pair, phi, slope, q, r, s):
    z = np.random.default_rng(5).normal(size=(2, 400_000))
    cosine = s / (q * r) ** 0.5
    u = q**0.5 * z[0]
    v = r**0.5 * (cosine * z[0] + max(1 - cosine**2, 0) ** 0.5 * z[1])
    for drawn, found in (
        (phi(u) * phi(v), pair.value(q, r, s)),
        (slope(u) * slope(v), pair.slope(q, r, s)),
    ):
        error = drawn.std() / len(u) ** 0.5
        assert abs(drawn.mean() - found) < 4.5 * error + 1e-12


@given(st.floats(0.05, 1), st.floats(0.05, 1), st.floats(-0.95, 0.95))
def test_quadrature_agrees_with_the_closed_form_of_erf(q, r, cosine):
    s = cosine * (q * r) ** 0.5
    numeric = dual.by_quadrature(erf, lambda u: 2 / np.pi**0.5 * np.exp(-(u**2)), 80)
    assert numeric.value(q, r, s) == pytest.approx(dual.erf().value(q, r, s), abs=1e-8)
    assert numeric.slope(q, r, s) == pytest.approx(dual.erf().slope(q, r, s), abs=1e-6)


def test_the_stated_accuracy_of_tanh():
    fine = dual.tanh(200)
    q = np.array([0.1, 0.5, 1.0])
    s = 0.6 * q
    np.testing.assert_allclose(dual.tanh().value(q, q, s), fine.value(q, q, s), atol=1e-8)


@pytest.mark.parametrize(("name", "pair", "phi", "slope"), KNOWN, ids=[k[0] for k in KNOWN])
def test_the_slope_is_the_derivative_of_the_value_in_the_covariance(name, pair, phi, slope):
    # Price's theorem: d/ds E phi(u) phi(v) = E phi'(u) phi'(v).
    q, r, s, h = 0.9, 0.6, 0.25, 1e-5
    numeric = (pair.value(q, r, s + h) - pair.value(q, r, s - h)) / (2 * h)
    assert pair.slope(q, r, s) == pytest.approx(float(numeric), abs=1e-7)


def test_arrays_and_vectors_of_length_zero():
    relu = dual.leaky_relu()
    q = np.array([0.0, 1.0])
    assert relu.value(q, q, q).tolist() == [0.0, 0.5]
    assert np.isfinite(dual.tanh().value(q, q, q)).all()
    assert dual.sine().value(900.0, 900.0, 900.0) == pytest.approx(0.5)
    assert dual.erf().value(np.ones((3, 1)), np.ones((1, 4)), np.zeros((3, 4))).shape == (3, 4)


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match="slope must be finite, got nan"):
        dual.leaky_relu(np.nan)
    with pytest.raises(ValueError, match="nodes must be a whole number from 2, got 1"):
        dual.tanh(1)

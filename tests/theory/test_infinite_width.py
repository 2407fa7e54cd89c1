from itertools import pairwise

import numpy as np
import pytest

from chymist.theory import dual_activations as dual
from chymist.theory.coordinate_kernel import relu_tangent_kernel
from chymist.theory.infinite_width import kernels

ACTIVATIONS = {
    "relu": (dual.leaky_relu(), lambda u: np.maximum(u, 0), lambda u: 1.0 * (u > 0)),
    "tanh": (dual.tanh(), np.tanh, lambda u: 1 - np.tanh(u) ** 2),
}


def points(n=4, features=3, seed=0):
    return np.random.default_rng(seed).normal(size=(n, features))


def drawn_network(x, phi, slope, depth, width, weight, bias, generator):
    """Output of one finite network and its exact NTK, by backpropagation written out in NumPy."""
    sizes = [x.shape[1]] + [width] * depth + [1]
    layers, hidden, before = [], [x], []
    for fan_in, fan_out in pairwise(sizes):
        w = generator.normal(size=(fan_in, fan_out))
        layers.append(w)
        h = weight**0.5 * hidden[-1] @ w / fan_in**0.5 + bias**0.5 * generator.normal(size=fan_out)
        before.append(h)
        hidden.append(phi(h))
    back = np.ones((len(x), 1))
    tangent = np.zeros((len(x), len(x)))
    for level in reversed(range(len(layers))):
        grams = weight * hidden[level] @ hidden[level].T / sizes[level] + bias
        tangent += (back @ back.T) * grams
        if level:
            back = weight**0.5 * back @ layers[level].T / sizes[level] ** 0.5
            back = back * slope(before[level - 1])
    return before[-1][:, 0], tangent


@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize(("depth", "bias"), [(1, 0.0), (1, 0.3), (3, 0.0), (3, 0.3)])
def test_finite_networks_approach_both_kernels(activation, depth, bias):
    pair, phi, slope = ACTIVATIONS[activation]
    x, generator = points(), np.random.default_rng(7)
    expected = kernels(x, x, pair, depth, weight_variance=1.6, bias_variance=bias)
    nets = [drawn_network(x, phi, slope, depth, 400, 1.6, bias, generator) for _ in range(120)]
    tangents = np.array([n[1] for n in nets])
    error = tangents.std(0, ddof=1) / len(nets) ** 0.5
    scale = expected.ntk.max()
    # Width 400 leaves a bias of order 1/400 beside the error of the draws.
    assert (abs(tangents.mean(0) - expected.ntk) < 4.5 * error + 0.01 * scale).all()
    outputs = np.array([n[0] for n in nets])
    products = outputs[:, :, None] * outputs[:, None, :]
    error = products.std(0, ddof=1) / len(nets) ** 0.5
    assert (abs(products.mean(0) - expected.nngp) < 4.5 * error).all()


@pytest.mark.parametrize("depth", [0, 1, 2, 5])
def test_on_the_sphere_it_is_the_kernel_known_already(depth):
    x = points()
    x *= x.shape[1] ** 0.5 / np.linalg.norm(x, axis=1, keepdims=True)
    found = kernels(x, x, dual.leaky_relu(), depth, weight_variance=2, first_variance=1)
    cosine = x @ x.T / x.shape[1]
    np.testing.assert_allclose(found.ntk, relu_tangent_kernel(cosine, depth), atol=1e-7)


def test_the_closed_form_of_one_erf_layer():
    x, other = points(3), points(2, seed=1)
    s = x @ other.T / 3
    q, r = (x**2).sum(1)[:, None] / 3, (other**2).sum(1)[None] / 3
    inside = (1 + 2 * q) * (1 + 2 * r)
    nngp = 2 / np.pi * np.arcsin(2 * s / inside**0.5)
    ntk = nngp + s * 4 / np.pi / (inside - 4 * s**2) ** 0.5
    found = kernels(x, other, dual.erf(), 1)
    np.testing.assert_allclose(found.nngp, nngp, rtol=1e-12)
    np.testing.assert_allclose(found.ntk, ntk, rtol=1e-12)


def test_kernels_are_symmetric_positive_and_turn_with_the_inputs():
    x = points(6)
    turn = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))[0]
    found = kernels(x, x, dual.erf(), 3, weight_variance=1.5, bias_variance=0.2)
    turned = kernels(x @ turn, x @ turn, dual.erf(), 3, weight_variance=1.5, bias_variance=0.2)
    for one, other in zip(found, turned, strict=True):
        np.testing.assert_allclose(one, one.T, atol=1e-12)
        np.testing.assert_allclose(one, other, atol=1e-10)
        assert np.linalg.eigvalsh(one)[0] > 0


def test_relu_without_biases_scales_with_its_inputs():
    x = points()
    one = kernels(x, x, dual.leaky_relu(), 2)
    three = kernels(3 * x, x, dual.leaky_relu(), 2)
    # Near cosine 1 the slope of ReLU is known to the root of the rounding only.
    np.testing.assert_allclose(three.ntk, 3 * one.ntk, rtol=1e-7)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": np.zeros((2, 4))}, "must be .* got"),
        ({"x": np.zeros(3)}, "must be .* got"),
        ({"x": np.full((2, 3), np.nan)}, "inputs must be finite, got nan"),
        ({"other": np.full((2, 3), np.inf)}, "other inputs must be finite, got inf"),
        ({"depth": -1}, "depth must be a whole number from 0, got -1"),
        ({"weight_variance": -1.0}, "weight variance must be at least 0, got -1"),
        ({"bias_variance": -2.0}, "bias variance must be at least 0, got -2"),
        ({"first_variance": -3.0}, "first variance must be at least 0, got -3"),
    ],
)
def test_bad_arguments_are_refused(change, message):
    good = {"x": points(), "other": points(), "activation": dual.erf(), "depth": 1}
    with pytest.raises(ValueError, match=message):
        kernels(**{**good, **change})

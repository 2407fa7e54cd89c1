import numpy as np
import pytest

from chymist.theory import barron
from chymist.theory.dual_activations import leaky_relu


def sphere(n, d, generator):
    x = generator.normal(size=(n, d))
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def embedded(n, k, d, generator):
    v = np.zeros((n, d))
    v[:, :k] = sphere(n, k, generator)
    return v


def test_the_inner_product_is_the_mean_over_the_sphere():
    generator = np.random.default_rng(0)
    u, v = generator.normal(size=(3, 4)), generator.normal(size=(2, 4))
    x = sphere(500_000, 4, generator)
    drawn = np.maximum(x @ u.T, 0)[:, :, None] * np.maximum(x @ v.T, 0)[:, None]
    error = drawn.std(0) / len(x) ** 0.5
    assert (abs(drawn.mean(0) - barron.inner_product(u, v)) < 4.5 * error).all()


def test_over_a_gaussian_it_is_the_dual_of_relu():
    generator = np.random.default_rng(1)
    u, v = generator.normal(size=(3, 5)), generator.normal(size=(2, 5))
    q, r = (u**2).sum(1)[:, None], (v**2).sum(1)
    expected = leaky_relu().value(q, r, u @ v.T)
    np.testing.assert_allclose(5 * barron.inner_product(u, v), expected, rtol=1e-10)


@pytest.mark.parametrize("k", [1, 2, 3, 7])
def test_the_mean_neuron_is_that_of_drawn_directions(k):
    v = np.maximum(sphere(400_000, k, np.random.default_rng(k))[:, 0], 0)
    assert abs(v.mean() - barron.mean_neuron(k)) < 4.5 * v.std() / len(v) ** 0.5 + 1e-12


@pytest.mark.parametrize(("k", "d"), [(2, 2), (2, 6), (3, 5)])
def test_drawn_neurons_have_this_error(k, d):
    generator = np.random.default_rng(k + 10 * d)
    fine = embedded(1500, k, d, generator)
    square = barron.mean_neuron(k) ** 2 * k / d  # |f|^2
    assert barron.inner_product(fine, fine).mean() == pytest.approx(square, rel=0.01)
    errors = []
    for m in (8, 64):
        draws = []
        for _ in range(400):
            v = embedded(m, k, d, generator)
            # <f, relu(v.)> = |f|^2 for every v of the subsphere, by symmetry.
            draws.append((barron.inner_product(v, v).mean() - square) / square * m)
        draws = np.array(draws)
        errors.append(abs(draws.mean() - barron.monte_carlo_constant(k)))
        assert errors[-1] < 4.5 * draws.std() / 400**0.5


@pytest.mark.parametrize(("k", "d"), [(1, 3), (2, 3)])
def test_fixed_features_are_cursed_at_this_rate(k, d):
    generator = np.random.default_rng(d)
    angles = 2 * np.pi * (np.arange(720) + 0.5) / 720
    target = np.zeros((720, d)) if k == 2 else np.eye(d)[:1]
    if k == 2:
        target[:, 0], target[:, 1] = np.cos(angles), np.sin(angles)
    total = barron.inner_product(target, target).mean()
    sizes, logs = np.array([64, 128, 256, 512]), []
    for _ in range(6):
        w = sphere(512, d, generator)
        gram, rhs = barron.inner_product(w, w), barron.inner_product(w, target).mean(1)
        logs.append([
            np.log(1 - rhs[:m] @ np.linalg.solve(gram[:m, :m] + 1e-13 * np.eye(m), rhs[:m]) / total)
            for m in sizes
        ])  # fmt: skip
    slope = np.polyfit(np.log(sizes), np.mean(logs, 0), 1)[0]
    assert slope == pytest.approx(barron.fixed_features_exponent(k, d), rel=0.12)


def test_the_curse_ends_at_no_gain_while_trained_neurons_keep_one():
    assert barron.fixed_features_exponent(1, 1001) == pytest.approx(-0.003)
    assert barron.best_exponent(1001) == pytest.approx(-1.003)


@pytest.mark.parametrize(
    "call",
    [
        lambda: barron.inner_product(np.ones((1, 2)), np.ones((1, 3))),
        lambda: barron.inner_product(np.zeros((1, 2)), np.ones((1, 2))),
        lambda: barron.mean_neuron(0),
        lambda: barron.monte_carlo_constant(1.5),
        lambda: barron.fixed_features_exponent(3, 2),
        lambda: barron.fixed_features_exponent(1, 1),
        lambda: barron.best_exponent(1),
        lambda: barron.inner_product(np.ones((1, 2)), np.zeros((1, 2))),
        lambda: barron.fixed_features_exponent(0, 3),
    ],
)
def test_bad_arguments_are_refused(call):
    with pytest.raises(ValueError, match=r"must .*, got"):
        call()

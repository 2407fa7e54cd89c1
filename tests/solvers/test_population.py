import numpy as np
import pytest

from chymist.solvers.population import fit_subsphere, least_squares, subsphere_error
from chymist.theory import barron, subspheres


def start(m, d, seed=0):
    w = np.random.default_rng(seed).normal(size=(m, d))
    return 2 * w / np.linalg.norm(w, axis=1, keepdims=True) / m


SIGNS = np.where(np.arange(8) % 2 == 0, 1.0, -1.0)


@pytest.mark.parametrize("k", [2, 3])
def test_the_gradient_is_that_of_the_error(k):
    w, h = start(8, 4), 1e-6
    _, slope = subsphere_error(w, SIGNS, k)
    for place in np.ndindex(w.shape):
        step = np.zeros_like(w)
        step[place] = h
        up, down = (subsphere_error(w + s * step, SIGNS, k)[0] for s in (1, -1))
        assert slope[place] == pytest.approx((up - down) / (2 * h), abs=1e-8)


def test_the_error_is_that_of_the_gram_matrix():
    w, d = start(8, 4), 4
    angle = 2 * np.pi * np.arange(2000) / 2000
    v = np.zeros((2000, d))
    v[:, 0], v[:, 1] = np.cos(angle), np.sin(angle)
    total = barron.inner_product(v, v[:1]).mean()
    inner = barron.inner_product(w, v).mean(1)
    expected = (SIGNS @ barron.inner_product(w, w) @ SIGNS - 2 * SIGNS @ inner + total) / total
    assert subsphere_error(w, SIGNS, 2)[0] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("d", [2, 7])
def test_training_finds_the_polygon_in_every_dimension(d):
    fits = [fit_subsphere(start(8, d, s), SIGNS, 2) for s in range(12)]
    best = min(fits, key=lambda fit: fit.error)
    assert best.error == pytest.approx(subspheres.polygon_error(8), rel=1e-3)
    assert 1 <= best.path_norm == pytest.approx(np.linalg.norm(best.w, axis=1).sum())
    assert subsphere_error(best.w, SIGNS, 2)[0] == best.error


def test_least_squares_finds_what_is_in_the_span_and_no_more():
    w = start(5, 3)
    gram = barron.inner_product(w, w)
    a = np.array([1.0, -2.0, 0.5, 0.0, 0.0])
    inner, total = (gram @ a)[:, None], a @ gram @ a
    found = least_squares(gram, inner, total, [2, 3, 5])
    assert found.error[0, 0] > 1e-3
    np.testing.assert_allclose(found.error[1:], 0, atol=1e-9)
    np.testing.assert_allclose(found.squares[1:, 0], a @ a, rtol=1e-6)


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match="sizes must be at most 2, got 3"):
        least_squares(np.eye(2), np.ones((2, 1)), 1.0, [3])
    with pytest.raises(ValueError, match="length of w must be positive"):
        subsphere_error(np.zeros((1, 2)), np.ones(1), 2)

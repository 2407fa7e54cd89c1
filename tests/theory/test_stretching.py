import numpy as np
import pytest

from chymist.theory import dual_activations, infinite_width, stretching

X = np.linspace(-1, 1, 33)[:, None]


def gaussian(x):
    return np.exp(-((x - x.T) ** 2) / 2)


def test_one_scale_stretches_the_kernel():
    found = stretching.stretched_kernel(gaussian, X, [3.0])
    np.testing.assert_allclose(found, np.exp(-9 * (X - X.T) ** 2 / 2))


def test_scales_add_their_kernels():
    alone = [stretching.stretched_kernel(gaussian, X, [s]) for s in (1.0, 2.5)]
    np.testing.assert_allclose(stretching.stretched_kernel(gaussian, X, [1.0, 2.5]), sum(alone))


def test_rates_of_eigenvectors_are_eigenvalues_over_n():
    kernel = gaussian(X)
    values, vectors = np.linalg.eigh(kernel)
    np.testing.assert_allclose(
        stretching.wave_rates(kernel, 7 * vectors.T), values / len(X), atol=1e-15
    )


def test_a_rate_is_how_fast_gradient_descent_takes_a_wave():
    """Kernel gradient descent on a periodic kernel: its waves are eigenvectors."""
    n, eta = 16, 0.3
    place = np.arange(n)
    kernel = 1 + np.cos(2 * np.pi * (place[:, None] - place) / n)
    wave = np.sin(2 * np.pi * place / n)
    rate = stretching.wave_rates(kernel, wave[None])[0]
    left = wave - eta * kernel @ wave / n
    np.testing.assert_allclose(left, (1 - eta * rate) * wave, atol=1e-14)


def test_the_reach_doubles_with_the_scale():
    mu = np.geomspace(1, 400, 300)
    ends = []
    for scale in (4.0, 8.0, 16.0):
        line = np.linspace(-1, 1, 700)[:, None]
        kernel = stretching.stretched_kernel(gaussian, line, [scale])
        rates = stretching.wave_rates(kernel, np.cos(mu[:, None] * line[:, 0]))
        ends.append(stretching.reach(rates, mu, 0.1))
    np.testing.assert_allclose(np.diff(np.log2(ends)), 1, atol=0.06)


def test_the_kernel_of_sines_has_a_reach_that_grows():
    def kernel(x):
        return infinite_width.kernels(x, x, dual_activations.sine(), 2, first_variance=0.1).ntk

    mu, line = np.geomspace(1, 100, 100), np.linspace(-1, 1, 300)[:, None]
    waves = np.sin(mu[:, None] * line[:, 0])
    ends = [
        stretching.reach(
            stretching.wave_rates(stretching.stretched_kernel(kernel, line, [1, s]), waves), mu
        )
        for s in (2, 8)
    ]
    assert 2 < ends[1] / ends[0] < 5


@pytest.mark.parametrize(
    ("rates", "level", "end"),
    [([1, 0.1, 0.01], 0.1, 2.0), ([1, 0.5, 0.4], 0.1, np.nan), ([1, 0.0, 0.0], 0.5, None)],
)
def test_the_reach_is_where_the_rate_has_fallen(rates, level, end):
    found = stretching.reach(np.array(rates), np.array([1.0, 2.0, 4.0]), level)
    if end is None:
        assert 1 < found < 1.01
    else:
        assert found == pytest.approx(end, nan_ok=True)


@pytest.mark.parametrize(
    ("call", "line"),
    [
        (lambda: stretching.stretched_kernel(gaussian, X, [1, 0.0]), "scale"),
        (lambda: stretching.wave_rates(np.eye(3), np.ones((1, 2))), "a kernel .* has no waves"),
        (lambda: stretching.wave_rates(np.eye(3), np.zeros((1, 3))), "a wave is zero everywhere"),
        (lambda: stretching.reach(np.ones(3), np.ones(2)), "needed as many rates"),
        (lambda: stretching.reach(np.ones(2), np.array([2.0, 1.0])), "positive and increasing"),
        (lambda: stretching.reach(np.ones(2), np.array([1.0, 2.0]), 0.0), "level"),
    ],
)
def test_what_makes_no_sense_is_refused(call, line):
    with pytest.raises(ValueError, match=line):
        call()

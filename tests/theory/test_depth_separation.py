from fractions import Fraction

import numpy as np
import pytest

from chymist.theory import depth_separation as depth


def test_the_sawtooth_is_that_of_exact_arithmetic():
    points = [Fraction(i, 997) for i in range(998)]
    for k in (1, 5, 17):
        exact = []
        for x in points:
            for _ in range(k):
                x = min(2 * x, 2 - 2 * x)
            exact.append(float(x))
        found = depth.sawtooth(np.array([float(p) for p in points]), k)
        np.testing.assert_allclose(found, exact, atol=2.0 ** (k - 50))


@pytest.mark.parametrize("k", [1, 4, 9])
def test_it_has_two_to_the_k_pieces(k):
    x = np.linspace(0, 1, 2 ** (k + 3) + 1)
    signs = np.sign(np.diff(depth.sawtooth(x, k)))
    assert (np.diff(signs) != 0).sum() + 1 == 2**k


def fit(x, y, kinks):
    """Squared error over the variance of the best continuous fit with these kinks."""
    design = np.column_stack([np.ones_like(x), x, *np.maximum(x - kinks[:, None], 0)])
    rest = y - design @ np.linalg.lstsq(design, y)[0]
    return rest @ rest / ((y - y.mean()) @ (y - y.mean()))


def test_no_continuous_fit_beats_the_bound():
    k, generator = 4, np.random.default_rng(0)
    x = (np.arange(2**k * 64) + 0.5) / (2**k * 64)
    y = depth.sawtooth(x, k)
    for pieces in range(1, 2 ** (k - 1) + 1):
        bound = depth.least_spline_error(k, pieces)
        drawn = [fit(x, y, generator.random(pieces - 1)) for _ in range(30)]
        # Kinks at the turns of the first teeth, as an adversary would place them.
        drawn.append(fit(x, y, np.arange(1, pieces) / 2**k))
        assert bound - 1e-9 <= min(drawn) <= 1 + 1e-9
    assert depth.least_spline_error(k, 1) == 1
    assert fit(x, y, np.arange(1, 2**k) / 2**k) < 1e-12
    assert depth.least_spline_error(k, 2**k) == 0


@pytest.mark.parametrize("levels", [0, 1, 3, 8])
def test_the_square_interpolates_and_errs_as_stated(levels):
    nodes = np.linspace(0, 1, 2**levels + 1)
    np.testing.assert_allclose(depth.square(nodes, levels), nodes**2, atol=1e-15)
    x = np.linspace(0, 1, 2 ** (levels + 1) + 1)
    error = abs(depth.square(x, levels) - x**2).max()
    assert error == pytest.approx(depth.square_error(levels), rel=1e-9)
    everywhere = np.random.default_rng(0).random(5000)
    worst = abs(depth.square(everywhere, levels) - everywhere**2).max()
    assert worst <= depth.square_error(levels) * (1 + 1e-9)


@pytest.mark.parametrize(
    "call",
    [
        lambda: depth.sawtooth(np.array([1.1]), 1),
        lambda: depth.sawtooth(np.array([0.1]), -1),
        lambda: depth.sawtooth(np.array([0.1]), 41),
        lambda: depth.square(np.array([-0.1]), 1),
        lambda: depth.least_spline_error(0, 1),
        lambda: depth.least_spline_error(2, 0),
        lambda: depth.square_error(-1),
    ],
)
def test_bad_arguments_are_refused(call):
    with pytest.raises(ValueError, match=r"must .*, got"):
        call()

import math

import numpy as np
import pytest
from scipy.special import logsumexp, softmax

from chymist.theory import random_energy as rem


@pytest.mark.parametrize("keys", [2, 16, 128])
@pytest.mark.parametrize("scale", [0.3, 0.41, 1.0, 8.0, 32.0])
def test_exact_values_are_those_of_drawn_softmaxes(scale, keys):
    logits = scale * np.random.default_rng(0).normal(size=(20_000, keys))
    p = softmax(logits, axis=1)
    surprise = np.where(p > 0, -np.log(np.maximum(p, 1e-300)), 0)
    for drawn, found in (
        ((p**2).sum(1), rem.participation(scale, keys)),
        (logsumexp(logits, axis=1), rem.log_partition(scale, keys)),
        ((p * surprise).sum(1), rem.entropy(scale, keys)),
    ):
        assert abs(drawn.mean() - found) < 4.5 * drawn.std() / 20_000**0.5


def test_two_keys_have_a_one_dimensional_integral():
    # The difference of two logits is N(0, 2 s^2), and sum p^2 = 1 - 2 p (1 - p).
    z = np.linspace(-12, 12, 40_001)
    weight = np.exp(-(z**2) / 2)
    p = 1 / (1 + np.exp(-(2**0.5) * 1.7 * z))
    expected = (weight * (1 - 2 * p * (1 - p))).sum() / weight.sum()
    assert rem.participation(1.7, 2) == pytest.approx(expected, abs=1e-9)


def test_small_logits_and_large_ones():
    # To order s^2: Y = (1 + s^2)/T for many keys, and e^(s^2)/T while that is small.
    assert rem.participation(1e-3, 7) == pytest.approx((1 + 1e-6 * 6 / 7) / 7, rel=1e-9)
    assert rem.participation(0.5, 100_000) == pytest.approx(math.exp(0.25) / 1e5, rel=1e-4)
    assert rem.participation(1e4, 50) > 0.999
    assert rem.log_partition(1.0, 10**6) == pytest.approx(math.log(1e6) + 0.5, abs=1e-5)


def test_the_law_of_many_keys_is_approached_from_above():
    gaps = []
    for keys in (10**2, 10**4, 10**6, 10**8):
        scale = 3 * rem.critical_scale(keys)
        assert rem.participation_limit(scale, keys) == pytest.approx(2 / 3)
        gaps.append(rem.participation(scale, keys) - 2 / 3)
    assert min(gaps) > 0 and np.all(np.diff(gaps) < 0)


def test_participation_rises_with_the_scale_and_entropy_falls():
    scales = np.linspace(0, 12, 25)
    assert (np.diff([rem.participation(s, 64) for s in scales]) > 0).all()
    assert (np.diff([rem.entropy(s, 64) for s in scales]) < 0).all()
    # The derivative of E ln Z in s is s (1 - Y): Gaussian integration by parts.
    h = 1e-4
    slope = (rem.log_partition(2 + h, 64) - rem.log_partition(2 - h, 64)) / (2 * h)
    assert slope == pytest.approx(2 * (1 - rem.participation(2.0, 64)), rel=1e-6)


@pytest.mark.parametrize(
    "call",
    [
        lambda: rem.critical_scale(1),
        lambda: rem.participation_limit(-1.0, 10),
        lambda: rem.participation(-1.0, 10),
        lambda: rem.participation(1.0, 0),
        lambda: rem.log_partition(np.nan, 10),
        lambda: rem.entropy(1.0, 2.5),
        lambda: rem.entropy(1.0, 10**9),
    ],
)
def test_bad_arguments_are_refused(call):
    with pytest.raises(ValueError, match=r"must .*, got"):
        call()


@pytest.mark.parametrize("keys", [2, 128, 4096])
def test_the_largest_normal_bounds_what_is_left_of_the_jacobian(keys):
    drawn = np.random.default_rng(0).normal(size=(4000, keys)).max(1)
    found = rem.expected_largest(keys)
    assert abs(drawn.mean() - found) < 4.5 * drawn.std() / 4000**0.5
    left = [scale * (1 - rem.participation(scale, keys)) for scale in (4.0, 16.0, 64.0)]
    assert (np.diff([*left, found]) > 0).all() and left[-1] > 0.98 * found

import numpy as np
import pytest
from scipy.special import softmax

from chymist.theory import hopfield


@pytest.mark.parametrize("features", [8, 16, 32, 64])
def test_one_update_stays_within_the_bound(features):
    x = np.random.default_rng(features).normal(size=(200, features))
    error = np.linalg.norm(softmax(x @ x.T, axis=1) @ x - x, axis=1)
    bound = hopfield.retrieval_bound(x, 1.0)
    # Rounding of a sum of 200 patterns is not the theorem's affair.
    assert (error <= bound + 1e-12).all()
    if features == 32:
        far = (error > 1e-10) & (error < 1e-2)
        slope = np.polyfit(hopfield.separation(x)[far], np.log(error[far]), 1)[0]
        assert slope == pytest.approx(-1, abs=0.15)


def test_separation_by_hand_and_its_sign():
    x = np.array([[3.0, 0.0], [1.0, 0.0], [0.0, 2.0]])
    assert hopfield.separation(x).tolist() == [6.0, -2.0, 4.0]
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(2, 2)))[0]
    np.testing.assert_allclose(hopfield.separation(x @ turn), [6.0, -2.0, 4.0])
    # A colder softmax retrieves better, where a pattern is separated.
    cold, warm = (hopfield.retrieval_bound(x, b) for b in (2.0, 1.0))
    assert (cold < warm).tolist() == [True, False, True]


@pytest.mark.parametrize(
    "call",
    [
        lambda: hopfield.separation(np.ones((1, 3))),
        lambda: hopfield.separation(np.full((2, 3), np.nan)),
        lambda: hopfield.retrieval_bound(np.eye(2), 0.0),
    ],
)
def test_bad_arguments_are_refused(call):
    with pytest.raises(ValueError, match=r"must .*, got"):
        call()

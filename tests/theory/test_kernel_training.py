import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chymist.theory.kernel_training import learnt_share, predict


@given(st.floats(0, 1.999), st.integers(0, 60))
def test_the_share_is_what_updates_learn(part, steps):
    left = 1.0
    for _ in range(steps):
        left -= part * left
    found = learnt_share(np.array([part]), 1.0, np.array([steps]))
    assert found.item() == pytest.approx(1 - left, abs=1e-9)


def test_small_shares_keep_their_digits_and_endless_training_learns_all():
    assert learnt_share(np.array([1e-18]), 1.0, np.array([2])).item() == pytest.approx(2e-18)
    end = learnt_share(np.array([0.0, 1e-9, 1.0, 1.7]), 1.0, np.array([np.inf]))
    assert end.tolist() == [[0.0, 1.0, 1.0, 1.0]]


def problem(n=5, p=8, m=3, seed=0):
    generator = np.random.default_rng(seed)
    x, other = generator.normal(size=(n, p)), generator.normal(size=(m, p))
    return x, other, generator.normal(size=n), generator.normal(size=p)


def test_a_linear_model_is_trained_by_its_kernel():
    x, other, y, w = problem()
    lr, start, cross_start = 0.05, x @ w, other @ w
    steps = np.array([0, 1, 3, 40])
    on_train = predict(x @ x.T, y, lr, steps, start=start)
    elsewhere = predict(
        x @ x.T, y, lr, steps, start=start, cross=other @ x.T, cross_start=cross_start
    )
    for step in range(41):
        if step in steps:
            row = steps.tolist().index(step)
            np.testing.assert_allclose(on_train[row], x @ w, atol=1e-10)
            np.testing.assert_allclose(elsewhere[row], other @ w, atol=1e-10)
        w = w - lr * x.T @ (x @ w - y)


def test_it_ends_at_the_interpolant_of_least_norm():
    x, other, y, _ = problem()
    end = predict(x @ x.T, y, 0.01, np.array([np.inf]), cross=other @ x.T)[0]
    np.testing.assert_allclose(end, other @ np.linalg.pinv(x) @ y, atol=1e-10)


def test_what_the_kernel_cannot_express_is_never_learnt():
    x, other, y, _ = problem(n=6, p=2)
    end = predict(x @ x.T, y, 0.01, np.array([np.inf]))[0]
    np.testing.assert_allclose(end, x @ np.linalg.pinv(x) @ y, atol=1e-10)
    away = predict(x @ x.T, y, 0.01, np.array([np.inf]), cross=other @ x.T)[0]
    np.testing.assert_allclose(away, other @ np.linalg.pinv(x) @ y, atol=1e-10)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kernel": np.ones((2, 3))}, "must be square, got"),
        ({"kernel": np.array([[1.0, 0.5], [0.0, 1.0]])}, "must be symmetric, got a defect of 0.5"),
        ({"target": np.array([np.nan, 0.0])}, "target must be finite, got nan"),
        ({"kernel": np.diag([np.nan, 1.0])}, "kernel must be finite, got nan"),
        ({"lr": 0.0}, "lr must be positive, got 0"),
        ({"step": np.array([1.5])}, "step must be a whole number from 0, got 1.5"),
        ({"step": np.array([-1])}, "step must be a whole number from 0, got -1"),
    ],
)
def test_bad_arguments_are_refused(change, message):
    good = {"kernel": np.eye(2), "target": np.ones(2), "lr": 0.1, "step": np.array([1])}
    with pytest.raises(ValueError, match=message):
        predict(**{**good, **change})

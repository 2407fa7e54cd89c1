import numpy as np
import pytest

from chymist.theory import double_descent

SIGNAL, NOISE, N = 1.6, 0.25, 200


def risks(ratio, ridge, draws=30):
    generator = np.random.default_rng(int(100 * ratio))
    p = int(ratio * N)
    found = []
    for _ in range(draws):
        beta = generator.normal(size=p)
        beta *= (SIGNAL / (beta @ beta)) ** 0.5
        x = generator.normal(size=(N, p))
        y = x @ beta + NOISE**0.5 * generator.normal(size=N)
        if p <= N:
            estimate = np.linalg.solve(x.T @ x + N * ridge * np.eye(p), x.T @ y)
        else:
            estimate = x.T @ np.linalg.solve(x @ x.T + N * ridge * np.eye(N), y)
        found.append(((estimate - beta) ** 2).sum())
    return np.mean(found), np.std(found, ddof=1) / draws**0.5


@pytest.mark.parametrize("ratio", [0.2, 0.5, 0.8, 1.25, 2.0, 4.0])
def test_the_risk_of_drawn_regressions(ratio):
    mean, error = risks(ratio, 0.0)
    expected = sum(double_descent.least_norm(ratio, SIGNAL, NOISE))
    # Finite n shifts it by order 1/(n |1 - ratio|).
    assert abs(mean - expected) < 4.5 * error + 0.02 * expected


@pytest.mark.parametrize("ratio", [0.5, 1.0, 3.0])
def test_the_best_ridge_of_drawn_regressions(ratio):
    ridge, expected = double_descent.best_ridge(ratio, SIGNAL, NOISE)
    mean, error = risks(ratio, ridge)
    assert abs(mean - expected) < 4.5 * error + 0.01 * expected
    for factor in (0.2, 5.0):
        assert risks(ratio, ridge * factor)[0] > mean


def test_the_peak_is_at_one_and_ridge_takes_it_away():
    assert np.isinf(double_descent.least_norm(1.0, 1.0, 0.1).variance)
    assert double_descent.least_norm(1.0, 1.0, 0.0).variance == 0
    ratios = np.linspace(0.1, 5, 60)
    tuned = np.array([double_descent.best_ridge(r, SIGNAL, NOISE)[1] for r in ratios])
    assert (np.diff(tuned) > 0).all()
    plain = sum(double_descent.least_norm(ratios, SIGNAL, NOISE))
    assert (tuned <= plain).all()
    assert sum(double_descent.least_norm(1e6, SIGNAL, NOISE)) == pytest.approx(SIGNAL, rel=1e-5)


@pytest.mark.parametrize(
    "call",
    [
        lambda: double_descent.least_norm(0.0, 1.0, 1.0),
        lambda: double_descent.least_norm(1.0, -1.0, 1.0),
        lambda: double_descent.least_norm(1.0, 1.0, np.nan),
        lambda: double_descent.best_ridge(1.0, 0.0, 1.0),
        lambda: double_descent.best_ridge(0.0, 1.0, 1.0),
        lambda: double_descent.best_ridge(1.0, 1.0, 0.0),
    ],
)
def test_bad_arguments_are_refused(call):
    with pytest.raises(ValueError, match=r"must .*, got"):
        call()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: double_descent.best_ridge(0.0, 1.0, 1.0), "^ratio must"),
        (lambda: double_descent.best_ridge(1.0, 1.0, 0.0), "^noise must"),
    ],
)
def test_the_argument_at_fault_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()

import numpy as np
import pytest

from chymist.theory import early_stopping as stop

N, LR, NOISE = 12, 0.8, 0.4
STEPS = np.array([0, 1, 4, 20, 2000])


def setting(seed=0):
    generator = np.random.default_rng(seed)
    root = generator.normal(size=(N, N))
    values, vectors = np.linalg.eigh(root @ root.T)
    signal = 3 * vectors @ (generator.normal(size=N) * np.linspace(0, 1, N) ** 4)
    lr = LR * N / values[-1]
    return values, vectors, signal, lr


def trained(kernel, y, lr):
    """Outputs of kernel gradient descent from 0, update by update, at STEPS."""
    f, found = np.zeros_like(y), []
    for step in range(STEPS[-1] + 1):
        if step in STEPS:
            found.append(f)
        f = f - lr * (f - y) @ kernel / N
    return np.array(found)


def test_the_expected_risk_is_the_mean_over_noises():
    values, vectors, signal, lr = setting()
    kernel = (vectors * values) @ vectors.T
    noises = NOISE * np.random.default_rng(1).normal(size=(4000, N))
    risks = ((trained(kernel, signal + noises, lr) - signal) ** 2).sum(-1)
    remaining = stop.left(values, lr, STEPS, N)
    expected = stop.expected_risk(remaining, vectors.T @ signal, NOISE)
    error = risks.std(1, ddof=1) / 4000**0.5
    assert (abs(risks.mean(1) - expected.total) < 4.5 * error + 1e-9).all()
    np.testing.assert_allclose(expected.total, expected.bias + expected.variance)
    assert expected.total.argmin() in (1, 2, 3)


def test_the_realised_risk_is_exact_for_each_noise():
    values, vectors, signal, lr = setting(2)
    y = signal + NOISE * np.random.default_rng(3).normal(size=N)
    outputs = trained((vectors * values) @ vectors.T, y, lr)
    remaining = stop.left(values, lr, STEPS, N)
    found = stop.realised_risk(remaining, vectors.T @ signal, vectors.T @ y)
    np.testing.assert_allclose(found, ((outputs - signal) ** 2).sum(-1), atol=1e-9)


def test_freedom_is_the_trace_of_the_map_from_labels_to_outputs():
    values, vectors, _, lr = setting()
    matrices = trained((vectors * values) @ vectors.T, np.eye(N), lr)
    found = stop.degrees_of_freedom(stop.left(values, lr, STEPS, N))
    np.testing.assert_allclose(found, np.trace(matrices, axis1=1, axis2=2), atol=1e-9)


def test_the_unbiased_risk_is_unbiased():
    values, vectors, signal, lr = setting()
    noises = NOISE * np.random.default_rng(4).normal(size=(4000, N))
    y = signal + noises
    residual = ((trained((vectors * values) @ vectors.T, y, lr) - y) ** 2).sum(-1)
    remaining = stop.left(values, lr, STEPS, N)
    freedom = stop.degrees_of_freedom(remaining)
    estimates = stop.unbiased_risk(residual, freedom[:, None], N, NOISE)
    truth = stop.expected_risk(remaining, vectors.T @ signal, NOISE).total / N
    error = estimates.std(1, ddof=1) / 4000**0.5
    assert (abs(estimates.mean(1) - truth) < 4.5 * error).all()


def test_cross_validation_is_leaving_one_out_where_all_points_are_alike():
    # For a circulant smoother each point has the same weight on itself, and the score is the mean
    # square of the errors (y_i - f_i)/(1 - A_ii).
    shift = np.arange(N)[:, None] - np.arange(N)
    kernel = 2 + np.cos(2 * np.pi * shift / N) + 0.3 * np.cos(4 * np.pi * shift / N)
    y = np.random.default_rng(5).normal(size=N)
    smoother = trained(kernel, np.eye(N), 0.3)[3]
    errors = (y - smoother @ y) / (1 - np.diag(smoother))
    found = stop.cross_validation_score(((y - smoother @ y) ** 2).sum(), np.trace(smoother), N)
    assert found == pytest.approx((errors**2).mean())
    assert stop.cross_validation_score(np.array([1.0]), np.array([4.0]), 4).tolist() == [np.inf]


@pytest.mark.parametrize(
    "call",
    [
        lambda: stop.left(np.ones(1), 0.0, STEPS, N),
        lambda: stop.left(np.ones(1), 1.0, np.array([0.5]), N),
        lambda: stop.left(np.ones(1), 1.0, STEPS, 0),
        lambda: stop.expected_risk(np.ones((1, 1)), np.ones(1), -1.0),
        lambda: stop.unbiased_risk(np.ones(1), np.ones(1), 0, 1.0),
        lambda: stop.unbiased_risk(np.ones(1), np.ones(1), 1, np.nan),
        lambda: stop.cross_validation_score(np.ones(1), np.ones(1), 0),
    ],
)
def test_bad_arguments_are_refused(call):
    with pytest.raises(ValueError, match=r"must .*, got"):
        call()

import numpy as np
import pytest
from scipy.linalg import eigh

from chymist.theory import sgd_stability

PAIR = np.array([0.2, 3.8])
ONE_DIMENSION = PAIR[:, None, None]


def gaussian_rows(samples, features, seed=0):
    return np.random.default_rng(seed).normal(size=(samples, features)) / features**0.5


def written_out(hessians, lr, noise):
    """The map on second moments as a matrix on vec(C), from Kronecker products."""
    p = hessians.shape[-1]
    mean = hessians.mean(0)
    calm = np.eye(p) - lr * mean
    spread = np.mean([np.kron(h - mean, h - mean) for h in hessians], axis=0)
    return np.kron(calm, calm) + lr**2 * noise * spread


@pytest.mark.parametrize(("batch", "samples"), [(1, 7), (3, 7), (7, 7), (1, 1)])
def test_the_noise_is_the_variance_of_a_batch_mean(batch, samples):
    from itertools import combinations

    values = np.random.default_rng(1).normal(size=samples)
    means = [np.mean(c) for c in combinations(values, batch)]
    expected = np.var(means) / (np.var(values) or 1)
    assert sgd_stability.sampling_noise(batch, samples) == pytest.approx(expected, abs=1e-12)


def test_the_noise_of_drawing_with_replacement():
    values = np.array([0.0, 1.0, 5.0])
    means = np.add.outer(values, values).ravel() / 2
    expected = np.var(means) / np.var(values)
    assert sgd_stability.sampling_noise(2, 3, replacement=True) == pytest.approx(expected)


@pytest.mark.parametrize("features", [3, 12])
@pytest.mark.parametrize("noise", [0.0, 0.2, 1.0])
def test_the_radius_is_that_of_the_map_written_out(features, noise):
    rows = gaussian_rows(5, features)
    hessians = rows[:, :, None] * rows[:, None, :]
    expected = abs(np.linalg.eigvals(written_out(hessians, 0.7, noise))).max()
    found = sgd_stability.second_moment_radius(hessians, 0.7, noise)
    assert found == pytest.approx(expected, rel=1e-9)


def test_the_radius_is_the_growth_of_simulated_second_moments():
    rows, lr, batch = gaussian_rows(4, 2, seed=3), 1.6, 1
    hessians = rows[:, :, None] * rows[:, None, :]
    noise = sgd_stability.sampling_noise(batch, 4)
    rho = sgd_stability.second_moment_radius(hessians, lr, noise)
    generator = np.random.default_rng(0)
    # The mean over all batch sequences, by enumeration: four steps of four choices from each state.
    w = generator.normal(size=(400_000, 2))
    square = []
    for _ in range(8):
        g = rows[generator.integers(4, size=len(w))]
        w = w - lr * g * (g * w).sum(1, keepdims=True)
        square.append((w**2).sum(1))
    ratio = square[7].mean() / square[6].mean()
    groups = np.array_split(np.arange(len(w)), 40)
    spread = np.std([square[7][i].mean() / square[6][i].mean() for i in groups], ddof=1) / 40**0.5
    assert abs(ratio - rho) < 4 * spread + 0.01 * rho


def test_one_dimension_has_its_closed_form():
    lr = sgd_stability.largest_stable_lr(ONE_DIMENSION, 1.0)
    a, s = PAIR.mean(), PAIR.std()
    assert lr == pytest.approx(2 * a / (a**2 + s**2))
    assert sgd_stability.second_moment_radius(ONE_DIMENSION, 0.3, 0.5) == pytest.approx(
        (1 - 0.3 * a) ** 2 + 0.3**2 * s**2 * 0.5
    )


@pytest.mark.parametrize("noise", [0.05, 0.5, 1.0])
def test_the_largest_step_solves_the_generalised_eigenproblem(noise):
    # lr A - lr^2 B has to be positive: lr = 1 / lambda_max(B, A).
    rows = gaussian_rows(6, 3, seed=4)
    hessians = rows[:, :, None] * rows[:, None, :]
    mean, eye = hessians.mean(0), np.eye(3)
    a = np.kron(mean, eye) + np.kron(eye, mean)
    b = np.kron(mean, mean) + written_out(hessians, 1.0, noise) - written_out(hessians, 1.0, 0.0)
    expected = 1 / eigh(b, a, eigvals_only=True)[-1]
    assert sgd_stability.largest_stable_lr(hessians, noise) == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("batch", [1, 2, 5, 10])
def test_the_trace_bound_and_that_of_gradient_descent_hold(seed, batch):
    hessians = sgd_stability.rank_one_hessians(gaussian_rows(10, 30, seed))
    noise = sgd_stability.sampling_noise(batch, 10)
    lr = sgd_stability.largest_stable_lr(hessians, noise)
    mean = hessians.mean(0)
    assert lr <= 2 / np.linalg.eigvalsh(mean)[-1] * (1 + 1e-9)
    if noise:
        assert np.trace(mean) <= sgd_stability.trace_bound(lr, noise) * (1 + 1e-9)
        # Equal row norms make it tight for single samples, up to the bound's own proof.
        square = np.trace(hessians, axis1=1, axis2=2)
        frobenius = (mean**2).sum()
        sharper = 2 * np.trace(mean) / (noise * np.mean(square**2) + (1 - noise) * frobenius)
        assert lr <= sharper * (1 + 1e-9) <= 2 / (noise * np.trace(mean)) * (1 + 1e-8)


def test_equal_orthogonal_rows_reach_the_trace_bound():
    hessians = sgd_stability.rank_one_hessians(np.eye(6))
    lr = sgd_stability.largest_stable_lr(hessians, 1.0)
    assert np.trace(hessians.mean(0)) == pytest.approx(sgd_stability.trace_bound(lr, 1.0))


def test_the_row_space_keeps_the_radius():
    rows = gaussian_rows(3, 7)
    rows = np.vstack([rows, rows[0] + rows[1]])  # dependent: rank 3
    small = sgd_stability.rank_one_hessians(rows)
    assert small.shape == (4, 3, 3)
    big = rows[:, :, None] * rows[:, None, :]
    # At a step where the map grows, the idle directions (factor 1) do not decide.
    found = sgd_stability.second_moment_radius(small, 4.0, 1.0)
    assert found > 1
    assert found == pytest.approx(sgd_stability.second_moment_radius(big, 4.0, 1.0), rel=1e-9)


def test_the_frobenius_bound_follows_from_one_step_of_the_loss():
    rows = gaussian_rows(5, 3, seed=2)
    hessians = rows[:, :, None] * rows[:, None, :]
    mean, lr, noise = hessians.mean(0), 0.8, 0.5
    w = np.array([1.0, -2.0, 0.5])
    residual = rows @ w
    loss = (residual**2).mean() / 2
    sigma = (residual**2 * rows.T) @ rows / 5 - np.outer(mean @ w, mean @ w)
    mu = np.trace(sigma @ mean) / (2 * loss * (mean**2).sum())
    calm = (np.eye(3) - lr * mean) @ w
    grown = (calm @ mean @ calm + lr**2 * noise * np.trace(mean @ sigma)) / 2 / loss
    norm = (mean**2).sum() ** 0.5
    assert grown >= (norm / sgd_stability.frobenius_bound(lr, noise, mu)) ** 2
    without_drift = lr**2 * noise * np.trace(mean @ sigma) / 2 / loss
    assert (norm / sgd_stability.frobenius_bound(lr, noise, mu)) ** 2 == pytest.approx(
        without_drift
    )


def test_almost_sure_growth_and_escape_of_the_published_example():
    rate = sgd_stability.lyapunov_exponent(PAIR, 0.7)
    assert rate == pytest.approx((np.log(0.86) + np.log(1.66)) / 2)
    generator = np.random.default_rng(0)
    for distance in (1e-2, 1e-5, 1e-8):
        steps = np.log(abs(1 - 0.7 * generator.choice(PAIR, size=(4000, 400)))).cumsum(1)
        escaped = np.log(distance) + steps > np.log(0.42)
        median = np.median(np.where(escaped.any(1), escaped.argmax(1) + 1, 400))
        predicted = sgd_stability.escape_time(PAIR, 0.7, distance, 0.42)
        assert median == pytest.approx(predicted, rel=0.12)


def test_mean_square_and_almost_sure_thresholds_differ_as_published():
    assert sgd_stability.lyapunov_exponent(PAIR, 0.5594) < 0
    assert sgd_stability.lyapunov_exponent(PAIR, 0.5596) > 0
    assert sgd_stability.escape_time(PAIR, 0.55, 1e-3, 0.4) == np.inf


def test_a_rectangle_in_one_dimension():
    # At vanishing sharpness mean-square stability is lr^2 c s^2 <= 1 exactly.
    s = sgd_stability.nonuniformity_bound(0.4, 0.3)
    hessians = np.array([s, -s])[:, None, None]
    assert sgd_stability.second_moment_radius(hessians, 0.4, 0.3) - 1 == pytest.approx(1)


@pytest.mark.parametrize(
    "call",
    [
        lambda: sgd_stability.sampling_noise(0, 5),
        lambda: sgd_stability.sampling_noise(6, 5),
        lambda: sgd_stability.nonuniformity_bound(0.0, 1.0),
        lambda: sgd_stability.nonuniformity_bound(1.0, -1.0),
        lambda: sgd_stability.frobenius_bound(1.0, 1.0, 0.0),
        lambda: sgd_stability.trace_bound(1.0, 0.0),
        lambda: sgd_stability.rank_one_hessians(np.array([[np.nan]])),
        lambda: sgd_stability.second_moment_radius(ONE_DIMENSION, 0.0, 1.0),
        lambda: sgd_stability.second_moment_radius(ONE_DIMENSION, 1.0, -1.0),
        lambda: sgd_stability.second_moment_radius(np.array([[[1.0, 2.0], [0.0, 1.0]]]), 1.0, 1.0),
        lambda: sgd_stability.largest_stable_lr(np.diag([1.0, 0.0])[None], 1.0),
        lambda: sgd_stability.lyapunov_exponent(PAIR, -1.0),
        lambda: sgd_stability.escape_time(PAIR, 0.7, 0.0, 1.0),
        lambda: sgd_stability.escape_time(PAIR, 0.7, 2.0, 1.0),
        lambda: sgd_stability.sampling_noise(1, 1.5, replacement=True),
        lambda: sgd_stability.frobenius_bound(0.0, 1.0),
        lambda: sgd_stability.frobenius_bound(1.0, 0.0),
        lambda: sgd_stability.trace_bound(0.0, 1.0),
        lambda: sgd_stability.escape_time(PAIR, 0.7, 0.5, np.inf),
        lambda: sgd_stability.second_moment_radius(ONE_DIMENSION * np.nan, 1.0, 1.0),
    ],
)
def test_what_has_no_meaning_is_refused(call):
    with pytest.raises(ValueError, match=r"(must|cannot) "):
        call()


@pytest.mark.parametrize("features", [3, 12])
@pytest.mark.parametrize("noise", [0.0, 0.2, 1.0])
def test_the_radius_of_a_kernel_is_that_of_its_hessians(features, noise):
    rows = gaussian_rows(9, features, seed=2)
    hessians = sgd_stability.rank_one_hessians(rows)
    expected = sgd_stability.second_moment_radius(hessians, 2.5, noise)
    # With fewer features than samples some directions are not acted on: they keep their size.
    if features < 9:
        expected = max(expected, 1.0)
    found = sgd_stability.kernel_radius(rows @ rows.T, 2.5, noise)
    assert found == pytest.approx(expected, rel=1e-5)


def test_the_mean_loss_is_that_of_all_sequences_of_batches():
    from itertools import combinations, product

    rows, lr, batch = gaussian_rows(4, 6, seed=5), 1.1, 2
    kernel, start = rows @ rows.T, np.array([0.3, -1.0, 0.5, 0.2])
    losses = []
    for picks in product(combinations(range(4), batch), repeat=3):
        r = start
        for pick in picks:
            r = r - lr * kernel[:, list(pick)] @ r[list(pick)] / batch
        losses.append((r**2).sum() / 8)
    noise = sgd_stability.sampling_noise(batch, 4)
    found = sgd_stability.mean_losses(kernel, start, lr, noise, 3)
    assert found[0] == pytest.approx((start**2).sum() / 8)
    assert found[3] == pytest.approx(np.mean(losses), rel=1e-12)


def test_the_mean_loss_grows_by_the_radius_in_the_long_run():
    rows = gaussian_rows(6, 8, seed=6)
    kernel, lr = rows @ rows.T, 4.0
    losses = sgd_stability.mean_losses(kernel, np.ones(6), lr, 1.0, 200)
    radius = sgd_stability.kernel_radius(kernel, lr, 1.0)
    assert losses[200] / losses[199] == pytest.approx(radius, rel=1e-5)


def test_on_the_curve_one_dimension_is_just_stable():
    lr, noise = 0.7, 0.3
    for a in (0.4, 1 / lr, 2.5):
        s = float(sgd_stability.nonuniformity_curve(a, lr, noise))
        pair = np.array([a - s, a + s])[:, None, None]
        assert sgd_stability.second_moment_radius(pair, lr, noise) == pytest.approx(1)
    at_top = sgd_stability.nonuniformity_curve(1 / lr, lr, noise)
    assert at_top == pytest.approx(sgd_stability.nonuniformity_bound(lr, noise))


def test_a_kernel_must_be_positive():
    with pytest.raises(ValueError, match="negative eigenvalue"):
        sgd_stability.kernel_radius(np.diag([1.0, -1.0]), 0.1, 1.0)

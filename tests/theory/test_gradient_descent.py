from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import xarray as xr

from chymist.theory import gradient_descent


def named(values, **coords):
    return xr.DataArray(values, dims=tuple(coords), coords=coords)


def random_kernel(n, seed=0):
    root = np.random.default_rng(seed).normal(size=(n, n))
    return root @ root.T


def sobolev_matrix(n, s):
    """M with r^T M r / n = sum_k (1 + k^2)^s |hat r(k)|^2, entry by entry from cosines."""
    j = np.arange(n)
    k = np.concatenate([np.arange((n + 1) // 2), -np.arange(1, n // 2 + 1)])
    waves = np.cos(2 * np.pi * k * (j[:, None, None] - j[None, :, None]) / n)
    return (waves * (1 + k.astype(float) ** 2) ** s).sum(-1) / n


def test_error_is_what_gradient_descent_on_a_quadratic_leaves():
    eigenvalue, lr = np.array([0.3, 1.7, 2.5]), 0.6
    residual = np.ones(3)
    left = [residual]
    for _ in range(5):
        residual = residual - lr * eigenvalue * residual
        left.append(residual)
    predicted = gradient_descent.error(
        lr, named(eigenvalue, k=[1, 2, 3]), named(np.arange(6), step=np.arange(6))
    )
    assert predicted.dims == ("k", "step")
    np.testing.assert_allclose(predicted.T, np.abs(left), rtol=1e-12)


def test_dimensions_join_by_name():
    error = gradient_descent.error(
        named([0.1, 0.2], seed=[0, 1]), named([1.0, 2.0, 3.0], k=[1, 2, 3]),
        named([0, 4], step=[0, 4]),
    )  # fmt: skip
    assert error.sizes == {"seed": 2, "k": 3, "step": 2}
    assert float(error.sel(seed=1, k=3, step=4)) == pytest.approx(0.4**4)
    assert error.dtype == np.float64


def test_single_precision_eigenvalues_are_taken_to_double():
    value = xr.DataArray(np.float32(1e-4))
    assert gradient_descent.error(1.0, value, xr.DataArray(1)).dtype == np.float64


@pytest.mark.parametrize("threshold", [0.5, 0.1, 1e-3])
@pytest.mark.parametrize("rate", [0.001, 0.3, 0.999, 1.5])
def test_time_is_when_the_error_meets_the_threshold(rate, threshold):
    time = gradient_descent.time_to_learn(rate, xr.DataArray(1.0), threshold)
    left = gradient_descent.error(rate, xr.DataArray(1.0), time)
    assert float(left) == pytest.approx(threshold, rel=1e-9)


def test_the_first_whole_step_below_the_threshold_is_less_than_one_later():
    rates = named(np.linspace(0.002, 0.9, 200), k=np.arange(200))
    step = named(np.arange(2000), step=np.arange(2000))
    below = gradient_descent.error(1.0, rates, step) < 0.1
    late = below.argmax("step") - gradient_descent.time_to_learn(1.0, rates)
    assert float(late.min()) > 0
    assert float(late.max()) < 1


def test_time_at_a_rate_of_one_step_is_zero():
    assert float(gradient_descent.time_to_learn(1.0, xr.DataArray(1.0))) == 0


@pytest.mark.parametrize("rate", [0.0, 2.0, 3.0, -0.1])
def test_what_is_never_learnt_has_no_time(rate):
    assert np.isnan(gradient_descent.time_to_learn(1.0, xr.DataArray(rate)))


@pytest.mark.parametrize("threshold", [0.0, 1.0, -1.0, 2.0])
def test_a_threshold_outside_zero_to_one_is_refused(threshold):
    with pytest.raises(ValueError, match="threshold"):
        gradient_descent.time_to_learn(1.0, xr.DataArray(1.0), threshold)


def test_small_rates_give_a_power_law():
    k = np.array([40.0, 80.0, 160.0])
    eigenvalue = named(1e-6 * k**-2, k=k)
    for s, exponent in ((0.0, 2.0), (1.0, 0.0), (2.0, -2.0)):
        rate = gradient_descent.sobolev(eigenvalue, s)
        time = gradient_descent.time_to_learn(1e-3, rate)
        slope = np.polyfit(np.log(k), np.log(time), 1)[0]
        assert slope == pytest.approx(exponent, abs=0.001)


@pytest.mark.parametrize("n", [8, 9])
@pytest.mark.parametrize("s", [-0.5, 0.0, 1.0, 2.0])
def test_step_size_against_a_dense_matrix(n, s):
    kernel = random_kernel(n)
    largest = np.linalg.eigvals(kernel @ sobolev_matrix(n, s) / n).real.max()
    step = gradient_descent.step_size(named(kernel, sample=range(n), other=range(n)), s, 0.5)
    assert float(step) == pytest.approx(1 / largest, rel=1e-9)


def test_step_size_for_several_kernels_and_exponents():
    kernels = named(
        [random_kernel(6, seed) for seed in range(3)], seed=range(3), sample=range(6),
        other=range(6),
    )  # fmt: skip
    step = gradient_descent.step_size(kernels, named([0.0, 1.0], s=[0.0, 1.0]))
    assert step.sizes == {"seed": 3, "s": 2}
    alone = gradient_descent.step_size(kernels.isel(seed=2), 1.0)
    assert float(step.sel(seed=2, s=1.0)) == pytest.approx(float(alone))
    assert step.attrs["units"] == "1"


@pytest.mark.parametrize("fraction", [0.75, 0.99])
def test_the_step_is_stable_and_beyond_it_training_diverges(fraction):
    n, s = 8, 1.0
    kernel = random_kernel(n)
    operator = kernel @ sobolev_matrix(n, s) / n
    lr = float(
        gradient_descent.step_size(named(kernel, sample=range(n), other=range(n)), s, fraction)
    )
    step = np.linalg.matrix_power(np.eye(n) - lr * operator, 4000)
    assert np.abs(step).max() < 10
    beyond = np.linalg.matrix_power(np.eye(n) - 1.05 / fraction * lr * operator, 4000)
    assert np.abs(beyond).max() > 1e6


def test_theory_needs_no_torch():
    code = "import sys, chymist.theory.gradient_descent; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_residuals_follow_the_eigenvectors_of_any_kernel():
    n, steps, lr = 12, 40, 0.3
    kernels = np.stack([random_kernel(n, seed) for seed in range(3)])
    start = np.random.default_rng(9).normal(size=(3, n))
    found = gradient_descent.residuals(kernels, start, np.array([lr, lr / 2, lr / 4]), steps)
    assert found.shape == (3, steps + 1, n)
    for i in range(3):
        values, vectors = np.linalg.eigh(kernels[i] / n)
        factor = (1 - lr / 2**i * values) ** steps
        expected = vectors @ (factor * (vectors.T @ start[i]))
        np.testing.assert_allclose(found[i, -1], expected, atol=1e-10)
        np.testing.assert_array_equal(found[i, 0], start[i])

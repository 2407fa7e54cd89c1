import numpy as np
import pytest

from chymist import solvers
from chymist.instruments import dst_modes
from chymist.theory import relaxation


@pytest.mark.parametrize("omega", [2 / 3, 1.0])
def test_every_sine_is_multiplied_by_its_factor(omega):
    n = 12
    inside = np.arange(1, n) / n
    for k in range(1, n):
        wave = np.sin(k * np.pi * inside)
        factor = relaxation.jacobi_factor(k, intervals=n, omega=omega)
        swept = solvers.jacobi(wave, np.zeros(n - 1), 1, omega)
        np.testing.assert_allclose(swept, factor * wave, atol=1e-14)
        for m in (1, 5, n - 1):
            plane = np.outer(wave, np.sin(m * np.pi * inside))
            factor = relaxation.jacobi_factor(k, m, intervals=n, omega=omega)
            swept = solvers.jacobi(plane, np.zeros_like(plane), 1, omega)
            np.testing.assert_allclose(swept, factor * plane, atol=1e-14)


@pytest.mark.parametrize("k", [1, 3, 7])
def test_gauss_seidel_has_eigenvectors_of_its_own(k):
    n, angle = 16, k * np.pi / 16
    j = np.arange(1, n)
    mode, zero = np.cos(angle) ** j * np.sin(j * angle), np.zeros(n - 1)
    factor = relaxation.gauss_seidel_factor(k, intervals=n)
    np.testing.assert_allclose(solvers.gauss_seidel(mode, zero), factor * mode, atol=1e-14)
    sine = np.sin(j * angle)
    assert abs(solvers.gauss_seidel(sine, zero) - factor * sine).max() > 0.005


@pytest.mark.parametrize("eps", [0.3, 1e-2, 1e-5])
def test_the_sweeps_needed_are_those_that_sweeping_finds(eps):
    n = 16
    b = np.random.default_rng(0).normal(size=(n - 1, n - 1))
    exact, zero = solvers.poisson_dst(b), np.zeros_like(b)
    k = np.arange(1, n)
    factor = relaxation.jacobi_factor(k[:, None], k, intervals=n, omega=0.9)
    needed = relaxation.sweeps_needed(dst_modes(-exact, 2), factor, eps)
    assert needed == solvers.jacobi_until(zero, b, exact, eps, 0.9)[0]


def test_sweeps_that_never_suffice_are_refused():
    assert relaxation.sweeps_needed(np.array([0.5]), np.array([1.0]), 1.0) == 0
    with pytest.raises(ValueError, match=r"not below 0\.1 after 100 sweeps"):
        relaxation.sweeps_needed(np.array([1.0]), np.array([1.0]), 0.1, limit=100)

import numpy as np
import pytest
from scipy.special import erf

from chymist.theory import saddles

VALUES = np.array([4.0, 1.0, 3.0, 2.0])


def energy(u):
    return ((np.diag(VALUES) - np.outer(u, u)) ** 2).sum() / 4


def gradient(u):
    return (u @ u) * u - VALUES * u


def test_they_are_critical_with_these_energies_and_hessians():
    found = saddles.autoencoder_critical_points(VALUES)
    for point in found:
        np.testing.assert_allclose(gradient(point.u), 0, atol=1e-12)
        assert energy(point.u) == pytest.approx(point.energy)
        h = 1e-5
        hessian = [
            (gradient(point.u + h * e) - gradient(point.u - h * e)) / (2 * h) for e in np.eye(4)
        ]
        assert (np.linalg.eigvalsh(np.array(hessian)) < 0).sum() == point.downhill
    assert sorted(p.downhill for p in found) == [0, 0, 1, 1, 2, 2, 3, 3, 4]


def test_the_gradient_used_here_is_that_of_the_energy():
    u, h = np.array([0.3, -1.0, 0.7, 2.0]), 1e-6
    slope = [(energy(u + h * e) - energy(u - h * e)) / (2 * h) for e in np.eye(4)]
    np.testing.assert_allclose(gradient(u), slope, atol=1e-7)


def test_newton_finds_no_others():
    known = np.array([p.u for p in saddles.autoencoder_critical_points(VALUES)])
    generator, seen = np.random.default_rng(0), set()
    for _ in range(400):
        u = generator.uniform(0, 2) * generator.normal(size=4)
        for _ in range(60):
            hessian = (u @ u) * np.eye(4) + 2 * np.outer(u, u) - np.diag(VALUES)
            u = u - np.linalg.solve(hessian, gradient(u))
        if abs(gradient(u)).max() < 1e-9:
            distance = np.linalg.norm(known - u, axis=1)
            assert distance.min() < 1e-6
            seen.add(int(distance.argmin()))
    assert len(seen) == len(known)


def test_the_committee_loss_is_the_mean_over_gaussian_inputs():
    generator = np.random.default_rng(1)
    w, v = generator.normal(size=(3, 2)), generator.normal(size=(2, 2))
    x = generator.normal(size=(400_000, 2))
    gap = erf(x @ w.T / 2**0.5).sum(1) - erf(x @ v.T / 2**0.5).sum(1)
    drawn = gap**2 / 2
    assert abs(drawn.mean() - saddles.committee_loss(w, v)) < 4.5 * drawn.std() / len(x) ** 0.5
    # The published symmetric saddle of two units.
    both = np.full((2, 2), 6**-0.5)
    assert saddles.committee_loss(both, np.eye(2)) == pytest.approx(0.01161, abs=5e-6)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: saddles.autoencoder_critical_points(np.array([1.0, 1.0])), "are equal"),
        (lambda: saddles.autoencoder_critical_points(np.array([1.0, 0.0])), "be positive, got 0"),
        (lambda: saddles.committee_loss(np.ones((1, 2)), np.ones((1, 3))), "alike, got"),
        (lambda: saddles.committee_loss(np.full((1, 2), np.nan), np.ones((1, 2))), "got nan"),
        (lambda: saddles.committee_loss(np.ones((1, 2)), np.full((1, 2), np.inf)), "got inf"),
    ],
)
def test_bad_arguments_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()

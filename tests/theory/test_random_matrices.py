import numpy as np
import pytest
from scipy.integrate import quad

from chymist.theory import random_matrices as law

CASES = [(0.3, 1.0), (1.0, 2.0), (3.0, 0.5)]


def drawn(ratio, variance, n=400, seed=0):
    x = np.random.default_rng(seed).normal(size=(n, int(ratio * n))) * variance**0.5
    return np.linalg.eigvalsh(x.T @ x / n)


@pytest.mark.parametrize(("ratio", "variance"), CASES)
def test_eigenvalues_of_a_sample_follow_the_law(ratio, variance):
    values = drawn(ratio, variance)
    low, high = law.edges(ratio, variance)
    bulk = values[values > 1e-9 * high]
    # The largest eigenvalue is Tracy-Widom about the edge, of mean -1.2 and deviation 1.3 in units
    # of Johnstone's scale.
    n, p = 400, int(400 * ratio)
    scale = variance * (n**0.5 + p**0.5) * (n**-0.5 + p**-0.5) ** (1 / 3) / n
    assert -5.5 < (bulk.max() - high) / scale < 3.5
    if ratio != 1:
        assert bulk.min() == pytest.approx(low, rel=0.1)
    assert 1 - len(bulk) / len(values) == pytest.approx(law.mass_at_zero(ratio), abs=2e-3)
    samples = [drawn(ratio, variance, 150, seed) for seed in range(10)]
    for at in np.linspace(low, high, 6)[1:-1]:
        below = quad(law.density, low, at, args=(ratio, variance), limit=200)[0]
        found = np.mean([((v > 1e-9 * high) & (v < at)).mean() for v in samples])
        # Eigenvalues repel: their numbers hardly fluctuate, and the law holds to about one of them.
        assert found == pytest.approx(below, abs=1.5 / len(samples[0]))


@pytest.mark.parametrize(("ratio", "variance"), CASES)
def test_total_mass_and_mean(ratio, variance):
    low, high = law.edges(ratio, variance)
    mass = quad(law.density, low, high, args=(ratio, variance), limit=200)[0]
    mean = quad(lambda x: x * law.density(x, ratio, variance), low, high, limit=200)[0]
    assert mass + law.mass_at_zero(ratio) == pytest.approx(1, abs=1e-6)
    assert mean == pytest.approx(variance, rel=1e-6)


@pytest.mark.parametrize(("ratio", "variance"), CASES)
@pytest.mark.parametrize("z", [-1e-3, -0.5, -20.0])
def test_the_transform_is_the_mean_of_the_resolvent(ratio, variance, z):
    low, high = law.edges(ratio, variance)

    # In the angle of x = middle + half cos: the density's roots at the edges become smooth.
    middle, half = (low + high) / 2, (high - low) / 2

    def along(angle):
        x = middle + half * np.cos(angle)
        return law.density(x, ratio, variance) * half * np.sin(angle) / (x - z)

    direct = quad(along, 0, np.pi, limit=400)[0] - law.mass_at_zero(ratio) / z
    assert law.stieltjes(z, ratio, variance) == pytest.approx(direct, rel=1e-6)


def test_a_sampled_resolvent():
    values = drawn(0.5, 1.0)
    assert np.mean(1 / (values + 0.2)) == pytest.approx(law.stieltjes(-0.2, 0.5), rel=0.01)


@pytest.mark.parametrize(
    "call",
    [
        lambda: law.edges(0.0),
        lambda: law.edges(1.0, -1.0),
        lambda: law.mass_at_zero(-1.0),
        lambda: law.density(np.ones(1), np.nan),
        lambda: law.stieltjes(0.0, 1.0),
        lambda: law.stieltjes(-1.0, 0.0),
        lambda: law.stieltjes(-1.0, 1.0, -1.0),
    ],
)
def test_bad_arguments_are_refused(call):
    with pytest.raises(ValueError, match=r"must be positive, got"):
        call()

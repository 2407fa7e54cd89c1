import numpy as np
import pytest

from chymist.data import box, equation, holed_square, ring, stratified
from chymist.errors import BadParameter

DOMAINS = [box(1), box(2), box(3), ring(), holed_square()]


def inside(domain, x):
    """Whether points are in the closed domain, to rounding."""
    if domain.name == "ring":
        radius = np.hypot(*x.T)
        return (radius > 1 - 1e-9) & (radius < 3 + 1e-9)
    within = abs(x).max(axis=1) <= 1
    if domain.name == "holed":
        for u, v, r in ((-0.5, -0.5, 0.1), (0.5, 0.5, 0.2), (0.5, -0.5, 0.2)):
            within &= np.hypot(x[:, 0] - u, x[:, 1] - v) > r - 1e-9
    return within


@pytest.mark.parametrize("domain", DOMAINS, ids=lambda d: d.name)
@pytest.mark.parametrize("n", [1, 7, 100, 1000])
def test_points_lie_where_they_should(domain, n):
    rng = np.random.default_rng(0)
    x, edge = domain.inside(rng, n), domain.border(rng, n)
    assert x.shape == edge.shape == (n, domain.dims)
    assert inside(domain, x).all()
    assert inside(domain, edge).all()


@pytest.mark.parametrize("domain", DOMAINS, ids=lambda d: d.name)
def test_points_inside_are_even(domain):
    """Means of x^2 over the domain, against a plain Monte Carlo of a box around it."""
    rng = np.random.default_rng(1)
    x = domain.inside(rng, 40_000)
    cube = rng.uniform(-3, 3, (400_000, domain.dims))
    kept = cube[inside(domain, cube)]
    np.testing.assert_allclose((x**2).mean(0), (kept**2).mean(0), rtol=0.03)
    share = len(kept) / len(cube) * 6**domain.dims
    assert domain.volume == pytest.approx(share, rel=0.05)


def test_points_on_the_border_are_on_it():
    rng = np.random.default_rng(2)
    assert box(1).border(rng, 3)[:, 0].tolist() == [-1, 1, -1]
    faces = box(3).border(rng, 600)
    assert (abs(faces).max(axis=1) == 1).all()
    assert [(faces[:, i] == s).sum() for i in range(3) for s in (-1, 1)] == [100] * 6
    radius = np.hypot(*ring().border(rng, 400).T)
    assert np.isclose(radius, 1).sum() == 100
    assert np.isclose(radius, 3).sum() == 300
    edge = holed_square().border(rng, 1000)
    square = (abs(edge).max(axis=1) == 1).sum()
    assert square == pytest.approx(1000 * 8 / (8 + np.pi), abs=1)


@pytest.mark.parametrize(("n", "dims"), [(10, 1), (49, 2), (50, 2), (30, 3)])
def test_every_cell_has_a_point(n, dims):
    side = int(n ** (1 / dims) + 1e-9)
    x = stratified(np.random.default_rng(3), n, dims)
    cells = {tuple(c) for c in (x * side).astype(int).tolist()}
    assert len(x) == n
    assert len(cells) == side**dims
    assert x.min() >= 0
    assert x.max() < 1


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (lambda: ring(3, 1), "radii 3 and 1"),
        (lambda: holed_square([(0.9, 0, 0.2)]), "hole 0.9, 0, 0.2 leaves the square"),
        (lambda: holed_square([(0, 0, 0.3), (0.4, 0, 0.2)]), "holes at 0.4, 0 and 0, 0 meet"),
        (lambda: equation("poisson", 1.0), "unknown equation poisson"),
        (lambda: equation("poisson-line", 0.0), "poisson-line with mu 0 and coefficient 0"),
        (lambda: equation("helmholtz-line", 3.0), "helmholtz-line with mu 3 and coefficient 0"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(make, line):
    with pytest.raises(BadParameter) as caught:
        make()
    assert str(caught.value).startswith(line)
    assert caught.value.hint


def test_steep_solutions_do_not_overflow():
    problem = equation("boltzmann-line", 50.0, 2000.0)
    with np.errstate(over="raise"):
        u = problem.solution(np.linspace(-1, 1, 11)[:, None])
    assert np.isfinite(u).all()
    assert abs(u[[0, -1]]).max() < 1e-12

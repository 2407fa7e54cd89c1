import numpy as np
import pytest

from chymist.data import sphere


def test_points_lie_evenly_on_the_sphere():
    points = sphere(20_000, 3, np.random.default_rng(0), radius=2.0)
    np.testing.assert_allclose(np.linalg.norm(points, axis=1), 2.0, rtol=1e-12)
    # Archimedes: each coordinate of a point on the sphere in space is uniform.
    for axis in points.T:
        heights = np.histogram(axis, bins=8, range=(-2, 2))[0] / len(points)
        np.testing.assert_allclose(heights, 1 / 8, atol=0.01)


def test_the_generator_decides_the_points():
    one, same, other = (sphere(3, 4, np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize("wrong", [{"n": 0}, {"dimension": 0}, {"radius": 0.0}])
def test_no_sphere_without_points_dimension_or_radius(wrong):
    given = {"n": 3, "dimension": 2, "radius": 1.0, **wrong}
    with pytest.raises(ValueError, match="a sphere needs"):
        sphere(rng=np.random.default_rng(0), **given)

import numpy as np
import pytest

from chymist.theory import barron, subspheres


def sphere(n, d, generator):
    x = generator.normal(size=(n, d))
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def circle(n, d):
    angle = 2 * np.pi * (np.arange(n) + 0.5) / n
    v = np.zeros((n, d))
    v[:, 0], v[:, 1] = np.cos(angle), np.sin(angle)
    return v


def test_a_circle_s_inner_products_are_the_mean_over_its_neurons():
    w = np.vstack([sphere(20, 4, np.random.default_rng(0)), circle(3, 4), np.eye(4)])
    expected = barron.inner_product(w, circle(4000, 4)).mean(1)
    share = np.minimum((w[:, :2] ** 2).sum(1), 1)
    np.testing.assert_allclose(subspheres.inner_product(share, 2, 4), expected, rtol=1e-6)
    assert subspheres.inner_product(np.ones(1), 2, 4)[0] == pytest.approx(subspheres.square(2, 4))


@pytest.mark.parametrize("k", [3, 5])
def test_a_subsphere_s_inner_products_are_the_mean_over_drawn_neurons(k):
    generator = np.random.default_rng(k)
    w, v = sphere(4, 5, generator), np.zeros((200_000, 5))
    v[:, :k] = sphere(len(v), k, generator)
    drawn = barron.inner_product(w, v)
    found = subspheres.inner_product(np.minimum((w[:, :k] ** 2).sum(1), 1), k, 5)
    error = drawn.std(1) / len(v) ** 0.5
    assert (abs(drawn.mean(1) - found) < 4.5 * error + 1e-12).all()


@pytest.mark.parametrize("k", [2, 3])
def test_the_slope_is_that_of_the_inner_product(k):
    share, h = np.array([0.1, 0.5, 0.9]), 1e-6
    up, down = (subspheres.inner_product(share + s, k, 4) for s in (h, -h))
    slope = subspheres.inner_product_slope(share, k, 4)
    np.testing.assert_allclose(slope, (up - down) / (2 * h), rtol=1e-8)


def test_the_quadratic_is_the_mean_of_weighted_neurons():
    generator = np.random.default_rng(7)
    w, v = sphere(4, 3, generator), sphere(400_000, 3, generator)
    drawn = barron.inner_product(w, v) * v[:, 0] ** 2
    value, total = subspheres.quadratic(w[:, 0], 3)
    assert (abs(drawn.mean(1) - value) < 4.5 * drawn.std(1) / len(v) ** 0.5).all()
    # E f^2 is the mean of <f, relu(v .)> under the same weights.
    again = subspheres.quadratic(np.clip(v[:, 0], -1, 1), 3)[0] * v[:, 0] ** 2
    assert abs(again.mean() - total) < 4.5 * again.std() / len(v) ** 0.5


@pytest.mark.parametrize("n", [2, 3, 6, 8])
def test_a_polygon_has_this_error(n):
    square = subspheres.square(2, 3)
    v = circle(n, 3)
    gram = barron.inner_product(v, v).mean()
    assert 1 - square / gram == pytest.approx(subspheres.polygon_error(n), rel=1e-8)


@pytest.mark.parametrize(
    "call",
    [
        lambda: subspheres.square(3, 2),
        lambda: subspheres.inner_product(np.array([0.5]), 1, 3),
        lambda: subspheres.inner_product(np.array([1.5]), 2, 3),
        lambda: subspheres.inner_product_slope(np.array([-0.1]), 2, 3),
        lambda: subspheres.quadratic(np.array([2.0]), 3),
        lambda: subspheres.quadratic(np.array([0.0]), 1),
        lambda: subspheres.polygon_error(1),
        lambda: barron.kernel_norm_exponent(3, 2),
    ],
)
def test_bad_arguments_are_refused(call):
    with pytest.raises(ValueError, match=r"must .*, got"):
        call()

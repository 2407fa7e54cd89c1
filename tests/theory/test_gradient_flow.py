import numpy as np
import pytest

from chymist.theory.gradient_flow import gradient_flow
from chymist.theory.stability import product_flow_sharpness


def product_gradient(w):
    x, y = w
    slope = (1 - (x * y) ** 2) * x * y
    return -np.array([slope * y, slope * x])


def test_it_ends_where_the_closed_form_of_the_product_says():
    path = gradient_flow(product_gradient, np.array([6.0, 0.05]), np.array([0.0, 1.0, 40.0]))
    # x^2 - y^2 is conserved.
    np.testing.assert_allclose(path[:, 0] ** 2 - path[:, 1] ** 2, 36 - 0.0025, rtol=1e-7)
    end = 2 * (path[-1] ** 2).sum()
    assert end == pytest.approx(product_flow_sharpness(6.0, 0.05), rel=1e-6)


def test_linear_flow_is_exponential_and_gradient_descent_tends_to_it():
    curvature = np.array([1.0, 30.0])
    times = np.array([0.1, 0.5])
    path = gradient_flow(lambda w: curvature * w, np.ones(2), times)
    np.testing.assert_allclose(path, np.exp(-times[:, None] * curvature), atol=1e-7)
    small = np.ones(2)
    for _ in range(50_000):
        small = small - 1e-5 * curvature * small
    np.testing.assert_allclose(small, path[1], atol=1e-4)


def test_the_start_alone():
    assert gradient_flow(lambda w: w, np.ones(2), np.zeros(1)).tolist() == [[1.0, 1.0]]


@pytest.mark.parametrize("times", [[1.0, 1.0], [-1.0, 1.0], []])
def test_times_that_do_not_increase_are_refused(times):
    with pytest.raises(ValueError, match="times must"):
        gradient_flow(lambda w: w, np.ones(1), np.array(times))


def test_a_flow_that_leaves_all_numbers_is_an_error():
    with pytest.raises(ArithmeticError, match="cannot be followed"), np.errstate(all="ignore"):
        gradient_flow(lambda w: -(w**3), np.ones(1), np.array([1.0]))

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from chymist.theory import stability

LR = 0.3
METHODS = [
    (stability.gradient_descent(LR), 0.0, False),
    (stability.heavy_ball(LR, 0.9), 0.9, False),
    (stability.nesterov(LR, 0.9), 0.9, True),
    (stability.nesterov(LR, 0.3), 0.3, True),
]


@pytest.mark.parametrize(("threshold", "momentum", "lookahead"), METHODS)
def test_a_quadratic_grows_just_above_the_threshold_and_falls_just_below(
    threshold, momentum, lookahead
):
    sides = threshold * np.array([0.99, 1.01])
    path = abs(stability.quadratic_path(sides, LR, 4000, momentum, lookahead=lookahead))
    assert path[-2:, 0].max() < 1e-3 and path[-2:, 1].min() > 1e3


@pytest.mark.parametrize(("threshold", "momentum", "lookahead"), METHODS)
def test_growth_is_one_at_the_threshold_and_only_there(threshold, momentum, lookahead):
    curvature = threshold * np.linspace(0.01, 0.999, 50)
    assert stability.growth(threshold, LR, momentum, lookahead=lookahead) == pytest.approx(1)
    assert stability.growth(curvature, LR, momentum, lookahead=lookahead).max() < 1


@given(st.floats(0.01, 20), st.floats(0.0, 0.95), st.booleans())
def test_growth_is_the_radius_of_the_recursion_matrix(curvature, momentum, lookahead):
    # State (w, m) with m <- beta m + lambda w, then w <- w - lr (...).
    after = np.array([curvature, momentum])
    used = np.array([curvature, 0]) + momentum * after if lookahead else after
    matrix = np.array([[1, 0] - LR * used, after])
    radius = abs(np.linalg.eigvals(matrix)).max()
    found = stability.growth(curvature, LR, momentum, lookahead=lookahead)
    # Where both roots agree the eigenvalues are known to the root of the rounding only.
    assert found == pytest.approx(radius, abs=1e-6)


def adam_on_a_quadratic(curvature, lr, beta1, steps):
    """|w| under Adam whose second moment is held at 1, with eps = 0."""
    w, m = 1.0, 0.0
    for t in range(1, steps + 1):
        m = beta1 * m + (1 - beta1) * curvature * w
        w = w - lr * m / (1 - beta1**t)
    return abs(w)


@pytest.mark.parametrize("beta1", [0.0, 0.5, 0.9])
def test_adam_with_a_frozen_preconditioner_has_this_threshold(beta1):
    threshold = stability.adam(0.2, beta1)
    assert adam_on_a_quadratic(0.99 * threshold, 0.2, beta1, 4000) < 1e-3
    assert adam_on_a_quadratic(1.01 * threshold, 0.2, beta1, 4000) > 1e3


def test_the_published_case_of_adam_and_the_limits_without_momentum():
    assert stability.adam(1e-3) == pytest.approx(38_000)
    assert stability.heavy_ball(LR, 0.0) == stability.nesterov(LR, 0.0) == 2 / LR
    assert stability.adam(LR, 0.0) == pytest.approx(2 / LR)


def test_named_dimensions_are_kept():
    lr = xr.DataArray([0.1, 0.2], {"lr": [0.1, 0.2]}, ("lr",))
    assert stability.gradient_descent(lr).dims == ("lr",)
    assert stability.adam(lr).sel(lr=0.2) == pytest.approx(190)
    np.testing.assert_allclose(stability.heavy_ball(np.array([0.1, 0.2]), 0.5), [30, 15])


@pytest.mark.parametrize(("x", "y"), [(2.0, 0.5), (3.0, -0.1), (-0.4, 1.7)])
def test_gradient_flow_on_the_product_ends_at_this_sharpness(x, y):
    def velocity(_, w):
        product = w[0] * w[1]
        return (1 - product**2) * product * w[::-1]

    end = solve_ivp(velocity, (0, 200), [x, y], rtol=1e-10, atol=1e-12).y[:, -1]
    assert abs(end.prod()) == pytest.approx(1, abs=1e-8)
    assert stability.product_flow_sharpness(x, y) == pytest.approx(2 * end @ end, rel=1e-7)


def test_gradient_descent_on_the_product_ends_below_two_over_the_step():
    w, lr = np.array([8.0, 0.05]), 0.03
    assert stability.product_flow_sharpness(*w) > stability.gradient_descent(lr)
    for _ in range(60_000):
        product = w[0] * w[1]
        w = w + lr * (1 - product**2) * product * w[::-1]
    assert 2 * w @ w * lr / 2 == pytest.approx(1, abs=2e-3)
    assert 2 * w @ w < stability.gradient_descent(lr)


@pytest.mark.parametrize(
    "call",
    [
        lambda: stability.gradient_descent(0.0),
        lambda: stability.heavy_ball(-1.0, 0.5),
        lambda: stability.heavy_ball(0.1, 1.0),
        lambda: stability.nesterov(np.nan, 0.5),
        lambda: stability.nesterov(0.1, -0.1),
        lambda: stability.adam(0.0),
        lambda: stability.adam(0.1, 1.0),
        lambda: stability.growth(1.0, 0.0),
        lambda: stability.growth(1.0, 0.1, 1.0),
        lambda: stability.quadratic_path(1.0, 0.0, 3),
        lambda: stability.quadratic_path(1.0, 0.1, 3, 2.0),
        lambda: stability.quadratic_path(1.0, 0.1, -1),
        lambda: stability.product_flow_sharpness(0.0, 1.0),
    ],
)
def test_what_no_method_has_is_refused(call):
    with pytest.raises(ValueError, match=r"must .*, got"):
        call()

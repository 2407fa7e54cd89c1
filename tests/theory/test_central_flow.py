import numpy as np
import pytest

from chymist.theory.central_flow import central_flow, complementarity

LR, PULL = 0.5, 0.004


def valley(directions, ends):
    """Sum over i of y_i x_i^2/2 + PULL (y_i - end_i)^2/2: curvature y_i that drifts to end_i."""
    ends = np.array(ends)
    k = directions

    def loss(w):
        x, y = w[:k], w[k:]
        return (y * x**2).sum() / 2 + PULL * ((y - ends) ** 2).sum() / 2

    def gradient(w):
        x, y = w[:k], w[k:]
        return np.concatenate([y * x, x**2 / 2 + PULL * (y - ends)])

    def hessian(w):
        x, y = w[:k], w[k:]
        found = np.diag(np.concatenate([y, np.full(k, PULL)]))
        found[range(k), range(k, 2 * k)] = found[range(k, 2 * k), range(k)] = x
        return found

    return loss, gradient, hessian


@pytest.mark.parametrize("ends", [[6.0], [6.0, 5.0]])
def test_it_is_the_time_average_of_gradient_descent(ends):
    k = len(ends)
    loss, gradient, hessian = valley(k, ends)
    start = np.concatenate([np.full(k, 0.08), np.full(k, 3.95)])
    w, path, losses = start, [], []
    for _ in range(1200):
        path.append(w)
        losses.append(loss(w))
        w = w - LR * gradient(w)
    path, losses = np.array(path), np.array(losses)
    flow = central_flow(gradient, hessian, start, LR, 1200, difference=1e-3)
    # The flow has come to rest; gradient descent circles about it some ten times in what follows.
    np.testing.assert_allclose(flow.w[-1], flow.w[-100], atol=1e-6)
    late = slice(200, None)
    np.testing.assert_allclose(path[late].mean(0), flow.w[-1], atol=0.01)
    average, alone = losses[late].mean(), loss(flow.w[-1])
    assert average == pytest.approx(alone + flow.variance[-1] / LR, rel=0.03)
    # Without the oscillation's part the loss is far off: the statistic can tell.
    assert average > 1.5 * alone
    # The oscillation that holds y at 2/lr: mean x^2 = 2 PULL (end - 2/lr).
    assert flow.variance[-1] == pytest.approx(sum(2 * PULL * (e - 2 / LR) for e in ends), rel=1e-3)
    assert flow.sharpness[-1] == pytest.approx(2 / LR, rel=0.01)


def test_below_the_edge_it_is_gradient_flow():
    _, gradient, hessian = valley(1, [3.0])
    start = np.array([0.5, 2.0])
    flow = central_flow(gradient, hessian, start, LR, 20, substeps=400)
    w = start
    for _ in range(20 * 400 * 4):
        w = w - LR / 1600 * gradient(w)
    np.testing.assert_allclose(flow.w[-1], w, atol=2e-3)
    assert not flow.variance.any()


def test_the_averaged_loss_falls_along_the_flow():
    loss, gradient, hessian = valley(1, [6.0])
    flow = central_flow(gradient, hessian, np.array([1e-3, 3.9]), LR, 300, difference=1e-3)
    along = np.array([loss(w) for w in flow.w])
    assert (np.diff(along) < 1e-8).all()


@pytest.mark.parametrize("seed", range(5))
def test_complementarity_holds(seed):
    generator = np.random.default_rng(seed)
    k = 3
    root = generator.normal(size=(k, k, 20))
    root = root + root.swapaxes(0, 1)
    b = np.einsum("ijp,klp->ijkl", root, root)
    a = generator.normal(size=(k, k))
    a = a + a.T - 1.0 * np.eye(k)
    x = complementarity(a, b)
    rest = a + np.einsum("ijkl,kl->ij", b, x)
    assert np.linalg.eigvalsh(x)[0] >= -1e-12
    assert np.linalg.eigvalsh(rest)[0] >= -1e-6
    assert abs((x * rest).sum()) < 1e-6


def test_no_room_needed_no_oscillation():
    eye = np.einsum("ik,jl->ijkl", np.eye(2), np.eye(2))
    assert not complementarity(np.eye(2), eye).any()
    np.testing.assert_allclose(
        complementarity(np.diag([-3.0, 2.0]), eye), np.diag([3.0, 0.0]), atol=1e-8
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lr": 0.0}, "lr must be positive, got 0"),
        ({"steps": -1}, "steps must be a whole number from 0, got -1"),
        ({"substeps": 0}, "substeps must be a whole number from 1, got 0"),
        ({"near": 1.0}, r"near must lie in \[0, 1\), got 1"),
        ({"near": 0.0}, "near must be positive, got 0"),
        ({"difference": 0.0}, "difference must be positive, got 0"),
    ],
)
def test_bad_arguments_are_refused(change, message):
    good = {"lr": 0.1, "steps": 1, "start": np.ones(1)}
    with pytest.raises(ValueError, match=message):
        central_flow(lambda w: w, lambda w: np.eye(1), **{**good, **change})


def test_bad_shapes_are_refused():
    with pytest.raises(ValueError, match=r"must be .k, k. and .k, k, k, k., got"):
        complementarity(np.eye(2), np.ones((2, 2)))
    with pytest.raises(ValueError, match="room must be finite, got nan"):
        complementarity(np.full((1, 1), np.nan), np.ones((1, 1, 1, 1)))
    with pytest.raises(ValueError, match="effect must be finite, got nan"):
        complementarity(np.eye(1), np.full((1, 1, 1, 1), np.nan))


def test_more_critical_directions_than_are_found_first_are_all_held():
    ends = [6.0 + 0.1 * i for i in range(8)]
    _, gradient, hessian = valley(8, ends)
    flow = central_flow(gradient, hessian, np.r_[np.full(8, 0.01), np.full(8, 3.99)], LR, 300)
    assert flow.sharpness[-1] == pytest.approx(2 / LR, rel=0.01)
    held = sum(2 * PULL * (e - 2 / LR) for e in ends)
    assert flow.variance[-1] == pytest.approx(held, rel=0.01)


def test_of_many_parameters_the_largest_eigenvalues_are_searched_for():
    k = 40
    ends = np.r_[6.0 + 0.1 * np.arange(8), np.full(k - 8, 3.0)]
    _, gradient, hessian = valley(k, ends)
    start = np.r_[np.full(k, 0.01), np.full(8, 3.99), np.full(k - 8, 2.0)]
    flow = central_flow(gradient, hessian, start, LR, 60, substeps=1)
    largest = [np.linalg.eigvalsh(hessian(w))[-1] for w in flow.w]
    np.testing.assert_allclose(flow.sharpness, largest, rtol=1e-12)
    # Not held, the steepest would end 8 % above the threshold.
    assert 0.99 * 2 / LR < max(largest) < 1.01 * 2 / LR


@pytest.mark.parametrize("seed", range(3))
def test_where_nothing_is_left_the_equation_is_solved_at_once(seed):
    generator = np.random.default_rng(seed)
    root = generator.normal(size=(2, 2, 20))
    root = root + root.swapaxes(0, 1)
    b = np.einsum("ijp,klp->ijkl", root, root)
    wanted = np.array([[2.0, 0.5], [0.5, 1.0]])
    a = -np.einsum("ijkl,kl->ij", b, wanted)
    np.testing.assert_allclose(complementarity(a, b), wanted, atol=1e-12)

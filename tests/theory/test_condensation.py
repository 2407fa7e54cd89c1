import numpy as np
import pytest
from scipy.integrate import solve_ivp

from chymist.theory import condensation
from chymist.theory.condensation import Neurons

X = np.random.default_rng(0).uniform(-1, 1, (9, 2))
Y = np.sin(3 * X[:, 0]) + 0.2
START = Neurons(np.array([1.0, -0.5, 0.3]), np.random.default_rng(1).normal(size=(3, 3)))


def test_small_tanh_networks_follow_it():
    scale, inputs = 1e-6, np.column_stack([X, np.ones(9)])

    def velocity(_, state):
        a, w = state[:3], state[3:].reshape(3, 3)
        h = np.tanh(w @ inputs.T)
        residual = a @ h - Y
        dw = -(a[:, None] * (1 - h**2) * residual) @ inputs / 9
        return np.concatenate([-h @ residual / 9, dw.ravel()])

    times = np.array([0.0, 2.0, 5.0])
    begin = scale * np.concatenate([START.a, START.w.ravel()])
    path = solve_ivp(velocity, (0, 5), begin, t_eval=times, rtol=1e-10, atol=1e-16).y / scale
    found = condensation.initial_flow(START, condensation.drift(X, Y), 1.0, times)
    np.testing.assert_allclose(found.a, path[:3].T, rtol=1e-6)
    np.testing.assert_allclose(found.w.reshape(3, 9), path[3:].T, rtol=1e-6)


def test_the_drift_is_the_first_push_on_the_input_weights():
    # dR/dw_j at a = 1 and vanishing weights, for R = mean square over 2: minus c.
    inputs, h = np.column_stack([X, np.ones(9)]), 1e-6

    def risk(w):
        return ((inputs @ w - Y) ** 2).mean() / 2

    slope = [(risk(h * e) - risk(-h * e)) / (2 * h) for e in np.eye(3)]
    np.testing.assert_allclose(condensation.drift(X, Y), -np.array(slope), atol=1e-8)


def test_all_neurons_end_on_one_line_and_keep_what_the_flow_conserves():
    c = condensation.drift(X, Y)
    found = condensation.initial_flow(START, c, 0.7, np.array([0.0, 80.0]))
    unit = found.w / np.linalg.norm(found.w, axis=-1, keepdims=True)
    assert abs(unit[0] @ c / np.linalg.norm(c)).min() < 0.9
    assert abs(unit[1] @ c / np.linalg.norm(c)).min() > 0.999999
    early = condensation.initial_flow(START, c, 0.7, np.array([0.0, 3.0]))
    kept = early.a**2 - (early.w**2).sum(-1)
    np.testing.assert_allclose(kept[0], kept[1], rtol=1e-9)


@pytest.mark.parametrize(
    "call",
    [
        lambda: condensation.drift(X, Y[:3]),
        lambda: condensation.drift(X * np.nan, Y),
        lambda: condensation.initial_flow(START, np.zeros(3), 1.0, np.zeros(1)),
        lambda: condensation.initial_flow(START, np.ones(3), np.inf, np.zeros(1)),
        lambda: condensation.initial_flow(START, np.ones(3), 1.0, -np.ones(1)),
        lambda: condensation.drift(X, Y * np.inf),
    ],
)
def test_bad_arguments_are_refused(call):
    with pytest.raises(ValueError, match=r"must .*, got"):
        call()


def test_the_potential_and_its_gradient_are_those_of_the_first_push():
    # The loss's slope at a small network of phi(z) = z^p: minus P on a, minus a grad P on w.
    w, inputs = START.w, np.column_stack([X, np.ones(9)])
    for p in (1, 2, 3):
        found = condensation.potential(w, X, Y, p)
        np.testing.assert_allclose(found, ((w @ inputs.T) ** p * Y).mean(1))
        slope = condensation.potential_gradient(w, X, Y, p)
        for e in np.eye(3):
            up, down = (condensation.potential(w + h * e, X, Y, p) for h in (1e-6, -1e-6))
            np.testing.assert_allclose(slope @ e, (up - down) / 2e-6, rtol=1e-6, atol=1e-8)
        # Euler's identity for a homogeneous function.
        np.testing.assert_allclose((slope * w).sum(1), p * found)
    np.testing.assert_allclose(slope.shape, w.shape)
    np.testing.assert_allclose(
        condensation.potential_gradient(w, X, Y, 1)[1], condensation.drift(X, Y)
    )


def test_the_orientation_flow_runs_through_the_orbits_of_the_linear_one():
    c = condensation.drift(X, Y)
    clock = np.linspace(0, 20, 41)
    found = condensation.orientation_flow(START, X, Y, 1, clock)
    theta = np.concatenate([found.a[..., None], found.w], axis=-1)
    np.testing.assert_allclose(np.linalg.norm(theta, axis=-1), 1)
    orbit = condensation.initial_flow(START, c, 1.0, np.linspace(0, 60, 60_001))
    whole = np.concatenate([orbit.a[..., None], orbit.w], axis=-1)
    whole /= np.linalg.norm(whole, axis=-1, keepdims=True)
    for neuron in range(3):
        cosine = theta[neuron] @ whole[:, neuron].T
        assert (cosine.max(1) > 1 - 1e-6).all()
        # In order: no neuron goes back.
        assert (np.diff(cosine.argmax(1)[:10]) > 0).all()


@pytest.mark.parametrize("p", [2, 3])
def test_the_orientation_flow_takes_the_powers_network_along(p):
    """Plain integration of the flow of a small network of phi(z) = z^p, in its own time."""
    inputs = np.column_stack([X, np.ones(9)])

    def velocity(_, state):
        a, w = state[:3], state[3:].reshape(3, 3)
        h = w @ inputs.T
        da = (h**p * Y).mean(1)
        dw = a[:, None] * ((p * h ** (p - 1) * Y) @ inputs) / 9
        return np.concatenate([da, dw.ravel()])

    begin = np.concatenate([START.a, START.w.ravel()])
    path = solve_ivp(velocity, (0, 0.4), begin, "DOP853", rtol=1e-10, atol=1e-12).y[:, -1]
    end = np.concatenate([path[:3, None], path[3:].reshape(3, 3)], axis=1)
    end /= np.linalg.norm(end, axis=1, keepdims=True)
    found = condensation.orientation_flow(START, X, Y, p, np.linspace(0, 20, 8001))
    theta = np.concatenate([found.a[..., None], found.w], axis=-1)
    assert (np.einsum("msf,mf->ms", theta, end).max(1) > 1 - 1e-5).all()


@pytest.mark.parametrize("p", [1, 2, 3, 5])
def test_orientations_are_all_critical_points_on_the_circle(p):
    x = np.random.default_rng(p).uniform(-1, 2, (12, 1))
    y = np.random.default_rng(p + 9).normal(size=12)
    found = condensation.orientations(x, y, p)
    assert 1 <= len(found) <= p and (np.diff(found) > 0).all()
    angle = np.linspace(0, np.pi, 20_001)
    height = condensation.potential(np.stack([np.cos(angle), np.sin(angle)], 1), x, y, p)
    turns = angle[1:-1][np.diff(np.sign(np.diff(height))) != 0]
    np.testing.assert_allclose(found, turns, atol=2e-4)


def test_a_line_straight_up_is_found():
    # c = (0, 1): the leading coefficient vanishes.
    x, y = np.array([[-1.0], [1.0]]), np.ones(2)
    np.testing.assert_allclose(condensation.orientations(x, y, 1), [np.pi / 2])
    np.testing.assert_allclose(
        condensation.orientations(x, y, 3), [np.pi / 4, np.pi / 2, 3 * np.pi / 4]
    )


def test_the_best_loss_falls_with_neurons_and_is_met_by_training_none_better():
    x = np.linspace(-1, 1, 15)[:, None]
    y = np.maximum(x[:, 0] - 0.3, 0) - 2 * np.maximum(-x[:, 0] - 0.2, 0)
    one, two = (condensation.best_relu_loss(x, y, k) for k in (1, 2))
    assert two < 1e-20 < 1e-3 < one
    # No angle of a fine grid does better.
    angles = np.linspace(0, 2 * np.pi, 4001)
    features = np.maximum(np.cos(angles)[:, None] * x[:, 0] + np.sin(angles)[:, None], 0)
    size = (features**2).sum(1)
    gain = np.divide((features @ y) ** 2, size, out=np.zeros_like(size), where=size > 1e-12)
    grid = ((y**2).sum() - gain.max()) / 30
    assert one == pytest.approx(grid, rel=1e-3) and one <= grid * (1 + 1e-9)


@pytest.mark.parametrize(
    "call",
    [
        lambda: condensation.potential(START.w, X, Y, 0),
        lambda: condensation.potential_gradient(START.w, X * np.inf, Y, 2),
        lambda: condensation.orientation_flow(START, X, Y, 1.5, np.array([0.0, 1.0])),
        lambda: condensation.orientation_flow(START, X, Y, 1, np.array([1.0, 0.5])),
        lambda: condensation.orientation_flow(
            Neurons(START.a, 0 * START.w), X, Y, 1, np.array([0.0, 1.0])
        ),
        lambda: condensation.orientations(X, Y, 2),
        lambda: condensation.orientations(X[:, :1], Y, 0),
        lambda: condensation.best_relu_loss(X, Y, 1),
        lambda: condensation.best_relu_loss(X[:, :1], Y, 0),
    ],
)
def test_what_has_no_orientation_is_refused(call):
    with pytest.raises(ValueError, match=r"must|are for|rise|whole"):
        call()

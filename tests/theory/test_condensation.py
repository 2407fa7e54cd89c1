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

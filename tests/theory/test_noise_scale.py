import numpy as np
import pytest

from chymist.theory import noise_scale as scale

P = 6
HESSIAN = np.diag(1 / np.arange(1.0, P + 1))
GRADIENT = np.linspace(1, 0.2, P)
ROOT = np.random.default_rng(0).normal(size=(P, P)) * 0.8
COVARIANCE = ROOT @ ROOT.T


@pytest.mark.parametrize("batch", [1, 8, 64])
def test_the_best_step_and_its_decrease_on_a_quadratic(batch):
    noise = np.random.default_rng(1).normal(size=(200_000, P)) @ ROOT.T / batch**0.5
    g = GRADIENT + noise
    first, second = g @ GRADIENT, np.einsum("ni,ij,nj->n", g, HESSIAN, g)
    # The decrease is lr g . G - lr^2 g . H g / 2: its mean is a parabola in lr.
    best = first.mean() / second.mean()
    found = scale.best_step(np.array([batch]), GRADIENT, COVARIANCE, HESSIAN)
    assert found.lr.item() == pytest.approx(best, rel=0.02)
    decrease = found.lr * first - found.lr**2 * second / 2
    error = decrease.std() / len(g) ** 0.5
    assert abs(decrease.mean() - found.decrease.item()) < 4.5 * error


def test_half_of_everything_at_the_noise_scale():
    critical = scale.noise_scale(GRADIENT, COVARIANCE, HESSIAN)
    found = scale.best_step(np.array([critical, 1e12]), GRADIENT, COVARIANCE, HESSIAN)
    for part in found:
        assert part[0] == pytest.approx(part[1] / 2)
    assert scale.noise_scale(GRADIENT, COVARIANCE) == pytest.approx(
        np.trace(COVARIANCE) / (GRADIENT @ GRADIENT)
    )


def test_a_hessian_along_all_directions_alike_changes_nothing():
    alike = scale.noise_scale(GRADIENT, COVARIANCE, 7 * np.eye(P))
    assert alike == pytest.approx(scale.noise_scale(GRADIENT, COVARIANCE))


def test_steps_and_examples_lie_on_a_hyperbola():
    batch = np.array([1.0, 10.0, 300.0, 5e4])
    s = scale.steps_to_target(batch, 120.0, 300.0)
    e = scale.examples_to_target(batch, 120.0, 300.0)
    np.testing.assert_allclose((s / 120 - 1) * (e / (120 * 300) - 1), 1)
    np.testing.assert_allclose(e, batch * s)


def test_steps_to_a_target_sum_up_the_best_steps_of_a_scalar_problem():
    # lambda w^2/2 with noise so scaled that B_noise stays c: each best step takes the loss down by
    # 1/(1 + c/B) of itself at most, so that small decreases make ln(loss) fall by that.
    c, batch = 1000.0, np.array([10.0, 30.0])
    rate = 1 / (1 + c / batch)
    updates = np.log(1e-3) / np.log1p(-rate)
    ratio = scale.steps_to_target(batch, 1.0, c)
    assert updates[0] / updates[1] == pytest.approx(ratio[0] / ratio[1], rel=0.02)


@pytest.mark.parametrize(
    "call",
    [
        lambda: scale.noise_scale(np.array([np.nan]), np.eye(1)),
        lambda: scale.noise_scale(np.ones(1), np.eye(1), -np.eye(1)),
        lambda: scale.best_step(np.array([0.5]), np.ones(1), np.eye(1), np.eye(1)),
        lambda: scale.best_step(np.array([1.0]), np.zeros(1), np.eye(1), np.eye(1)),
        lambda: scale.steps_to_target(np.array([0.0]), 1.0, 1.0),
        lambda: scale.steps_to_target(np.array([1.0]), 0.0, 1.0),
        lambda: scale.examples_to_target(np.array([1.0]), 1.0, -1.0),
        lambda: scale.noise_scale(np.array([np.nan]), np.eye(1), np.zeros((1, 1)) + 1),
        lambda: scale.noise_scale(np.array([np.inf]), np.eye(1)),
        lambda: scale.noise_scale(np.ones(1), np.full((1, 1), np.nan)),
        lambda: scale.noise_scale(np.ones(1), np.eye(1), np.full((1, 1), np.inf)),
    ],
)
def test_bad_arguments_are_refused(call):
    with pytest.raises(ValueError, match=r"must .*, got"):
        call()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: scale.noise_scale(np.array([np.inf]), np.eye(1)), "^gradient must"),
        (
            lambda: scale.noise_scale(np.ones(1), np.eye(1), np.full((1, 1), np.inf)),
            "^hessian must",
        ),
    ],
)
def test_the_argument_at_fault_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()

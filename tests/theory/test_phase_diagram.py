import numpy as np
import pytest

from chymist.theory import phase_diagram as phase
from chymist.theory.phase_diagram import Point


def scales(name, m):
    """(alpha, b1, b2) of a named initialisation with a fixed number of inputs."""
    return {
        "lecun": (1, m**-0.5, 1.0),
        "he": (1, (2 / m) ** 0.5, 2**0.5),
        "xavier": (1, (2 / (m + 1)) ** 0.5, (2 / (m + 2)) ** 0.5),
        "ntk": (m**0.5, 1.0, 1.0),
        "mean-field": (m, 1.0, 1.0),
    }[name]


@pytest.mark.parametrize("name", phase.NAMED)
def test_named_initialisations_lie_where_their_scales_put_them(name):
    # Differences of logarithms over widths: constants drop out.
    wide, wider = 10**6, 10**12
    one, two = (phase.point(*scales(name, m), m) for m in (wide, wider))
    limit = [2 * b - a for a, b in zip(one, two, strict=True)]
    assert limit == pytest.approx(list(phase.NAMED[name]), abs=1e-5)


def test_scaling_the_layers_against_alpha_changes_nothing():
    one = phase.point(20.0, 0.3, 0.5, 1000)
    assert phase.point(60.0, 0.9, 0.5, 1000).gamma == pytest.approx(one.gamma)
    assert phase.point(180.0, 0.9, 1.5, 1000) == pytest.approx(one)


@pytest.mark.parametrize(("gamma", "tolerance"), [(0.5, 0.12), (0.75, 0.12), (1.75, 0.06)])
def test_weights_move_by_this_power_of_the_width(gamma, tolerance):
    # Full training of normalised networks in NumPy, antisymmetric start, on four points.
    x = np.column_stack([[-0.5, -0.15, 0.2, 0.5], np.ones(4)])
    y = np.array([0.15, 0.05, 0.25, 0.1])
    moves = []
    for m in (256, 4096):
        kappa, generator = m**-gamma, np.random.default_rng(1)
        a, w = generator.normal(size=m // 2), generator.normal(size=(m // 2, 2))
        a, w = np.concatenate([a, -a]), np.vstack([w, w])
        first = w
        for _ in range(6000):
            on = (w @ x.T) > 0
            hidden = on * (w @ x.T)
            residual = kappa * a @ hidden - y
            if abs(residual).max() < 0.02 * y.max():
                break
            slopes = on * a[:, None]
            gram = hidden.T @ hidden + (slopes.T @ slopes) * (x @ x.T)
            da = -kappa * hidden @ residual / 4
            dw = -kappa * (slopes * residual) @ x / 4
            # A stable step, and no more than 5% of the weights at once.
            step = 1 / (kappa**2 * np.linalg.eigvalsh(gram)[-1] / 4)
            sizes = np.linalg.norm(da) / np.linalg.norm(a), np.linalg.norm(dw) / np.linalg.norm(w)
            step = min(step, 0.05 / max(sizes))
            a, w = a + step * da, w + step * dw
        moves.append(np.linalg.norm(w - first) / np.linalg.norm(first))
    slope = np.log(moves[1] / moves[0]) / np.log(16)
    assert slope == pytest.approx(phase.movement_exponent(gamma), abs=tolerance)


def test_regimes_meet_on_the_boundary():
    for balance in (-0.4, 0.0, 0.3):
        edge = phase.boundary(balance)
        names = [phase.regime(Point(edge + d, balance)) for d in (-0.01, 0.0, 0.01)]
        assert names == ["linear", "critical", "condensed"]
    assert phase.movement_exponent(1.0) == 0


@pytest.mark.parametrize(
    "call",
    [
        lambda: phase.point(0.0, 1.0, 1.0, 10),
        lambda: phase.point(1.0, -1.0, 1.0, 10),
        lambda: phase.point(1.0, 1.0, 1.0, 1),
        lambda: phase.boundary(np.nan),
        lambda: phase.regime(Point(np.inf, 0.0)),
        lambda: phase.movement_exponent(np.nan),
        lambda: phase.point(1.0, 1.0, 0.0, 10),
    ],
)
def test_bad_arguments_are_refused(call):
    with pytest.raises(ValueError, match=r"must .*, got"):
        call()

import numpy as np
import pytest
from scipy.integrate import quad

from chymist.theory import residual_streams as stream


def normalised(x):
    return x / ((x**2).mean(-1, keepdims=True)) ** 0.5


def blocks(place, variances, alpha=1.0, width=600, draws=20):
    """(mean square of the stream, gain of the skip path) after each random linear block."""
    generator = np.random.default_rng(0)
    found = []
    for _ in range(draws):
        start = normalised(generator.normal(size=width))
        x, rows = start, []
        for v in variances:
            w = generator.normal(size=(width, width)) * (v / width) ** 0.5
            pre = place == "pre"
            x = x + normalised(x) @ w if pre else normalised(alpha * x + x @ w)
            rows.append([(x**2).mean(), (x * start).mean()])
        found.append(rows)
    mean = np.mean(found, 0)
    error = np.std(found, 0, ddof=1) / draws**0.5
    return mean.T, error.T


VARIANCES = np.array([1.0, 0.1, 0.5, 1.0])


def test_pre_norm_adds_branch_variances():
    (square, skip), (error, skip_error) = blocks("pre", VARIANCES)
    expected = stream.pre_norm(VARIANCES)[1:]
    assert (abs(square - expected) < 4.5 * error).all()
    assert (abs(skip - 1) < 4.5 * skip_error).all()


@pytest.mark.parametrize("alpha", [1.0, 2.0])
def test_post_norm_wears_the_skip_path(alpha):
    (_, skip), (_, error) = blocks("post", VARIANCES, alpha)
    expected = stream.deep_norm_gain(VARIANCES, alpha)
    assert (abs(skip - expected) < 4.5 * error + 0.003).all()
    if alpha == 1:
        assert stream.post_norm_gain(VARIANCES).tolist() == expected.tolist()


def test_unit_branches_halve_the_gain_every_two_and_deep_norm_keeps_it():
    assert stream.post_norm_gain(np.ones(8))[-1] == pytest.approx(1 / 16)
    gains = []
    for n in (8, 64, 512):
        alpha, beta = stream.deep_norm_constants(n)
        gains.append(stream.deep_norm_gain(np.full(2 * n, beta**4), alpha)[-1])
    assert min(gains) > 0.95 and np.all(np.diff(gains) > 0)


@pytest.mark.parametrize(("similarity", "tokens"), [(0.0, 5), (0.6, 12)])
def test_the_variance_of_an_attention_branch(similarity, tokens):
    generator = np.random.default_rng(2)
    draws, width = 400, 64
    shared = generator.normal(size=(draws, 1, width))
    own = generator.normal(size=(draws, tokens, width))
    values = similarity**0.5 * shared + (1 - similarity) ** 0.5 * own
    weights = generator.dirichlet(np.ones(tokens), size=draws)
    square = (np.einsum("dt,dtw->dw", weights, values) ** 2).mean(1)
    each = [stream.attention_variance(similarity, (p**2).sum()) for p in weights]
    difference = square - each
    assert abs(difference.mean()) < 4.5 * difference.std() / draws**0.5


@pytest.mark.parametrize("cut", [0.1, 1.0, 2.0, 5.0])
def test_the_variance_of_truncated_draws_is_the_integral(cut):
    def density(z):
        return np.exp(-(z**2) / 2)

    expected = quad(lambda z: z**2 * density(z), -cut, cut)[0] / quad(density, -cut, cut)[0]
    assert stream.truncated_normal_variance(cut) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    "call",
    [
        lambda: stream.attention_variance(0.5, 0.0),
        lambda: stream.attention_variance(0.5, 1.1),
        lambda: stream.attention_variance(-2.0, 0.5),
        lambda: stream.pre_norm(np.array([-1.0])),
        lambda: stream.pre_norm(np.array([1.0]), -1.0),
        lambda: stream.post_norm_gain(np.array([np.nan])),
        lambda: stream.deep_norm_gain(np.ones(2), 0.0),
        lambda: stream.deep_norm_constants(0),
        lambda: stream.truncated_normal_variance(0.0),
    ],
)
def test_bad_arguments_are_refused(call):
    with pytest.raises(ValueError, match=r"must .*, got"):
        call()

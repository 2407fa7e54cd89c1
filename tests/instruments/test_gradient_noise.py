"""Gradients of single samples, their covariance, and the noise scale, against brute force."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from chymist import instruments
from chymist.bench import Bench, samples
from chymist.ensemble import every
from chymist.errors import BadParameter, CannotMeasure
from chymist.instruments import sample_parts
from chymist.instruments.per_sample import samples_of
from chymist.solvers import GradientDescent
from chymist.testing import check_instrument, small_networks
from chymist.testing.networks import convolutional, half_squared_error, small, two_layers

F64 = torch.float64
CASES = {case.name: case for case in small_networks()}


def rows(case):
    """Every sample's gradient, each from a batch of its own."""
    x, y = case.data
    return torch.stack(
        [replace(case, data=(x[i : i + 1], y[i : i + 1])).gradient for i in range(len(x))]
    )


def sigma(case):
    g = rows(case)
    return (g - g.mean(0)).T @ (g - g.mean(0)) / len(g)


def unbiased(case):
    g = rows(case)
    n = len(g)
    trace = sigma(case).trace() * n / (n - 1)
    return torch.stack([trace, g.mean(0).square().sum() - trace / n])


def spectrum(case):
    return torch.linalg.eigvalsh(sigma(case)).flip(0)[:3]


def parts_of(index):
    return lambda found: [found.trace, found.squared_gradient][index]


def ratio(case):
    trace, squared = unbiased(case)
    return float(trace / squared)


def hill(values):
    falling = values.sort(descending=True).values
    return 5 / sum(float((falling[i] / falling[5]).log()) for i in range(5))


CLEAR = [case for case in CASES.values() if unbiased(case)[1] > 0]
"""Networks where the noise does not drown the gradient, so that the ratio is a number."""
SCALE, TRACE, SQUARED = instruments.training_noise_scale()
CONTRACTS = {
    "norms": (
        instruments.gradient_norms,
        {
            "referee": lambda case: rows(case).norm(dim=1).sort().values,
            "read": lambda found: found.sort().values,
        },
    ),
    "variance": (
        instruments.gradient_variance,
        {"referee": lambda case: sigma(case).diagonal().sort().values, "degree": 2,
         "read": lambda found: found.sort().values},
    ),
    "covariance": (
        partial(instruments.gradient_covariance, k=3), {"referee": spectrum, "degree": 2},
    ),
    "sampler": (
        lambda model, loss, data: instruments.sampler(model, loss, data)(data).squares()[0],
        {
            "referee": lambda case: rows(case).square().sum(1).sort().values, "degree": 2,
            "read": lambda found: found.sort().values, "documented": instruments.sampler,
        },
    ),
    "noise scale": (
        instruments.noise_scale,
        {"referee": ratio, "degree": 0, "cases": CLEAR},
    ),
    "critical batch": (
        lambda *given: instruments.critical_batch(instruments.noise_scale(*given)),
        {
            "referee": lambda case: [max(1.0, ratio(case) / 2), 2 * ratio(case)],
            "degree": 0, "documented": instruments.critical_batch, "cases": CLEAR,
        },
    ),
    "tail of values": (
        lambda *given: instruments.tail_index(instruments.gradient_norms(*given), 5),
        {
            "degree": 0, "documented": instruments.tail_index,
            "referee": lambda case: hill(rows(case).norm(dim=1)),
            "read": lambda found: found.alpha,
        },
    ),
    "noise trace": (
        instruments.noise_scale,
        {"referee": lambda case: unbiased(case)[0], "degree": 2, "read": parts_of(0),
         "recorded": TRACE},
    ),
    "squared gradient": (
        instruments.noise_scale,
        {"referee": lambda case: unbiased(case)[1], "degree": 2, "read": parts_of(1),
         "recorded": SQUARED},
    ),
    "tail": (
        partial(instruments.gradient_tail, k=5),
        {"degree": 0, "read": lambda found: [found.alpha, found.shape]},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CONTRACTS)
def test_every_noise_instrument_keeps_the_contract(name):
    measure, options = CONTRACTS[name]
    check_instrument(measure, **options)


class Odd(nn.Module):
    """Layers that are called twice, overwritten, sliced, grouped and bypassed."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = nn.Linear(3, 4), nn.Linear(4, 4), nn.Linear(4, 4)
        self.norm, self.last = nn.LayerNorm(4), nn.Linear(4, 3)
        self.grouped = nn.Conv1d(2, 2, 1, groups=2)

    def forward(self, x):
        h = self.a(x)
        h = h.relu_() + 0.1 * h
        h = torch.tanh(self.b(torch.tanh(self.b(h))))
        h = self.norm(h @ self.c.weight.T)
        h = h + nn.functional.linear(h, self.c.weight.T, self.c.bias)
        h = self.grouped(h.view(-1, 2, 2)).flatten(1)
        return self.last(h)


class Transposed(nn.Module):
    """As many positions as samples, and the positions first."""

    def __init__(self):
        super().__init__()
        self.read, self.last = nn.Linear(1, 4), nn.Linear(4, 3)

    def forward(self, x):
        tokens = self.read(x.T[..., None].repeat(3, 1, 1))
        return self.last(torch.tanh(tokens).mean(0))


def pictures():
    return nn.Sequential(
        nn.Unflatten(1, (1, 1, 3)), nn.Conv2d(1, 3, (1, 2), stride=(1, 2), padding=(0, 1)),
        nn.Tanh(), nn.Conv2d(3, 2, 1, padding_mode="circular"), nn.Flatten(), nn.LazyLinear(3),
    )  # fmt: skip


def lazy():
    net = pictures()
    net(torch.zeros(1, 3))
    return net


ODD = {
    "odd": small("odd", Odd),
    "transposed": small("transposed", Transposed),
    "pictures": small("pictures", lazy),
    "dilated": small("dilated", lambda: nn.Sequential(
        nn.Unflatten(1, (1, 3)), nn.Conv1d(1, 3, 2, dilation=2, padding=1), nn.Tanh(), nn.Flatten(),
        nn.Linear(9, 3),
    )),
}  # fmt: skip


@pytest.mark.parametrize("block", [sample_parts.BLOCK, 40])
@pytest.mark.parametrize("name", [*CASES, *ODD])
def test_all_products_of_gradients_are_those_of_the_gradients_themselves(name, block, monkeypatch):
    monkeypatch.setattr(sample_parts, "BLOCK", block)
    case = {**CASES, **ODD}[name]
    g = rows(case)
    n, p = g.shape
    draw = torch.Generator().manual_seed(0)
    direction = torch.randn(1, p, generator=draw, dtype=F64)
    weights = torch.randn(1, 2, n, generator=draw, dtype=F64)
    found = samples_of(case.model, case.loss, case.data)
    norms, mean, squares = found.moments()
    close = partial(torch.testing.assert_close, rtol=1e-9, atol=1e-11)
    close(norms[0], g.square().sum(1))
    close(found.squares()[0], g.square().sum(1))
    close(mean[0], g.mean(0))
    close(found.mean()[0], g.mean(0))
    close(squares[0], g.square().mean(0))
    close(found.gram()[0], g @ g.T)
    close(found.along(direction)[0], g @ direction[0])
    close(found.combined(weights)[0], weights[0] @ g)


def test_which_layers_are_known_by_their_factors():
    def known(case):
        return set(samples_of(case.model, case.loss, case.data).structured)

    assert known(CASES["tied, squared error"]) == {"inner.weight", "inner.bias", "outer.bias"}
    assert known(CASES["convolution, squared error"]) == {
        "1.weight", "1.bias", "4.weight", "4.bias",
    }  # fmt: skip
    assert known(ODD["odd"]) == {"b.weight", "b.bias", "last.weight", "last.bias"}
    # Nine positions pass for nine samples, until the gradient of one alone is compared.
    assert known(ODD["transposed"]) == set()


def test_a_sampler_follows_the_model_and_takes_other_batches():
    case = CASES["two layers, cross-entropy"]
    model = small("follows", two_layers).model
    x, y = case.data
    take = instruments.sampler(model, case.loss, (x, y))
    assert take.mean
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1)
    part = replace(case, model=model, data=(x[:5], y[:5]))
    g = rows(part)
    torch.testing.assert_close(take(part.data).moments()[2][0], g.square().mean(0))


def test_a_loss_that_is_no_mean_is_taken_sample_by_sample():
    case = CASES["two layers, cross-entropy"]
    for loss in (
        nn.CrossEntropyLoss(weight=torch.tensor([1.0, 5.0, 2.0], dtype=F64)),
        nn.CrossEntropyLoss(reduction="sum"),
    ):
        other = replace(case, loss=loss)
        take = instruments.sampler(case.model, loss, case.data)
        assert not take.mean
        torch.testing.assert_close(take(case.data).squares()[0], rows(other).square().sum(1))


def test_eigenvectors_of_the_covariance_are_its_own():
    case = CASES["attention, cross-entropy"]
    found = instruments.gradient_covariance(case.model, case.loss, case.data, 4)
    image = found.vectors @ sigma(case)
    torch.testing.assert_close(image, found.values[:, None] * found.vectors)
    torch.testing.assert_close(found.vectors @ found.vectors.T, torch.eye(4, dtype=F64))
    torch.testing.assert_close(found.trace, sigma(case).trace())
    torch.testing.assert_close(found.norm, sigma(case).norm())
    assert 1 < found.effective < 8


def linear(n, seed, dimensions=4):
    """Gradients at zero of half the squared error are -x_i y_i: here normal, of known moments."""
    draw = torch.Generator().manual_seed(seed)
    x = 1.0 + torch.randn(n, dimensions, generator=draw, dtype=F64)
    line = nn.Linear(dimensions, 1, bias=False).double()
    nn.init.zeros_(line.weight)
    return line, half_squared_error, (x, torch.ones(n, 1, dtype=F64))


def test_the_noise_scale_is_unbiased_and_knows_its_error():
    # Gradients -x_i: trace 4, squared mean 4, so that the noise scale is 1.
    found = [instruments.noise_scale(*linear(60, seed)) for seed in range(300)]
    for name, truth in (("trace", 4.0), ("squared_gradient", 4.0)):
        values = np.array([float(getattr(f, name)) for f in found])
        assert abs(values.mean() - truth) < 4 * values.std() / np.sqrt(len(values)), name
    apart = np.array([float((f.value - 1) / f.standard_error) for f in found])
    assert 0.85 < apart.std() < 1.2
    inside = [float(f.interval()[0]) <= 1 <= float(f.interval()[1]) for f in found]
    assert 0.9 < np.mean(inside) < 0.985


def test_where_noise_dominates_the_interval_is_not_bounded():
    values, lows, highs = [], [], []
    for seed in range(100):
        line, loss, (x, y) = linear(100, seed)
        found = instruments.noise_scale(line, loss, (x - 1.0, y))
        values.append(float(found.value))
        low, high = found.interval()
        lows.append(float(low))
        highs.append(float(high))
    # The gradient of the population is zero: about half of the estimates are negative.
    assert 0.3 < np.mean(np.isinf(values)) < 0.8
    assert np.mean(np.isinf(highs)) > 0.9
    assert np.isfinite(lows).all() and np.median(lows) > 10


def test_equal_samples_have_no_noise():
    line, loss, (x, y) = linear(5, 0)
    found = instruments.noise_scale(line, loss, (x[:1].expand(5, -1), y))
    assert abs(float(found.value)) < 1e-14
    assert float(found.interval()[1]) < 1e-12


def test_two_batches_find_the_noise_scale_and_the_mean_of_ratios_does_not():
    # A quadratic with Sigma = 0.5 I in 50 dimensions and G of squared norm 0.25.
    draw = torch.Generator().manual_seed(0)
    gradient = torch.full((50,), 0.5 / 50**0.5, dtype=F64)

    def squared(batch, steps):
        noise = torch.randn(steps, 50, generator=draw, dtype=F64) * (0.5 / batch) ** 0.5
        return (gradient + noise).square().sum(1)

    truth = 25 / 0.25
    apart = []
    for _ in range(60):
        found = instruments.two_batch_noise_scale(1, 64, squared(1, 400), squared(64, 400))
        low, high = found.interval()
        assert low < found.value < high
        apart.append(float((found.value - truth) / found.standard_error))
    assert abs(np.mean(apart)) < 0.6 and 0.7 < np.std(apart) < 1.4
    s, b = squared(1, 400), squared(64, 400)
    ratios = (s - b) / (1 - 1 / 64) / ((64 * b - s) / 63)
    assert abs(float(ratios.mean()) / truth - 1) > 0.2


def test_two_batches_solve_their_two_equations():
    # ||G||^2 = 3 and tr Sigma = 8: 3 + 8 / 4 = 5 and 3 + 8 / 16 = 3.5.
    found = instruments.two_batch_noise_scale(4, 16, torch.full((2,), 5.0), torch.full((2,), 3.5))
    assert float(found.trace) == pytest.approx(8) and float(found.squared_gradient) == 3


def test_correlated_steps_widen_the_error():
    draw = torch.Generator().manual_seed(0)
    steps = torch.randn(2, 40, generator=draw, dtype=F64)
    trace, squared = (10 + s.repeat_interleave(50) for s in steps)
    blocks = instruments.averaged_noise_scale(trace, squared)
    alone = instruments.averaged_noise_scale(trace, squared, blocks=2000)
    assert float(blocks.standard_error) > 4 * float(alone.standard_error)


def test_a_training_records_the_scale_of_each_lane(monkeypatch):
    known = []
    usual = instruments.training_noise_scale.__globals__["snapshot_samples"]

    def spied(snapshot):
        made = usual(snapshot)
        known.append(len(made.structured))
        return made

    monkeypatch.setitem(instruments.training_noise_scale.__globals__, "snapshot_samples", spied)
    draw = np.random.default_rng(0)
    x, y = draw.normal(size=(11, 3)), draw.normal(size=(11, 3))
    layered = lambda: nn.Sequential(nn.Linear(3, 5), nn.LayerNorm(5), nn.Linear(5, 3))  # noqa: E731
    for build, by_factors in ((two_layers, 4), (convolutional, 0), (layered, 0)):
        place = Bench("s", "e", (0, 1, 2), dtype=F64)
        known.clear()
        run = place.train(
            place.networks(build), GradientDescent(0.1), samples(x), samples(y), steps=6,
            record={i: every(3) for i in (SCALE, TRACE, SQUARED)},
        )  # fmt: skip
        assert set(known) == {by_factors}
        for lane in range(3):
            model = build().double()
            model.load_state_dict({n: p[lane] for n, p in run.end.parameters.items()})
            data = (torch.tensor(x), torch.tensor(y))
            found = instruments.noise_scale(model, half_squared_error, data)
            end = run.data.isel(seed=lane, step=-1)
            np.testing.assert_allclose(end.noise_scale, found.value, rtol=1e-9)
            np.testing.assert_allclose(end.noise_scale_trace, found.trace, rtol=1e-10)


def test_a_lane_that_diverged_is_missing():
    draw = np.random.default_rng(0)
    x, y = draw.normal(size=(11, 3)), draw.normal(size=(11, 3))
    place = Bench("s", "e", (0, 1), dtype=F64)
    run = place.train(
        place.networks(two_layers), GradientDescent(1e9), samples(x), samples(y), steps=30,
        record={SCALE: every(10)},
    )  # fmt: skip
    assert run.data.noise_scale.isel(step=-1).isnull().all()
    assert run.data.noise_scale.isel(step=0).notnull().all()


def test_the_tail_of_a_power_law_is_found_and_a_gaussian_has_none():
    draw = np.random.default_rng(0)
    alphas, heavy, light = [], [], []
    for _ in range(100):
        pareto = torch.tensor(draw.pareto(1.5, size=2000) + 1)
        found = instruments.tail_index(pareto, 200)
        alphas.append((found.alpha - 1.5) / found.standard_error)
        heavy.append(found.heavy)
        normal = instruments.tail_index(torch.tensor(np.abs(draw.normal(size=2000))), 200)
        light.append(normal.heavy)
    assert abs(np.mean(alphas)) < 0.5 and 0.8 < np.std(alphas) < 1.25
    assert np.mean(heavy) > 0.97
    assert np.mean(light) < 0.1
    # Hill's estimate alone would have called it heavy.
    assert np.isfinite(normal.alpha)


def test_bad_numbers_are_refused():
    line, loss, data = linear(8, 0)
    with pytest.raises(BadParameter, match=r"k is 9.*8 samples"):
        instruments.gradient_covariance(line, loss, data, 9)
    with pytest.raises(CannotMeasure, match=r"2 samples.*at least 3"):
        instruments.noise_scale(line, loss, (data[0][:2], data[1][:2]))
    one = torch.ones(3)
    for small_batch, big, s, b in ((4, 4, one, one), (0, 4, one, one), (1, 4, one, one[:2])):
        with pytest.raises(BadParameter):
            instruments.two_batch_noise_scale(small_batch, big, s, b)
    with pytest.raises(BadParameter, match="two or more"):
        instruments.averaged_noise_scale(one[:1], one[:1])
    with pytest.raises(CannotMeasure, match="1 of 3 steps"):
        instruments.averaged_noise_scale(one, torch.tensor([1.0, torch.nan, 1.0]))
    with pytest.raises(BadParameter, match="k is 4"):
        instruments.tail_index(torch.rand(50), 4)
    with pytest.raises(CannotMeasure, match="positive values that differ"):
        instruments.tail_index(torch.ones(50))
    with pytest.raises(CannotMeasure, match="1 of 50 values"):
        instruments.tail_index(torch.tensor([torch.inf, *range(1, 50)]))
    with pytest.raises(CannotMeasure, match="row for each sample"):
        instruments.gradient_norms(
            nn.Sequential(nn.Linear(4, 1), nn.Flatten(0), nn.Unflatten(0, (2, 4))).double(),
            lambda out, y: out.square().mean(), data,
        )  # fmt: skip

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from torch.func import grad, vmap

from chymist.models import (
    Contributions,
    TwoLayer,
    activation,
    antisymmetric_start,
    dropout_error,
    frozen_residual,
    gaussian_circle_start,
    penalised_error,
    sobolev,
    stratified_circle_start,
)

STARTS = [stratified_circle_start, gaussian_circle_start]


def circle(n):
    angle = 2 * math.pi * torch.arange(n, dtype=torch.float64) / n
    return torch.stack([angle.cos(), angle.sin()], 1)


def started(start, width=64, bias=True, seed=0):
    module = TwoLayer(2, width, bias=bias)
    with torch.no_grad():
        start(module, torch.Generator().manual_seed(seed))
    return module


def test_forward_is_the_formula():
    module = TwoLayer(3, 8, activation="tanh").double()
    x = torch.randn(5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    w, b, a = module.inner.weight, module.inner.bias, module.outer.weight[0]
    by_hand = sum(a[j] * torch.tanh(x @ w[j] + b[j]) for j in range(8)) / math.sqrt(8)
    torch.testing.assert_close(module(x)[:, 0], by_hand, rtol=1e-12, atol=1e-14)


def test_alpha_divides_the_sum_and_contributions_are_its_terms():
    plain = TwoLayer(3, 8, activation="tanh", alpha=1.0).double()
    x = torch.randn(5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    scaled, parts = (
        kind(3, 8, activation="tanh", alpha=4.0).double() for kind in (TwoLayer, Contributions)
    )
    for other in (scaled, parts):
        other.load_state_dict(plain.state_dict())
    torch.testing.assert_close(4 * scaled(x), plain(x))
    assert parts(x).shape == (5, 8)
    torch.testing.assert_close(parts(x).sum(1, keepdim=True), scaled(x))


def test_the_penalised_error_is_the_mean_of_dropout_over_all_masks():
    generator = torch.Generator().manual_seed(0)
    parts, y = (torch.randn(6, n, dtype=torch.float64, generator=generator) for n in (3, 1))
    for keep in (0.3, 0.5, 1.0):
        mean = 0.0
        for mask in itertools.product((0.0, 1.0), repeat=3):
            chance = math.prod(keep if kept else 1 - keep for kept in mask)
            rows = torch.tensor(mask, dtype=torch.float64).expand(6, 3)
            mean += chance * float(dropout_error(parts, torch.cat([y, rows], 1), keep))
        assert float(penalised_error(parts, y, keep)) == pytest.approx(mean, rel=1e-12)
    plain = 0.5 * ((parts.sum(1, keepdim=True) - y) ** 2).mean()
    torch.testing.assert_close(penalised_error(parts, y), plain)


def test_the_frozen_residual_pushes_as_the_squared_error_does_at_zero():
    x = torch.randn(7, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    y = torch.sin(x)
    f = torch.zeros(7, 2, dtype=torch.float64)
    squared = grad(lambda p: 0.5 * ((p - y) ** 2).sum(-1).mean())(f)
    torch.testing.assert_close(grad(lambda p: frozen_residual(p, y))(f), squared)
    torch.testing.assert_close(grad(lambda p: frozen_residual(p, y))(f + 9), squared)


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("bias", [True, False])
def test_an_antisymmetric_start_gives_zero(start, bias):
    module = started(start, bias=bias).double()
    with torch.no_grad():
        each = module.activation(module.inner(circle(32))) * module.outer.weight
        assert each.abs().max() > 0.1
        assert module(circle(32)).abs().max() < 1e-14


@pytest.mark.parametrize("start", STARTS)
def test_antisymmetry_leaves_the_gradient_alone(start):
    module = started(start).double()
    module(circle(8))[3].sum().backward()
    assert module.outer.weight.grad.abs().max() > 0.01
    assert module.inner.weight.grad.abs().max() > 0.01


@pytest.mark.parametrize("start", STARTS)
def test_the_second_half_mirrors_the_first(start):
    module = started(start, width=10)
    assert torch.equal(module.inner.weight[:5], module.inner.weight[5:])
    assert torch.equal(module.outer.weight[0, :5], -module.outer.weight[0, 5:])
    assert torch.equal(module.inner.bias, torch.zeros(10))


def test_antisymmetric_start_keeps_biases_with_their_weights():
    module = TwoLayer(2, 6)
    with torch.no_grad():
        antisymmetric_start(module)
    assert torch.equal(module.inner.bias[:3], module.inner.bias[3:])
    assert module.inner.bias[:3].abs().max() > 0


def test_stratified_weights_lie_evenly_on_the_circle():
    module = started(stratified_circle_start, width=40)
    first = module.inner.weight[:20].detach().double()
    torch.testing.assert_close(first.norm(dim=1), torch.ones(20).double(), rtol=1e-6, atol=0)
    angle = torch.atan2(first[:, 1], first[:, 0]).sort().values
    gaps = torch.cat([angle.diff(), (angle[0] + 2 * math.pi - angle[-1])[None]])
    torch.testing.assert_close(gaps, torch.full((20,), math.pi / 10).double(), rtol=0, atol=1e-5)
    assert set(module.outer.weight[0].tolist()) == {-1.0, 1.0}


@pytest.mark.parametrize("start", STARTS)
def test_the_generator_decides_the_start(start):
    one, same, other = (started(start, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(one.inner.weight, same.inner.weight)
    assert torch.equal(one.outer.weight, same.outer.weight)
    assert not torch.equal(one.inner.weight, other.inner.weight)


def test_gaussian_weights_have_unit_variance():
    first = started(gaussian_circle_start, width=20_000).inner.weight[:10_000].detach()
    assert float(first.std()) == pytest.approx(1, abs=0.02)
    assert float(first.mean()) == pytest.approx(0, abs=0.03)


@pytest.mark.parametrize("start", STARTS)
def test_an_odd_width_is_refused(start):
    with pytest.raises(ValueError, match="even width, got"):
        started(start, width=7)


def test_stratified_weights_need_two_inputs():
    with pytest.raises(ValueError, match="two inputs"):
        stratified_circle_start(TwoLayer(3, 8), torch.Generator())


def sobolev_matrix(n, s):
    k = np.fft.fftfreq(n, 1 / n)
    waves = np.exp(-2j * np.pi * np.outer(k, np.arange(n)) / n) / n
    return (waves.conj().T @ np.diag((1 + k**2) ** s) @ waves).real


@pytest.mark.parametrize("n", [8, 9, 64])
@pytest.mark.parametrize("s", [-1.0, 0.0, 0.5, 1.0, 2.0])
def test_sobolev_against_the_dense_matrix(n, s):
    generator = torch.Generator().manual_seed(n)
    prediction, target = torch.randn(2, n, 1, dtype=torch.float64, generator=generator)
    r = (prediction - target)[:, 0].numpy()
    matrix = sobolev_matrix(n, s)
    assert float(sobolev(prediction, target, s)) == pytest.approx(r @ matrix @ r / 2, rel=1e-12)
    slope = grad(sobolev)(prediction, target, s)[:, 0].numpy()
    np.testing.assert_allclose(slope, matrix @ r, rtol=1e-9, atol=1e-12 * np.abs(matrix).max())


def test_sobolev_at_zero_is_half_the_mean_square_summed_over_features():
    generator = torch.Generator().manual_seed(0)
    prediction, target = torch.randn(2, 16, 3, dtype=torch.float64, generator=generator)
    expected = 0.5 * ((prediction - target) ** 2).sum(-1).mean()
    torch.testing.assert_close(sobolev(prediction, target), expected, rtol=1e-12, atol=0)


def test_sobolev_takes_a_lane_of_exponents():
    wave = torch.cos(2 * math.pi * 3 * torch.arange(16, dtype=torch.float64) / 16)[:, None]
    s = torch.tensor([0.0, 1.0, 2.0], dtype=torch.float64)
    values = vmap(sobolev, in_dims=(None, None, 0))(wave, torch.zeros_like(wave), s)
    torch.testing.assert_close(values, 0.25 * 10.0**s, rtol=1e-12, atol=0)


def test_hat_is_the_sum_of_three_rectifiers():
    x = torch.linspace(-3, 5, 801, dtype=torch.float64)
    three = torch.relu(x) - 2 * torch.relu(x - 1) + torch.relu(x - 2)
    torch.testing.assert_close(activation("hat")(x), three, rtol=0, atol=1e-14)

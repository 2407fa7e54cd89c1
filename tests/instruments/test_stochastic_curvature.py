"""Traces, norms and densities, which are estimated from random probes."""

import numpy as np
import pytest
import scipy.stats
import torch

from chymist.instruments import Operator, hessian, objective
from chymist.instruments.density import estimated_density
from chymist.instruments.operators import from_matrix
from chymist.instruments.probes import normals
from chymist.instruments.trace import METHODS, estimated_norm, estimated_trace, xtrace
from chymist.keys import Key
from chymist.testing.networks import small, two_layers

F64 = torch.float64
DRAWS = 300


def keys(count, first=0):
    return [Key("tests", "stochastic", first + i, "probes") for i in range(count)]


def matrix(decay, size=80):
    turn = torch.linalg.qr(torch.randn(
        size, size, generator=Key("tests", "stochastic", size, "turn").torch(), dtype=F64
    ))[0]  # fmt: skip
    return (turn * torch.arange(1, size + 1, dtype=F64) ** -decay) @ turn.T


def many(a, count=DRAWS):
    """The same matrix in many lanes, each with its own draws."""
    return Operator(lambda v: v @ a.mT, count, len(a), a)


@pytest.mark.parametrize("decay", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("method", METHODS)
def test_a_trace_is_unbiased_and_its_standard_error_true(method, decay):
    a = matrix(decay)
    found = estimated_trace(many(a), keys(DRAWS), method=method, products=24)
    scatter = found.value.std()
    if decay == 0.0:  # the identity: every method is exact
        torch.testing.assert_close(found.value, a.trace().expand(DRAWS), rtol=1e-10, atol=0)
        assert found.standard_error.max() < 1e-10
        return
    assert abs(found.value.mean() - a.trace()) < 4 * scatter / DRAWS**0.5
    ratio = scatter / found.standard_error.square().mean().sqrt()
    assert 0.6 < ratio < 1.5
    assert found.products == 24


def test_a_standard_error_falls_as_the_root_of_the_products():
    a = matrix(0.5)
    few, lots = (
        estimated_trace(many(a), keys(DRAWS), method="hutchinson", products=p) for p in (8, 72)
    )
    assert 2.6 < few.value.std() / lots.value.std() < 3.4


def test_where_the_spectrum_decays_deflation_pays():
    a = matrix(2.0)
    scatter = {
        m: float(estimated_trace(many(a), keys(DRAWS), method=m, products=24).value.std())
        for m in METHODS
    }
    assert scatter["xtrace"] < scatter["hutch++"] < scatter["hutchinson"] / 10


def test_xtrace_is_its_definition():
    # Leaving one probe out of the range, for each probe, in the plainest way.
    a = matrix(1.0, size=30)
    operator = from_matrix(a)
    omega = normals(operator, keys(1), 6)[0].mT
    expected = []
    for i in range(6):
        others = torch.cat([omega[:, :i], omega[:, i + 1 :]], dim=1)
        q = torch.linalg.qr(a @ others)[0]
        left = omega[:, i] - q @ (q.T @ omega[:, i])
        expected.append((q.T @ a @ q).trace() + 25 * (left @ a @ left) / (left @ left))
    found = xtrace(operator, keys(1), 12)
    torch.testing.assert_close(found[0], torch.stack(expected), rtol=1e-10, atol=0)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("rank", [0, 1, 3])
def test_a_trace_of_low_rank_is_finite_and_right(method, rank):
    a = matrix(0.0)[:, :rank] @ matrix(0.0)[:rank] if rank else torch.zeros(80, 80, dtype=F64)
    found = estimated_trace(many(a), keys(DRAWS), method=method, products=24)
    bound = 4 * found.value.std() / DRAWS**0.5 + 1e-9
    assert abs(found.value.mean() - a.trace()) < bound


def test_as_many_products_as_parameters_are_exact():
    a = matrix(1.0, size=20)
    operator = from_matrix(a)
    trace = estimated_trace(operator, keys(1), products=20)
    norm = estimated_norm(from_matrix(a), keys(1), products=40)
    torch.testing.assert_close(trace.value[0], a.trace())
    torch.testing.assert_close(norm.value[0], a.norm())
    assert trace.standard_error == 0 and norm.standard_error == 0
    assert operator.products == 20 and trace.gradients == 41


def test_a_norm_is_as_unbiased_as_it_says():
    a = matrix(0.5)
    found = estimated_norm(many(a), keys(DRAWS), products=24)
    scatter = found.value.std()
    # The root of an unbiased square is low by scatter^2 / 2 norm.
    expected = a.norm() - scatter**2 / (2 * a.norm())
    assert abs(found.value.mean() - expected) < 4 * scatter / DRAWS**0.5
    assert 0.6 < scatter / found.standard_error.square().mean().sqrt() < 1.5


def test_a_lost_lane_is_nan():
    a = torch.stack([matrix(1.0), matrix(1.0)])
    a[0, 0, 0] = torch.inf
    for estimate in (estimated_trace, estimated_norm):
        operator = from_matrix(a)
        operator.may_lose = True
        value = estimate(operator, keys(2), products=12).value
        assert value[0].isnan() and value[1].isfinite()


def spectrum():
    case = small("density", two_layers)
    operator = hessian(objective(case.model, case.loss, case.data))
    return operator, torch.linalg.eigvalsh(case.hessian)


def test_a_density_is_that_of_the_dense_spectrum():
    operator, exact = spectrum()
    found = estimated_density(operator, keys(1), probes=40, steps=45).lane(0)
    assert abs(torch.trapezoid(found.values, found.grid) - 1) < 1e-3
    bells = torch.exp(-0.5 * ((found.grid[:, None] - exact) / found.width) ** 2).mean(1)
    bells /= found.width * (2 * torch.pi) ** 0.5
    away = (found.values - bells).abs()
    assert bool((away <= 5 * found.standard_error + 1e-3 * bells.max()).all())
    distance = scipy.stats.wasserstein_distance(
        found.nodes.flatten(), exact, found.weights.flatten()
    )
    assert distance < 0.02 * float(exact.max() - exact.min())
    assert found.products == 40 * 45


def test_a_share_is_unbiased_and_its_standard_error_true():
    _, exact = spectrum()
    a = torch.diag(exact)
    whole = many(a, 200)
    found = estimated_density(whole, keys(200), probes=4, steps=len(exact))
    cut = 0.1 * float(exact.max())
    value, error = found.share(cut, np.inf)
    # On a diagonal matrix signs weigh every eigenvalue alike: exact for any draw.
    torch.testing.assert_close(value, ((exact > cut).double().mean()).expand(200))
    turned = matrix(0.5)
    found = estimated_density(many(turned, 200), keys(200), probes=4, steps=80)
    value, error = found.share(0.197, np.inf)
    share = (torch.linalg.eigvalsh(turned) > 0.197).double().mean()
    assert abs(value.mean() - share) < 4 * value.std() / 200**0.5
    assert 0.6 < value.std() / error.square().mean().sqrt() < 1.6


@pytest.mark.parametrize("a", [torch.zeros(6, 6), torch.eye(6), 1e-20 * torch.eye(6)])
def test_a_density_of_one_eigenvalue_is_one_bell(a):
    found = estimated_density(from_matrix(a), keys(1), probes=2).lane(0)
    assert bool(found.values.isfinite().all())
    assert abs(torch.trapezoid(found.values, found.grid) - 1) < 1e-2
    assert found.values.argmax() in (255, 256)


def test_the_width_is_the_kernels():
    a = torch.zeros(6, 6, dtype=F64)
    found = estimated_density(from_matrix(a), keys(1), probes=2, width=0.5).lane(0)
    assert found.width == 0.5
    second = torch.trapezoid(found.values * found.grid**2, found.grid)
    assert abs(second - 0.25) < 1e-3

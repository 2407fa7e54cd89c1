"""Alignment of noise and curvature, and non-uniformity, against matrices over the parameters."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from chymist import instruments
from chymist.errors import CannotMeasure
from chymist.testing import check_instrument, small_networks
from chymist.testing.networks import half_squared_error

F64 = torch.float64
CASES = small_networks()


def alone(case):
    x, y = case.data
    return [replace(case, data=(x[i : i + 1], y[i : i + 1])) for i in range(len(x))]


def newton(case):
    made = instruments.objective(case.model, case.loss, case.data)
    return instruments.dense(instruments.gauss_newton(made))[0]


def matrices(case):
    g = torch.stack([one.gradient for one in alone(case)])
    apart = g - g.mean(0)
    return apart.T @ apart / len(g), newton(case), case.value(case.row).detach()


def alignment_of(case):
    noise, curvature, value = matrices(case)
    mu = (noise @ curvature).trace() / (2 * value * curvature.norm() ** 2)
    alpha = (noise @ curvature).trace() / (noise.norm() * curvature.norm())
    beta = noise.norm() / (2 * value * curvature.norm())
    top = torch.linalg.eigvalsh(curvature)[-1]
    return torch.stack([mu, alpha, beta, curvature.trace(), curvature.norm(), top])


def nonuniformity_of(case):
    each = torch.stack([newton(one) for one in alone(case)])
    scatter = (each @ each).mean(0) - each.mean(0) @ each.mean(0)
    return torch.stack(
        [torch.linalg.eigvalsh(scatter)[-1].sqrt(), torch.linalg.eigvalsh(each.mean(0))[-1]]
    )


def numbers(found):
    return [
        found.factor, found.direction, found.magnitude, found.trace, found.norm, found.sharpness,
    ]  # fmt: skip


CONTRACTS = {
    "alignment": (
        instruments.noise_alignment,
        {"referee": alignment_of, "degree": None, "read": numbers},
    ),
    "nonuniformity": (
        instruments.nonuniformity,
        {"referee": nonuniformity_of, "read": lambda found: [found.value, found.sharpness]},
    ),
}


@pytest.mark.parametrize("name", CONTRACTS)
def test_alignment_keeps_the_contract(name):
    measure, options = CONTRACTS[name]
    check_instrument(measure, **options)


@pytest.mark.parametrize(("place", "degree"), [(0, 0), (1, 0), (2, 0), (3, 1), (4, 1), (5, 1)])
def test_alignment_is_free_of_the_losss_scale(place, degree):
    case = CASES[1]
    found = numbers(instruments.noise_alignment(case.model, case.loss, case.data))[place]
    tripled = lambda out, y: 3 * case.loss(out, y)  # noqa: E731
    again = numbers(instruments.noise_alignment(case.model, tripled, case.data))[place]
    torch.testing.assert_close(again, found * 3.0**degree)


def test_at_an_interpolating_minimum_curvature_is_the_hessians():
    case = CASES[0]
    with torch.no_grad():
        fitted = replace(case, data=(case.data[0], case.model(case.data[0])))
    found = instruments.nonuniformity(fitted.model, fitted.loss, fitted.data)
    each = torch.stack([one.hessian for one in alone(fitted)])
    scatter = (each @ each).mean(0) - each.mean(0) @ each.mean(0)
    torch.testing.assert_close(found.value, torch.linalg.eigvalsh(scatter)[-1].sqrt())
    torch.testing.assert_close(found.sharpness, torch.linalg.eigvalsh(fitted.hessian)[-1])


def test_white_noise_of_the_same_trace_would_not_be_aligned():
    # The control of the claim: isotropic noise has mu = tr(Sigma) tr(G) / (P 2 L ||G||^2).
    case = CASES[0]
    noise, curvature, value = matrices(case)
    isotropic = noise.trace() * curvature.trace() / len(noise) / (2 * value * curvature.norm() ** 2)
    found = instruments.noise_alignment(case.model, case.loss, case.data)
    assert float(found.factor) > 3 * float(isotropic)


def test_residuals_of_equal_size_give_the_closed_form():
    # Sigma = r^2 G - g g^T and 2 L = r^2: mu = 1 - g^T G g / (r^2 ||G||^2).
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(12, 3, generator=draw, dtype=F64)
    line = nn.Linear(3, 1, bias=False).double()
    nn.init.zeros_(line.weight)
    y = torch.randint(0, 2, (12, 1), generator=draw).double() * 2 - 1
    gram, g = x.T @ x / 12, -(x * y).mean(0)
    expected = 1 - g @ gram @ g / gram.square().sum()
    found = instruments.noise_alignment(line, half_squared_error, (x, y))
    torch.testing.assert_close(found.factor, expected)


def test_too_many_outputs_are_refused():
    x = torch.zeros(7000, 1)
    with pytest.raises(CannotMeasure, match="a part of the samples"):
        instruments.noise_alignment(nn.Linear(1, 1), half_squared_error, (x, x + 1))


def test_kernels_of_many_networks_give_the_nonuniformity_of_each():
    torch.manual_seed(0)
    networks = [nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 1)).double() for _ in "ab"]
    x = torch.randn(7, 3, dtype=F64)
    found = instruments.kernel_nonuniformity(torch.stack([instruments.ntk(m, x) for m in networks]))
    for lane, model in enumerate(networks):
        data = (x, torch.zeros(7, 1, dtype=F64))
        expected = instruments.nonuniformity(model, half_squared_error, data)
        torch.testing.assert_close(found.value[lane], expected.value)
        torch.testing.assert_close(found.sharpness[lane], expected.sharpness)

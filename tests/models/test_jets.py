from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from chymist import data
from chymist.bench import Bench, samples
from chymist.ensemble import every
from chymist.errors import BadParameter
from chymist.instruments import loss
from chymist.models import (
    MLP,
    SLOPES,
    BoxAnsatz,
    Encoded,
    MultiScale,
    MultiScaleInput,
    WithDerivatives,
    gaussian,
    jet,
    ritz,
    strong_residual,
)
from chymist.models.activations import ACTIVATIONS
from chymist.solvers import GradientDescent

F64 = torch.float64
NAMES = [name for name, function in ACTIVATIONS.items() if function in SLOPES]


def fourier():
    encoding = gaussian(5, 2)
    encoding.frequencies.normal_(generator=torch.Generator().manual_seed(1))
    return Encoded(encoding, MLP(10, 8, 1))


NETWORKS = {
    **{name: lambda name=name: MLP(2, 8, 7, 1, activation=name) for name in NAMES},
    "linear": lambda: nn.Linear(2, 1),
    "scales": lambda: MultiScale(lambda: MLP(2, 8, 7, 1, activation="phi"), [1, 4]),
    "input": lambda: MultiScaleInput([1, 4, 8], 2, 14, 8, 1),
    "input alone": lambda: MultiScaleInput([1, 4], 2, 8, 1),
    "fourier": fourier,
    "box": lambda: BoxAnsatz(MLP(2, 8, 7, 1)),
    "box of linear": lambda: BoxAnsatz(nn.Linear(2, 1)),
}


@pytest.fixture(params=NETWORKS)
def network(request):
    torch.manual_seed(0)
    return NETWORKS[request.param]().to(F64)


def by_autograd(network, x):
    x = x.clone().requires_grad_()
    u = network(x)
    (slope,) = torch.autograd.grad(u.sum(), x, create_graph=True)
    laplacian = torch.zeros(len(x), dtype=F64)
    for i in range(x.shape[1]):
        if slope.requires_grad:
            found = torch.autograd.grad(slope[:, i].sum(), x, retain_graph=True, allow_unused=True)
            laplacian += 0 if found[0] is None else found[0][:, i]
    return torch.cat([u, slope, laplacian[:, None]], dim=1).detach()


def test_derivatives_are_those_of_nested_autograd(network):
    x = torch.as_tensor(np.random.default_rng(0).uniform(-1, 1, (9, 2)))
    torch.testing.assert_close(WithDerivatives(network)(x), by_autograd(network, x),
                               rtol=1e-10, atol=1e-10)  # fmt: skip
    short = WithDerivatives(network, laplacian=False)(x)
    torch.testing.assert_close(short, by_autograd(network, x)[:, :3], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", NAMES)
def test_slopes_and_curvatures_are_differences(name):
    z = torch.linspace(-1.87, 4.13, 41, dtype=F64)
    value, slope, curvature = SLOPES[ACTIVATIONS[name]](z, True)
    h = 1e-5
    f = ACTIVATIONS[name]
    torch.testing.assert_close(value, f(z))
    torch.testing.assert_close(slope, (f(z + h) - f(z - h)) / (2 * h), atol=1e-8, rtol=1e-8)
    second = (f(z + h) - 2 * f(z) + f(z - h)) / h**2
    torch.testing.assert_close(curvature, second, atol=2e-5, rtol=1e-4)


def test_a_wave_has_its_own_derivatives():
    wave = MLP(1, 1, 1, activation="sin").to(F64)
    with torch.no_grad():
        for layer, (weight, bias) in zip(wave.layers, ((3.0, 0.5), (2.0, 0.0)), strict=True):
            layer.weight.fill_(weight)
            layer.bias.fill_(bias)
    x = torch.linspace(-1, 1, 7, dtype=F64)[:, None]
    u, du, ddu = WithDerivatives(wave)(x).T
    phase = 3 * x[:, 0] + 0.5
    torch.testing.assert_close(u, 2 * phase.sin())
    torch.testing.assert_close(du, 6 * phase.cos())
    torch.testing.assert_close(ddu, -18 * phase.sin())


@pytest.mark.parametrize("criterion", [ritz, strong_residual])
@pytest.mark.parametrize("structure", ["tanh", "sin", "phi", "srelu", "scales", "input", "fourier"])
def test_the_kernel_trains_them_as_autograd_does(structure, criterion):
    problem = data.equation("boltzmann-square", 3.0, 1.5)
    x, y = data.equation_samples(
        problem, [np.random.default_rng(s) for s in (0, 1)], [0, 1], inside=9, border=4, sets=3
    )
    runs = [
        Bench("s", "e", (0, 1), dtype=F64).networks(
            lambda: WithDerivatives(NETWORKS[structure](), laplacian=criterion is strong_residual)
        )
        for _ in range(2)
    ]
    found = []
    for networks, engine in zip(runs, ("native", "stacked"), strict=True):
        networks = replace(networks, engine=engine)
        found.append(
            networks.train(
                GradientDescent(1e-6),
                x,
                y,
                steps=12,
                loss=criterion,
                batch=13,
                shuffle=False,
                record={loss: every()},
            )
        )
    native, stacked = (f.data.loss for f in found)
    assert (native.isel(step=-1) != native.isel(step=0)).all()
    np.testing.assert_allclose(native, stacked, rtol=1e-8)


def test_what_has_no_known_derivatives_is_refused():
    with pytest.raises(BadParameter, match="derivatives of Sequential are not known"):
        WithDerivatives(nn.Sequential(nn.Linear(1, 1)))
    with pytest.raises(BadParameter, match="the activation's derivatives are not known"):
        WithDerivatives(MLP(1, 4, 1, activation="gelu"))
    with pytest.raises(BadParameter, match="derivatives of Sequential are not known"):
        jet(MultiScale(lambda: nn.Sequential(nn.Linear(1, 1)), [1]), torch.zeros(2, 1))


def test_the_energy_of_the_solution_is_its_integral():
    """The integral of u'^2/2 - f u for u = sin(mu x) is -mu^2/2 (1 - sin(2 mu)/(2 mu))."""
    mu = 3.0
    problem = data.equation("poisson-line", mu)
    x, y = data.equation_points(problem, np.random.default_rng(0), 20_000, 2)
    truth = np.stack([np.sin(mu * x[:, 0]), mu * np.cos(mu * x[:, 0])], axis=1)
    energy = ritz(torch.as_tensor(truth), torch.as_tensor(y)).item()
    exact = mu**2 / 2 * (1 + np.sin(2 * mu) / (2 * mu)) - mu**2 * (1 - np.sin(2 * mu) / (2 * mu))
    assert energy == pytest.approx(exact, abs=1e-3)
    missed = torch.as_tensor(truth + np.array([0.1, 0.0]))
    apart = ritz(missed, torch.as_tensor(y), penalty=100.0).item() - energy
    shift = 100.0 * 0.01 - 0.1 * (y[:, 0] * y[:, 3]).mean()
    assert apart == pytest.approx(shift, rel=1e-6)


@pytest.mark.parametrize("name", sorted(data.EQUATIONS))
def test_the_solution_has_no_residual(name):
    """By central differences of the solution: the source is minus its Laplacian plus c u."""
    problem = data.equation(name, 2.5, 1.7)
    x, y = data.equation_points(problem, np.random.default_rng(0), 40, 12)
    h, u = 1e-4, problem.solution
    laplacian = -2 * problem.domain.dims * u(x)
    for axis in np.eye(problem.domain.dims):
        laplacian = laplacian + u(x + h * axis) + u(x - h * axis)
    out = np.zeros((len(x), 2 + problem.domain.dims))
    out[:, 0], out[:, -1] = u(x), laplacian / h**2
    left = strong_residual(torch.as_tensor(out), torch.as_tensor(y)).item()
    assert left < 1e-9
    out[:, 0] += 0.1
    assert strong_residual(torch.as_tensor(out), torch.as_tensor(y)).item() > 1


def test_samples_are_of_one_lane_each():
    problem = data.equation("poisson-line", 3.0)
    x, y = data.equation_samples(
        problem, [np.random.default_rng(s) for s in (4, 7)], [4, 7], inside=5, border=2, sets=2
    )
    assert x.dims == y.dims == ("seed", "sample", "feature")
    alone, target = data.equation_points(problem, np.random.default_rng(7), 5, 2, 2)
    np.testing.assert_array_equal(x.sel(seed=7), alone)
    np.testing.assert_array_equal(y.sel(seed=7), target)
    assert samples(alone).shape == (14, 1)

from functools import partial

import numpy as np
import pytest
import torch

from chymist import models, solvers
from chymist.bench import Bench, samples
from chymist.instruments import dst_modes, loss, sine_error


@pytest.mark.parametrize("dims", [1, 2])
def test_the_losses_are_quadratic_forms_of_the_error(dims):
    generator = np.random.default_rng(0)
    u, exact = generator.normal(size=(2, *(7,) * dims))
    b = solvers.laplacian(exact)
    given = [torch.as_tensor(a.reshape(-1, 1)) for a in (u, b)]
    energy = float(models.ritz_discrete(*given, dims=dims))
    e = u - exact
    least = -0.5 * (exact * b).mean()
    assert energy - least == pytest.approx(0.5 * (e * solvers.laplacian(e)).mean())
    residual = float(models.residual_discrete(*given, dims=dims))
    assert residual == pytest.approx(0.5 * (solvers.laplacian(e) ** 2).mean())


def test_a_box_network_vanishes_on_the_border_only():
    torch.manual_seed(0)
    network = models.BoxAnsatz(models.MLP(2, 8, 1))
    border = torch.tensor([[1.0, 0.2], [-1.0, 0.2], [0.3, 1.0], [0.3, -1.0]])
    assert network(border).abs().max() == 0
    assert network(torch.tensor([[0.3, 0.2]])).abs() > 1e-3


def test_a_network_of_least_energy_solves_the_equation():
    n = 16
    x = np.linspace(-1, 1, n + 1)[1:-1]
    u = np.sin(np.pi * (x + 1) / 2) + 0.5 * np.sin(np.pi * (x + 1))
    bench = Bench("test", "ritz", (0, 1))
    networks = bench.networks(lambda: models.BoxAnsatz(models.MLP(1, 16, 1)),
                              partial(models.gaussian_start, first_gain=2.0))  # fmt: skip
    target = samples(u).isel(feature=0, drop=True)
    run = bench.train(
        networks, solvers.Adam(1e-2), samples(x), samples(solvers.laplacian(u)), steps=600,
        loss=models.ritz_discrete, record={loss: lambda s: [0, s],
                                           sine_error(target, [1, 2]): lambda s: [0, s]},
    )  # fmt: skip
    assert float(run.data.error.sel(step=600).max()) < 0.05
    left = run.end.predict(samples(x)).values[..., 0] - u
    np.testing.assert_allclose(
        run.data.error.sel(step=600), abs(dst_modes(left)[:, :2]) / [1, 0.5], atol=1e-5
    )

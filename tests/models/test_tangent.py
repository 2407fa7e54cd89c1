import math

import numpy as np
import pytest
import torch

from chymist.bench import Bench, samples
from chymist.instruments import empirical_ntk
from chymist.models import TangentMLP, normal_start
from chymist.theory import infinite_width
from chymist.theory.dual_activations import erf, leaky_relu


def test_forward_is_the_formula():
    module = TangentMLP(3, 8, 6, 1, activation="erf", gain=1.5).double()
    x = torch.randn(5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    one, two, three = (layer.weight for layer in module.layers)
    h = torch.erf(x @ one.T / math.sqrt(3))
    h = torch.erf(1.5 * h @ two.T / math.sqrt(8))
    torch.testing.assert_close(module(x), 1.5 * h @ three.T / math.sqrt(6), rtol=1e-12, atol=1e-14)
    assert sum(p.numel() for p in module.parameters()) == 24 + 48 + 6


@pytest.mark.parametrize(("name", "dual", "gain"), [
    ("relu", leaky_relu(), math.sqrt(2)), ("erf", erf(), 1.0)
])  # fmt: skip
@pytest.mark.parametrize("depth", [1, 2])
def test_wide_networks_have_the_kernel_of_the_limit(name, dual, gain, depth):
    x = np.random.default_rng(0).normal(size=(4, 3))
    bench = Bench("tests", "tangent", tuple(range(8)), dtype=torch.float64)
    made = bench.networks(
        lambda: TangentMLP(3, *[1024] * depth, 1, activation=name, gain=gain),
        lambda module, generator: normal_start(module, generator, std=1.0),
    )
    kernel = made.measure(empirical_ntk, samples(x), ("sample", "other"))
    limit = infinite_width.kernels(x, x, dual, depth, weight_variance=gain**2, first_variance=1).ntk
    error = kernel.std("seed", ddof=1).values / math.sqrt(8)
    assert np.all(abs(kernel.mean("seed").values - limit) < 6 * error)
    assert error.max() < 0.1 * abs(limit).max()

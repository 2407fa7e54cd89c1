"""Networks, data and solvers that the engine's tests share."""

import numpy as np
import torch
import xarray as xr
from torch import nn

from chymist import instruments
from chymist.bench import Bench
from chymist.instruments import Instrument
from chymist.models import MLP, TwoLayer, gaussian_start
from chymist.solvers import Adam, GradientDescent, Momentum

F64 = torch.float64
RNG = np.random.default_rng(0)
X = RNG.normal(size=(13, 2))
Y = np.sin(X.sum(1))
SOLVERS = {
    "gd": GradientDescent(0.05),
    "momentum": Momentum(0.02),
    "nesterov": Momentum(0.02, nesterov=True),
    "adam": Adam(0.003),
}
MODELS = {
    "mlp": (lambda: MLP(2, 9, 7, 1), gaussian_start),
    "two-layer": (lambda: TwoLayer(2, 10), None),
    "layer-norm": (lambda: nn.Sequential(nn.Linear(2, 5), nn.LayerNorm(5), nn.Linear(5, 1)), None),
}
CASES = [(model, solver, None) for model in ("mlp", "two-layer") for solver in SOLVERS]
CASES += [("mlp", "adam", 4), ("layer-norm", "momentum", None), ("layer-norm", "gd", 4)]
weights = Instrument(
    "weights",
    lambda s: torch.cat([p.reshape(len(p), -1) for p in s.parameters.values()], dim=1),
    dims=("weight",),
)
loss = instruments.loss


def networks(model="mlp", seeds=(0, 1, 2), dtype=F64, start=None):
    build, usual = MODELS[model]
    return Bench("s", "e", tuple(seeds), dtype=dtype).networks(build, start or usual)


def named(name, *values):
    return xr.DataArray(list(values), dims=name, coords={name: list(values)})


def identical(a, b):
    xr.testing.assert_identical(a.data, b.data)
    return all(torch.equal(p, b.end.parameters[n]) for n, p in a.end.parameters.items())

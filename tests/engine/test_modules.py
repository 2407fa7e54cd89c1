from functools import partial

import numpy as np
import pytest
import torch
from small_networks import F64, SOLVERS, X, Y, named, networks
from torch import nn

from chymist import instruments
from chymist.bench import Bench, samples
from chymist.ensemble import initialise
from chymist.models import MLP


class Shifted(nn.Module):
    """Adds a buffer, has a parameter nobody uses and one that is frozen."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 1)
        self.unused = nn.Parameter(torch.ones(3))
        self.frozen = nn.Parameter(torch.ones(1), requires_grad=False)
        self.register_buffer("shift", torch.zeros(1))

    def forward(self, x):
        return self.layer(x) + self.shift * self.frozen


def shifted_start(module, generator, *, shift):
    module.shift.fill_(shift)


@pytest.mark.parametrize("solver", [*SOLVERS.values()], ids=list(SOLVERS))
def test_buffers_differ_by_lane_and_only_used_parameters_move(solver):
    bench = Bench("s", "e", (0, 1), dtype=F64)
    ensemble = bench.networks(Shifted, partial(shifted_start, shift=named("shift", 0.0, 5.0)))
    assert set(ensemble.parameters) == {"layer.weight", "layer.bias", "unused"}
    assert ensemble.buffers["shift"].flatten().tolist() == [0.0, 0.0, 5.0, 5.0]
    out = ensemble.predict(samples(X))
    np.testing.assert_allclose(out[1], out[0] + 5.0)
    end = ensemble.train(solver, samples(X), samples(Y), steps=9, record={}).end
    assert all(torch.equal(b, end.buffers[n]) for n, b in ensemble.buffers.items())
    assert torch.equal(end.parameters["unused"], ensemble.parameters["unused"])
    assert not torch.equal(end.parameters["layer.bias"], ensemble.parameters["layer.bias"])


def test_a_module_without_parameters_is_refused():
    with pytest.raises(ValueError, match="Tanh has no parameter to train"):
        Bench("s", "e", (0, 1)).networks(nn.Tanh)


def test_measure_names_what_an_instrument_returns():
    ensemble = networks(seeds=(4, 2))
    kernel = ensemble.measure(instruments.empirical_ntk, samples(X), ("sample", "other"))
    assert kernel.dims == ("seed", "sample", "other")
    assert kernel.seed.values.tolist() == [4, 2]


def test_initialise_uses_the_dtype():
    made = initialise(lambda: MLP(1, 2, 1), None, [0, 1], Bench("s", "e", (0,)).key, dtype=F64)
    assert {p.dtype for p in made.parameters.values()} == {F64}

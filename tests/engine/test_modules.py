from functools import partial

import numpy as np
import pytest
import torch
from small_networks import F64, SOLVERS, X, Y, named, networks
from torch import nn

from chymist import ensemble as ensembles
from chymist import instruments
from chymist.bench import Bench, samples
from chymist.ensemble import every, initialise, mean_squared_error
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


class Deciding(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 1)

    def forward(self, x):
        out = self.layer(x)
        return out if out.sum() > 0 else -2 * out


def test_a_module_that_decides_by_its_data_is_trained_one_by_one_and_warned_of():
    ensemble = Bench("s", "e", range(6), dtype=F64).networks(Deciding)
    with pytest.warns(UserWarning, match="Deciding decides by its data what it does"):
        out = ensemble.predict(samples(X))
    modules = [Deciding().double() for _ in range(6)]
    for lane, module in enumerate(modules):
        module.load_state_dict({n: p[lane] for n, p in ensemble.parameters.items()})
        np.testing.assert_allclose(out[lane], module(torch.tensor(X)).detach(), rtol=1e-12)
    signs = {bool((m.layer(torch.tensor(X)).sum() > 0).item()) for m in modules}
    assert signs == {True, False}
    with pytest.warns(UserWarning, match="one by one, which is slow"):
        run = ensemble.train(
            SOLVERS["gd"], samples(X), samples(Y), steps=5, record={instruments.loss: every()}
        )
    assert "PyTorch operations" in run.path
    for lane, module in enumerate(modules):
        loss = mean_squared_error(module(torch.tensor(X)), torch.tensor(Y)[:, None])
        np.testing.assert_allclose(run.data.loss[lane, 0], loss.item(), rtol=1e-12)
    assert (run.data.loss[:, -1] < run.data.loss[:, 0]).all()


@pytest.mark.parametrize(
    ("layer", "why"),
    [
        (nn.Dropout(), "draws random numbers in its forward pass: put dropout into eval mode"),
        (nn.BatchNorm1d(3), "changes a state in its forward pass, which cannot be stacked"),
    ],
)
def test_a_module_that_cannot_be_stacked_is_refused_by_name(layer, why):
    ensemble = Bench("s", "e", (0, 1)).networks(
        lambda: nn.Sequential(nn.Linear(2, 3), layer, nn.Linear(3, 1))
    )
    for use in (
        lambda: ensemble.predict(samples(X)),
        lambda: ensemble.train(SOLVERS["gd"], samples(X), samples(Y), steps=2, record={}),
    ):
        with pytest.raises(ValueError, match=f"Sequential {why}"):
            use()


def test_large_networks_are_called_one_by_one_and_end_where_vmap_ends(monkeypatch):
    ends = []
    for large in (2**40, 0):
        monkeypatch.setattr(ensembles, "LARGE", large)
        run = networks("layer-norm").train(
            SOLVERS["adam"], samples(X), samples(Y), steps=9, batch=4, record={}
        )
        ends.append(run.end.parameters)
    for name, end in ends[0].items():
        torch.testing.assert_close(end, ends[1][name], rtol=1e-10, atol=1e-12)


def test_measure_names_what_an_instrument_returns():
    ensemble = networks(seeds=(4, 2))
    kernel = ensemble.measure(instruments.empirical_ntk, samples(X), ("sample", "other"))
    assert kernel.dims == ("seed", "sample", "other")
    assert kernel.seed.values.tolist() == [4, 2]


def test_initialise_uses_the_dtype():
    made = initialise(lambda: MLP(1, 2, 1), None, [0, 1], Bench("s", "e", (0,)).key, dtype=F64)
    assert {p.dtype for p in made.parameters.values()} == {F64}

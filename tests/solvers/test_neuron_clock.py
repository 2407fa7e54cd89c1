import numpy as np
import pytest
import torch
import xarray as xr

from chymist.bench import Bench, samples
from chymist.ensemble import every
from chymist.instruments import Instrument, stacked_neurons, training_directions
from chymist.models import TwoLayer, frozen_residual, normal_start
from chymist.solvers import NeuronClock

X = np.random.default_rng(0).normal(size=(12, 2))
Y = np.sin(X.sum(1))


def networks(bias=True, std=1e-4, width=7):
    bench = Bench("s", "e", (0, 1, 2), dtype=torch.float64)

    def build():
        return TwoLayer(2, width, activation="tanh", alpha=1.0, bias=bias)

    def start(module, generator):
        normal_start(module, generator, std=std)
        # A neuron much smaller than the others.
        module.inner.weight[0] *= 1e-3
        module.outer.weight[:, 0] *= 1e-3

    return bench.networks(build, start)


def rows(parameters):
    parts = [parameters["outer.weight"].movedim(1, 2), parameters["inner.weight"]]
    if "inner.bias" in parameters:
        parts.append(parameters["inner.bias"][..., None])
    return torch.cat(parts, dim=2)


norms = Instrument("norms", lambda s: rows(s.parameters).norm(dim=2), ("neuron",))


@pytest.mark.parametrize("bias", [True, False])
def test_norms_stay_and_every_neuron_turns(bias):
    run = networks(bias).train(
        NeuronClock(0.05), samples(X), samples(Y), steps=300, loss=frozen_residual,
        record={norms: every(100), training_directions("inner"): every(100)},
    )  # fmt: skip
    np.testing.assert_allclose(run.data.norms, run.data.norms.isel(step=[0] * 4), rtol=1e-9)
    end = stacked_neurons(run.end.parameters, "inner").directions
    inputs = np.column_stack([X, np.ones(12)]) if bias else X
    c = Y @ inputs
    cosine = abs(end.numpy() @ c) / np.linalg.norm(c)
    assert cosine.min() > 0.9999
    assert run.data.direction.dims == ("seed", "step", "neuron", "feature")
    np.testing.assert_array_equal(run.data.neuron, range(7))


def test_one_step_is_its_formula():
    before = networks()
    run = before.train(
        NeuronClock(0.05), samples(X), samples(Y), steps=1, loss=frozen_residual, record={}
    )
    for lane in range(3):
        module = TwoLayer(2, 7, activation="tanh", alpha=1.0).double()
        module.load_state_dict({n: p[lane] for n, p in before.parameters.items()})
        frozen_residual(module(torch.tensor(X)), torch.tensor(Y)[:, None]).backward()
        theta = rows({n: p.detach()[None] for n, p in module.named_parameters()})[0]
        g = rows({n: p.grad[None] for n, p in module.named_parameters()})[0]
        size = theta[:, 1:].norm(dim=1, keepdim=True)
        moved = theta - 0.05 * size * g / g.norm(dim=1, keepdim=True)
        moved = moved * theta.norm(dim=1, keepdim=True) / moved.norm(dim=1, keepdim=True)
        found = rows({n: p[lane : lane + 1] for n, p in run.end.parameters.items()})[0]
        torch.testing.assert_close(found, moved, rtol=1e-12, atol=0)


def test_the_step_may_differ_by_lane():
    steps = xr.DataArray([0.01, 0.05], coords={"s": [0.01, 0.05]}, dims="s")
    options = {"steps": 20, "loss": frozen_residual, "record": {norms: every(20)}}
    together = networks().train(NeuronClock(steps), samples(X), samples(Y), **options)
    for i, s in enumerate((0.01, 0.05)):
        alone = networks().train(NeuronClock(s), samples(X), samples(Y), **options)
        found = together.end.parameters["inner.weight"].view(2, 3, 7, 2)[i]
        torch.testing.assert_close(found, alone.end.parameters["inner.weight"], rtol=1e-9, atol=0)


def test_a_neuron_without_gradient_rests():
    nets = networks()
    # Neither output nor input weights: nothing to move, and nothing to divide by.
    nets.parameters["inner.weight"][:, 3] = 0.0
    nets.parameters["inner.bias"][:, 3] = 0.0
    nets.parameters["outer.weight"][:, :, 3] = 0.0
    run = nets.train(
        NeuronClock(0.05), samples(X), samples(Y), steps=5, loss=frozen_residual, record={}
    )
    assert (run.end.parameters["inner.weight"][:, 3] == 0).all()
    assert all(p.isfinite().all() for p in run.end.parameters.values())

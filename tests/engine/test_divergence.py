from dataclasses import replace

import numpy as np
import pytest
import torch
import xarray as xr
from small_networks import CASES, SOLVERS, X, Y, loss, named, networks, weights
from torch import nn

from chymist.bench import Bench, samples
from chymist.ensemble import every
from chymist.solvers import GradientDescent


def line(*rates, seeds=(0, 1), steps=3000):
    """Train f(x) = w x on a quadratic of curvature lambda = mean x^2 in float32."""
    bench = Bench("s", "e", tuple(seeds))
    ensemble = bench.networks(lambda: nn.Linear(1, 1, bias=False))
    x = samples(X[:, :1])
    record = {loss: every(50), weights: every(1000)}
    return ensemble, ensemble.train(
        GradientDescent(named("lr", *rates)), x, 2 * x, steps=steps, record=record
    )


def test_gradient_descent_diverges_beyond_two_over_the_curvature():
    edge = 2 / np.mean(X[:, 0] ** 2)
    rates = edge * (np.linspace(0.8, 1.2, 21) + 0.01)
    ensemble, run = line(*rates)
    diverged = run.data.diverged_at.notnull()
    expected = xr.DataArray(rates > edge, dims="lr", coords={"lr": rates})
    assert (diverged == expected).all()
    # The error grows as |1 - lr lambda|^t until its square overflows in float32.
    start = np.abs(ensemble.parameters["weight"].flatten().numpy() - 2) * np.abs(X[:, 0]).max()
    growth = np.abs(1 - rates[-1] * np.mean(X[:, 0] ** 2))
    expected = np.log(np.sqrt(np.finfo(np.float32).max) / start) / np.log(growth)
    np.testing.assert_allclose(run.data.diverged_at[-1], expected, rtol=0, atol=1.5)


def test_records_are_missing_from_divergence_on_and_the_lane_is_frozen():
    edge = 2 / np.mean(X[:, 0] ** 2)
    ensemble, run = line(0.5 * edge, 1.5 * edge, 0.9 * edge)
    at = run.data.diverged_at
    assert at.isel(lr=[0, 2]).isnull().all()
    dead = at.isel(lr=1)
    assert dead.notnull().all()
    known = run.data.loss.dropna("step", how="all")
    for seed in (0, 1):
        lane = known.isel(lr=1).sel(seed=seed)
        before = lane.step < dead.sel(seed=seed)
        assert lane[before].notnull().all()
        assert lane[~before].isnull().all()
        assert before.any()
        assert (~before).any()
        again = ensemble.train(
            GradientDescent(1.5 * edge),
            samples(X[:, :1]),
            2 * samples(X[:, :1]),
            steps=int(dead.sel(seed=seed)),
            record={},
        )
        frozen = run.end.parameters["weight"].unflatten(0, (3, 2))[1, seed]
        assert torch.equal(again.end.parameters["weight"][seed], frozen)
    assert run.data.loss.isel(lr=0, step=-1).max() < 1e-6


@pytest.mark.parametrize("wild", [1e6, 1e30])
@pytest.mark.parametrize(("model", "solver", "batch"), CASES)
def test_divergent_lanes_disturb_nobody(solver, model, wild, batch):
    def run(rate):
        lr = named("which", "calm", "other").copy(data=[0.01, rate])
        return networks(model, dtype=torch.float32).train(
            replace(SOLVERS[solver], lr=lr.drop_vars("which").assign_coords(which=[0, 1])),
            samples(X),
            samples(Y),
            steps=40,
            batch=batch,
            record={weights: every()},
        )

    wilder, calm = run(wild), run(0.02)
    if wild == 1e30:
        assert wilder.data.diverged_at.sel(which=1).notnull().all()
    assert calm.data.diverged_at.isnull().all()
    xr.testing.assert_identical(wilder.data.sel(which=0), calm.data.sel(which=0))
    ends = [run.end.parameters for run in (wilder, calm)]
    assert all(torch.equal(p[:3], ends[1][n][:3]) for n, p in ends[0].items())


def test_finite_losses_whose_sum_overflows_are_not_divergence():
    y = samples(np.full((1, 1), 1.5e19))
    run = networks(dtype=torch.float32, seeds=range(12)).train(
        GradientDescent(0.0), samples(X[:1]), y, steps=2, record={loss: every()}
    )
    assert np.isfinite(run.data.loss).all()
    assert run.data.loss.isel(step=0).astype(float).sum() > np.finfo(np.float32).max
    assert run.data.diverged_at.isnull().all()


def test_a_start_that_is_not_finite_diverges_at_step_0():
    ensemble = networks()
    ensemble.parameters["layers.0.weight"][1] = float("nan")
    run = ensemble.train(
        GradientDescent(0.1), samples(X), samples(Y), steps=3, record={loss: every()}
    )
    assert run.data.diverged_at.values.tolist()[1] == 0.0
    assert run.data.diverged_at.isel(seed=[0, 2]).isnull().all()
    assert run.data.loss.isel(seed=1).isnull().all()

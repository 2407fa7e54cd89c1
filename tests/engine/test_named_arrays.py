import re
from functools import partial

import numpy as np
import pytest
import torch
import xarray as xr
from small_networks import (
    X,
    Y,
    loss,
    named,
    networks,
    weights,
)

from chymist.bench import samples
from chymist.ensemble import Lanes, every
from chymist.models import gaussian_start
from chymist.solvers import GradientDescent


def test_lanes_of_start_solver_loss_and_data_join_by_name():
    def scaled(prediction, target, scale, power):
        return scale * (prediction - target).abs().pow(power).mean()

    ensemble = networks(seeds=(5, 2), start=partial(gaussian_start, gain=named("gain", 0.5, 1.0)))
    assert ensemble.lanes == Lanes({"gain": (0.5, 1.0), "seed": (5, 2)})
    y = samples(np.stack([Y, Y**2, Y**3]), power_of_y=[1, 2, 3])
    x = samples(np.stack([X, 2 * X]), zoom=[1, 2])
    record = {loss: every(4), weights: every(4)}
    run = ensemble.train(
        GradientDescent(named("lr", 0.01, 0.1)),
        x,
        y,
        steps=8,
        loss=partial(scaled, scale=named("scale", 1.0, 3.0), power=2),
        record=record,
    )
    dims = ("gain", "lr", "scale", "zoom", "power_of_y", "seed")
    assert run.data.loss.dims == (*dims, "step")
    assert run.data.diverged_at.dims == dims
    assert run.data.seed.values.tolist() == [5, 2]
    for where in (
        {"gain": 0.5, "lr": 0.1, "scale": 3.0, "zoom": 1, "power_of_y": 3, "seed": 2},
        {"gain": 1.0, "lr": 0.01, "scale": 1.0, "zoom": 2, "power_of_y": 2, "seed": 5},
    ):
        alone = networks(
            seeds=(where["seed"],), start=partial(gaussian_start, gain=where["gain"])
        ).train(
            GradientDescent(where["lr"]),
            samples(where["zoom"] * X),
            samples(Y ** where["power_of_y"]),
            steps=8,
            loss=partial(scaled, scale=where["scale"], power=2),
            record=record,
        )
        for name in ("loss", "weights"):
            np.testing.assert_allclose(
                run.data[name].sel(where), alone.data[name].squeeze("seed"), rtol=0, atol=1e-13
            )


def test_a_name_shared_by_two_arrays_is_one_dimension():
    lr = xr.DataArray([0.1, 0.2, 0.3], dims="seed", coords={"seed": [0, 1, 2]})
    y = samples(np.stack([Y, 2 * Y, 3 * Y]), seed=[0, 1, 2])
    run = networks().train(GradientDescent(lr), samples(X), y, steps=3, record={loss: every()})
    assert run.data.loss.dims == ("seed", "step")
    alone = networks(seeds=(1,)).train(
        GradientDescent(0.2), samples(X), samples(2 * Y), steps=3, record={loss: every()}
    )
    np.testing.assert_allclose(run.data.loss[1], alone.data.loss[0], rtol=0, atol=1e-13)


def test_an_ensemble_is_copied_to_new_lanes():
    ensemble = networks(seeds=(4, 7))
    wide = ensemble.spread(ensemble.lanes.joined([named("k", 1, 2, 3)]))
    assert wide.lanes.dims == ("k", "seed")
    for name, stacked in wide.parameters.items():
        for k in range(3):
            assert torch.equal(stacked[2 * k : 2 * k + 2], ensemble.parameters[name])


def test_a_start_gets_the_numbers_of_its_lane_and_the_draws_of_its_seed():
    start = partial(gaussian_start, first_gain=named("g", 1.0, 4.0))
    ensemble = networks(seeds=(0, 1), start=start)
    first = ensemble.parameters["layers.0.weight"].unflatten(0, (2, 2))
    torch.testing.assert_close(4 * first[0], first[1])
    assert not torch.equal(first[0, 0], first[0, 1])


@pytest.mark.parametrize(
    ("solver", "x", "y", "says"),
    [
        (
            GradientDescent(xr.DataArray([0.1, 0.2], dims="seed", coords={"seed": [8, 9]})),
            X,
            Y,
            "lane dimension seed has two different coordinates",
        ),
        (GradientDescent(xr.DataArray([0.1, 0.2], dims="lr")), X, Y, "lr needs a coordinate"),
        (GradientDescent(0.1), X, Y[:5], "x has 13 samples and y has 5"),
        (
            GradientDescent(0.1),
            samples(X).transpose("feature", "sample"),
            Y,
            r"the last must be \('sample', 'feature'\)",
        ),
        (GradientDescent(0.1), torch.zeros(3, 13, 2), Y, "a tensor must be (sample, feature)"),
    ],
)
def test_data_that_do_not_fit_are_refused(solver, x, y, says):
    x = samples(x) if isinstance(x, np.ndarray) else x
    with pytest.raises(ValueError, match=says if "\\" in says else re.escape(says)):
        networks().train(solver, x, samples(y), steps=1, record={})

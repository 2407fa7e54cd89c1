import numpy as np
import pytest
import torch
import xarray as xr

from chymist.bench import Bench, samples
from chymist.ensemble import every
from chymist.instruments import relative_distance
from chymist.models import MLP, MultiScale, WithDerivatives
from chymist.solvers import GradientDescent

POINTS = np.linspace(-1, 1, 17)[:, None]


def recorded(build, instrument, x=POINTS, y=None, outputs=1):
    networks = Bench("s", "e", (0, 1), dtype=torch.float64).networks(build)
    target = samples(np.zeros((len(x), outputs))) if y is None else y
    run = networks.train(GradientDescent(0.0), samples(x), target, steps=1,
                         record={instrument: every()})  # fmt: skip
    return networks, run.data


def test_it_is_the_norm_of_the_difference_on_other_points():
    truth = xr.DataArray(np.cos(POINTS[:, 0]), dims="sample")
    networks, run = recorded(
        lambda: MLP(1, 5, 1), relative_distance(samples(POINTS), truth), x=POINTS[:3]
    )
    out = networks.predict(samples(POINTS)).values[..., 0]
    wanted = np.linalg.norm(out - truth.values, axis=1) / np.linalg.norm(truth.values)
    np.testing.assert_allclose(run.error.isel(step=0), wanted, rtol=1e-12)


def test_lanes_have_their_own_truth():
    truth = xr.DataArray(
        np.stack([np.sin(k * POINTS[:, 0]) for k in (1, 3)]), {"k": [1, 3]}, ("k", "sample")
    )
    y = samples(np.zeros((2, 17, 1)), k=[1, 3])
    networks, run = recorded(lambda: MLP(1, 5, 1), relative_distance(samples(POINTS), truth), y=y)
    out = networks.predict(samples(POINTS)).values[..., 0]
    for k in (1, 3):
        own = truth.sel(k=k).values
        wanted = np.linalg.norm(out - own, axis=1) / np.linalg.norm(own)
        np.testing.assert_allclose(run.error.sel(k=k, step=0), wanted, rtol=1e-12)


@pytest.mark.parametrize("total", [False, True])
def test_further_outputs_count_when_they_are_parts(total):
    truth = xr.DataArray(np.ones(17), dims="sample")
    measure = relative_distance(samples(POINTS), truth, "gap", total=total)
    networks, run = recorded(
        lambda: MultiScale(lambda: MLP(1, 5, 1), [1, 2, 3], apart=True), measure, outputs=3
    )
    out = networks.predict(samples(POINTS)).values
    used = out.sum(-1) if total else out[..., 0]
    wanted = np.linalg.norm(used - 1, axis=1) / np.sqrt(17)
    np.testing.assert_allclose(run.gap.isel(step=0), wanted, rtol=1e-12)


def test_derivatives_do_not_count():
    truth = xr.DataArray(np.ones(17), dims="sample")
    measure = relative_distance(samples(POINTS), truth)
    networks, run = recorded(lambda: WithDerivatives(MLP(1, 5, 1)), measure, outputs=3)
    out = networks.predict(samples(POINTS)).values[..., 0]
    wanted = np.linalg.norm(out - 1, axis=1) / np.sqrt(17)
    np.testing.assert_allclose(run.error.isel(step=0), wanted, rtol=1e-12)

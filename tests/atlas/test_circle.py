from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import xarray as xr

from chymist import models
from chymist.atlas.frequency.circle import ANGLE, LEARNT, RING, kernel_theory, learn_frequencies
from chymist.bench import Bench, samples
from chymist.ensemble import every
from chymist.instruments import own_error, time_to
from chymist.solvers import GradientDescent

BENCH = Bench("frequency-principle", "circle", (0, 1))


def lane(name, values):
    return xr.DataArray(values, dims=name, coords={name: values})


@pytest.fixture(scope="module")
def learnt():
    return learn_frequencies(BENCH, lane("k", [2, 5]), lane("s", [0.0, 1.0]), neurons=64, limit=300)


def test_rounds_are_one_training(learnt):
    networks = BENCH.networks(partial(models.TwoLayer, 2, 128), models.stratified_circle_start)
    y = samples(0.01 * np.cos(np.outer([2, 5], ANGLE)), k=[2, 5])
    whole = BENCH.train(
        networks, GradientDescent(learnt.step_size.sel(s=0.0, drop=True)), RING, y, steps=300,
        loss=partial(models.sobolev, s=0.0), record={own_error(y): every()},
    ).data.error  # fmt: skip
    shown = learnt.error.sel(s=0.0, drop=True).dropna("step", how="all")
    assert shown.step.max() > 64
    xr.testing.assert_allclose(shown, whole.sel(step=shown.step).transpose(*shown.dims), atol=1e-5)
    stopped = whole.sel(step=slice(0, 256))
    np.testing.assert_array_equal(
        learnt.time_to_learn.sel(s=0.0), time_to(stopped, LEARNT).transpose("k", "seed")
    )


def test_a_loss_whose_frequencies_are_learnt_trains_no_further(learnt):
    assert learnt.error.sel(s=1.0).dropna("step", how="all").step.max() <= 64
    assert learnt.error.sel(s=1.0).dropna("step", how="all").isel(step=-1).max() < LEARNT


def test_the_kernel_predicts_what_the_networks_do(learnt):
    theory = kernel_theory(None, learnt)
    ratio = learnt.time_to_learn / theory.time_to_learn
    assert float(ratio.sel(s=0.0).min()) > 0.95
    assert float(ratio.sel(s=0.0).max()) < 1.2
    assert float(learnt.drift.max()) < 0.02


def test_large_targets_leave_the_lazy_regime(learnt):
    large = learn_frequencies(
        BENCH, lane("k", [5]), lane("s", [0.0]), neurons=64, amplitude=3.0, limit=256
    )
    assert float(large.drift.min()) > 10 * float(learnt.drift.max())

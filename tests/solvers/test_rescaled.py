from functools import partial

import numpy as np
import pytest
import torch
import xarray as xr

from chymist import instruments, models
from chymist.bench import Bench, samples
from chymist.ensemble import every
from chymist.solvers import Adam, GradientDescent, RescaledAdam, RescaledDescent

BENCH = Bench("tests", "rescaled", (0, 1), dtype=torch.float64)
X = samples(np.random.default_rng(0).normal(size=(8, 6 * 8)))
Y = samples(np.random.default_rng(1).normal(size=(8, 2)))


def curve(solver, **start):
    build = partial(models.Transformer, 6, 8, width=16, blocks=1, outputs=2)
    networks = BENCH.networks(build, partial(models.transformer_start, **start))
    record = {instruments.loss: every()}
    return BENCH.train(networks, solver, X, Y, steps=6, record=record).data.loss


@pytest.mark.parametrize(
    ("plain", "rescaled"),
    [(Adam(0.01), RescaledAdam), (GradientDescent(0.1), RescaledDescent)],
)
def test_small_queries_with_their_own_step_size_are_the_division(plain, rescaled):
    division = curve(plain)
    lr, pattern = plain.lr, "*.query.weight"
    t5 = {"division": 0.0, "query": 0.5}
    matched = curve(rescaled(lr, pattern=pattern, factor=0.25), **t5)
    np.testing.assert_allclose(matched, division, rtol=1e-12)
    assert abs(curve(plain, **t5) - division).isel(step=-1).min() > 1e-6


def test_the_factor_may_be_a_lane():
    factor = xr.DataArray([1.0, 0.25], {"factor": [1.0, 0.25]})
    both = curve(RescaledAdam(0.01, pattern="*.query.weight", factor=factor))
    for f in (1.0, 0.25):
        alone = curve(RescaledAdam(0.01, pattern="*.query.weight", factor=f))
        np.testing.assert_allclose(both.sel(factor=f), alone, rtol=1e-12)


def test_a_pattern_that_matches_nothing_is_refused():
    with pytest.raises(ValueError, match="no parameter matches 'querry'"):
        curve(RescaledAdam(0.01, pattern="querry"))

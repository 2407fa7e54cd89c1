from dataclasses import replace

import numpy as np
import pytest
import torch
import xarray as xr
from small_networks import (
    CASES,
    F64,
    MODELS,
    RNG,
    SOLVERS,
    X,
    Y,
    identical,
    loss,
    named,
    networks,
    weights,
)
from token_modules import FEATURES, Chunked
from torch import nn

from chymist import ensemble as ensemble_module
from chymist import training
from chymist.bench import Bench, samples
from chymist.ensemble import every
from chymist.instruments import Instrument
from chymist.models import MLP, TwoLayer
from chymist.solvers import Adam, GradientDescent, Momentum


@pytest.mark.parametrize(("model", "solver", "batch"), CASES)
@pytest.mark.parametrize(("dtype", "close"), [(F64, 1e-13), (torch.float32, 1e-6)])
def test_a_lane_does_not_feel_its_packing(model, solver, dtype, close, batch, monkeypatch):
    ends = []
    # Sixteen in one group and in eight, four, and one alone.
    for seeds, cache in ((range(16), 2**30), (range(16), 1), ((3, 0, 9, 5), 2**30), ((3,), 2**30)):
        monkeypatch.setattr(training, "CACHE", cache)
        run = networks(model, seeds, dtype).train(
            SOLVERS[solver],
            samples(X),
            samples(Y),
            steps=100,
            batch=batch,
            record={loss: every(10)},
        )
        ends.append(run.data.loss.sel(seed=3))
        assert run.data.loss.isel(step=-1).max() < 10
    for other in ends[1:]:
        np.testing.assert_allclose(ends[0], other, rtol=0, atol=close)


@pytest.mark.parametrize(("dtype", "close"), [(F64, 1e-13), (torch.float32, 1e-6)])
def test_a_lane_of_tokens_does_not_feel_its_packing(dtype, close, engine, monkeypatch):
    x = samples(RNG.normal(size=(10, FEATURES)))
    ends = []
    for seeds, cache in ((range(6), 2**30), (range(6), 1), ((3, 0), 2**30), ((3,), 2**30)):
        monkeypatch.setattr(training, "CACHE", cache)
        run = (
            Bench("s", "e", tuple(seeds), dtype=dtype)
            .networks(Chunked)
            .train(Adam(0.01), x, x[:, :2], steps=20, batch=4, record={weights: every(10)})
        )
        ends.append(run.data.weights.sel(seed=3))
    for other in ends[1:]:
        # The kernel has one lane in hand at a time: the very bits.
        atol = 0 if engine == "native" else close
        np.testing.assert_allclose(ends[0], other, rtol=0, atol=atol)


@pytest.mark.parametrize("model", MODELS)
def test_threads_change_no_bit(model, monkeypatch):
    ensemble = networks(model, range(11), torch.float32)
    solver = Adam(named("lr", 0.001, 0.01))
    y = samples(np.stack([Y, Y**2]), target=["y", "y2"])
    for cache in (1, 2**30):
        monkeypatch.setattr(training, "CACHE", cache)
        runs = []
        for workers in (2, 1, 5):
            torch.set_num_threads(workers)
            runs.append(
                ensemble.train(solver, samples(X), y, steps=20, batch=5, record={weights: every(7)})
            )
            assert torch.get_num_threads() == workers
        assert all(identical(runs[0], run) for run in runs[1:])
    torch.set_num_threads(2)


def test_groups_change_no_bit_where_sizes_are_multiples_of_sixteen(monkeypatch):
    x = samples(RNG.normal(size=(32, 2)))
    ensemble = Bench("s", "e", tuple(range(9))).networks(lambda: TwoLayer(2, 64))
    runs = []
    for cache in (1, 2**17, 2**30):
        monkeypatch.setattr(training, "CACHE", cache)
        runs.append(
            ensemble.train(
                Momentum(0.1), x, x.isel(feature=[0]) ** 2, steps=40, record={weights: every(10)}
            )
        )
    assert identical(runs[0], runs[1])
    assert identical(runs[0], runs[2])


@pytest.mark.parametrize("dtype", [F64, torch.float32])
@pytest.mark.parametrize("width", [16, 64, 256])
def test_one_lane_by_itself_has_the_bits_it_has_among_others(width, dtype):
    x = samples(RNG.normal(size=(64, 16)))
    runs = [
        Bench("s", "e", seeds, dtype=dtype)
        .networks(lambda: MLP(16, width, width, 1))
        .train(GradientDescent(0.05), x, x.isel(feature=[0]), steps=20, record={weights: every(5)})
        for seeds in ((7,), (7, 8, 9, 10))
    ]
    np.testing.assert_array_equal(runs[0].data.weights[0], runs[1].data.weights[0])


def test_a_large_network_by_itself_is_called_once_a_step(monkeypatch):
    # Above this size those that cannot be stacked are called one by one, and need no padding.
    monkeypatch.setattr(ensemble_module, "LARGE", 0)
    called = []

    class Counted(nn.LayerNorm):
        def forward(self, x):
            called.append(len(x))
            return torch.cumsum(super().forward(x), 1)  # which nobody has rewritten

    def train(seeds):
        made = Bench("s", "e", seeds, dtype=F64).networks(
            lambda: nn.Sequential(nn.Linear(2, 5), Counted(5), nn.Linear(5, 1))
        )
        called.clear()
        run = made.train(Momentum(0.02), samples(X), samples(Y), steps=20, record={loss: every(4)})
        return run, sum(n == len(X) for n in called)

    (alone, calls), (among, all_calls) = train((7,)), train((6, 7, 8))
    # A step each, the last evaluation, and what finds out what they hold.
    assert calls == 22
    assert all_calls == 3 * 21 + 1
    np.testing.assert_allclose(alone.data.loss[0], among.data.loss[1], rtol=0, atol=1e-13)


def test_memory_bounds_the_groups_and_results_agree(monkeypatch):
    # Bits may differ where lanes of odd sizes come to lie otherwise in memory.
    sizes = []
    init = training.Group.__init__

    def spy(self, task, rows):
        sizes.append(len(rows))
        init(self, task, rows)

    monkeypatch.setattr(training.Group, "__init__", spy)
    ensemble = networks(seeds=range(9))
    runs = []
    for memory in (2**30, 40_000, 1):
        sizes.clear()
        runs.append(
            replace(ensemble, memory=memory).train(
                Momentum(0.02), samples(X), samples(Y), steps=5, record={weights: every()}
            )
        )
        assert sum(sizes) == 9
        assert min(sizes) >= 2
        assert max(sizes) <= {2**30: 9, 40_000: 5, 1: 3}[memory]
    for other in runs[1:]:
        np.testing.assert_allclose(runs[0].data.weights, other.data.weights, rtol=0, atol=1e-13)


def test_groups_hold_at_least_two_lanes_and_every_lane_once():
    for lanes in range(1, 40):
        for held in (1.0, 1e5, 1e9):
            split = training.groups(lanes, held, held, 2**30)
            assert torch.cat(split).tolist() == list(range(lanes))
            assert lanes == 1 or min(map(len, split)) >= 2
    assert len(training.groups(56, 280_000.0, 280_000.0, 2**30)) == 4
    # What is held only between steps bears on the memory, not on the cache.
    assert len(training.groups(56, 280_000.0, 2**24, 2**30)) == 4
    assert len(training.groups(56, 280_000.0, 2**27, 2**30)) == 8


def test_predict_in_pieces_equals_predict_at_once():
    ensemble = networks(seeds=range(7))
    whole = ensemble.predict(samples(X))
    assert whole.dims == ("seed", "sample", "feature")
    xr.testing.assert_identical(whole, replace(ensemble, memory=1).predict(samples(X)))
    xr.testing.assert_identical(whole, ensemble.predict(torch.tensor(X)))
    alone = networks(seeds=(4,)).predict(samples(X))
    xr.testing.assert_identical(whole.sel(seed=[4]), alone)


def test_recorded_predictions_are_those_of_the_end():
    out = Instrument("out", lambda s: s.predict(s.x), dims=("sample", "feature"))
    run = networks().train(Adam(0.01), samples(X), samples(Y), steps=7, record={out: every()})
    np.testing.assert_array_equal(run.data.out.isel(step=-1), run.end.predict(samples(X)))
    target = Instrument(
        "t",
        lambda s: s.place(samples(Y)).expand(len(s.prediction), -1, -1),
        dims=("sample", "feature"),
    )
    run = networks().train(Adam(0.01), samples(X), samples(Y), steps=2, record={target: every()})
    assert (run.data.t.squeeze("feature").values == Y).all()

import re
import threading
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
import xarray as xr
from torch import nn

from chymist import instruments, training
from chymist.bench import Bench, samples
from chymist.ensemble import Lanes, every, initialise, log_spaced, mean_squared_error
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
weights = Instrument(
    "weights",
    lambda s: torch.cat([p.flatten(1) for p in s.parameters.values()], dim=1),
    dims=("weight",),
)
loss = instruments.loss


@pytest.fixture(autouse=True)
def threads():
    """Two threads, whatever the machine has; and the engine must leave the number alone."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    assert torch.get_num_threads() == 2
    torch.set_num_threads(before)


@pytest.fixture
def small_groups(monkeypatch):
    """Make groups as small as they get."""
    monkeypatch.setattr(training, "CACHE", 1)


def networks(model="mlp", seeds=(0, 1, 2), dtype=F64, start=None):
    build, usual = MODELS[model]
    return Bench("s", "e", tuple(seeds), dtype=dtype).networks(build, start or usual)


def named(name, *values):
    return xr.DataArray(list(values), dims=name, coords={name: list(values)})


def identical(a, b):
    xr.testing.assert_identical(a.data, b.data)
    return all(torch.equal(p, b.end.parameters[n]) for n, p in a.end.parameters.items())


# Packing


CASES = [(model, solver, None) for model in ("mlp", "two-layer") for solver in SOLVERS]
CASES += [("mlp", "adam", 4), ("layer-norm", "momentum", None), ("layer-norm", "gd", 4)]


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


def test_memory_bounds_the_groups_and_results_agree(monkeypatch):
    # Bits may differ where lanes of odd sizes come to lie otherwise in memory.
    sizes = []
    init = training._Loop.__init__

    def spy(self, task, rows):
        sizes.append(len(rows))
        init(self, task, rows)

    monkeypatch.setattr(training._Loop, "__init__", spy)
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
            split = training.groups(lanes, held, 2**30)
            assert torch.cat(split).tolist() == list(range(lanes))
            assert lanes == 1 or min(map(len, split)) >= 2
    assert len(training.groups(56, 280_000.0, 2**30)) == 4


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


# Named arrays


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


# Minibatches


def test_minibatches_are_drawn_by_key_without_replacement(small_groups):
    torch.set_num_threads(1)
    ensemble = networks("two-layer", seeds=(3, 8))
    y = samples(np.stack([np.arange(13.0), np.arange(13.0)]), copy=[0, 1])
    batches = Instrument("batch", lambda s: s.loss)
    seen = {}
    orders = training._Batches.take

    def spy(self, x, y):
        out = orders(self, x, y)
        for lane, seed in enumerate(self.seeds):
            seen.setdefault((self, lane, seed), []).append(out[1][lane].flatten().tolist())
        return out

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training._Batches, "take", spy)
        ensemble.train(
            GradientDescent(1e-6), samples(X), y, steps=9, batch=4, record={batches: every()}
        )
    torch.set_num_threads(2)
    by_seed = {seed: [v for (_, _, s), v in seen.items() if s == seed] for seed in (3, 8)}
    for found in by_seed.values():
        assert len(found) == 2
        assert all(order == found[0] for order in found)
    assert by_seed[3][0] != by_seed[8][0]
    for order in (found[0] for found in by_seed.values()):
        for epoch in range(3):
            used = [place for batch in order[3 * epoch : 3 * epoch + 3] for place in batch]
            assert len(used) == len(set(used)) == 12
    assert by_seed[3][0][:3] != by_seed[3][0][3:6]


def test_minibatch_training_equals_a_plain_loop():
    ensemble = networks(seeds=(6, 1))
    run = ensemble.train(
        GradientDescent(0.1), samples(X), samples(Y), steps=10, batch=4, record={loss: every()}
    )
    module = MLP(2, 9, 7, 1).double()
    module.load_state_dict({n: p[1] for n, p in ensemble.parameters.items()})
    generator = Bench("s", "e", (1,)).key(1, "batches").torch()
    x, y, full = torch.tensor(X), torch.tensor(Y)[:, None], []
    for step in range(10):
        if step % 3 == 0:
            order = torch.randperm(13, generator=generator)
        picked = order[4 * (step % 3) : 4 * (step % 3) + 4]
        full.append(mean_squared_error(module(x), y).item())
        module.zero_grad()
        mean_squared_error(module(x[picked]), y[picked]).backward()
        with torch.no_grad():
            for p in module.parameters():
                p -= 0.1 * p.grad
    np.testing.assert_allclose(run.data.loss.sel(seed=1)[:-1], full, rtol=0, atol=1e-12)


def test_a_batch_of_all_samples_descends_as_full_batch():
    runs = [
        networks()
        .train(
            GradientDescent(0.1),
            samples(X),
            samples(Y),
            steps=5,
            batch=batch,
            record={loss: every()},
        )
        .data.loss
        for batch in (None, 13)
    ]
    np.testing.assert_allclose(*runs, rtol=1e-12)


@pytest.mark.parametrize("batch", [0, 14])
def test_a_batch_that_cannot_be_drawn_is_refused(batch):
    with pytest.raises(ValueError, match=f"batch {batch} cannot be drawn from 13 samples"):
        networks().train(SOLVERS["gd"], samples(X), samples(Y), steps=1, batch=batch, record={})


# Divergence


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


# Recording


def test_schedules_join_with_missing_values_between():
    run = networks().train(
        GradientDescent(0.01),
        samples(X),
        samples(Y),
        steps=20,
        record={loss: every(10), weights: every(3)},
    )
    assert run.data.step.values.tolist() == [0, 3, 6, 9, 10, 12, 15, 18, 20]
    assert run.data.loss.dropna("step").step.values.tolist() == [0, 10, 20]
    assert run.data.weights.dropna("step").step.values.tolist() == [0, 3, 6, 9, 12, 15, 18, 20]
    assert run.data.loss.attrs == {"long_name": "training loss over all samples", "units": "1"}


@pytest.mark.parametrize(
    ("schedule", "steps", "expected"),
    [
        (every(4), 10, [0, 4, 8, 10]),
        (every(), 2, [0, 1, 2]),
        (every(4), 0, [0]),
        (log_spaced(3), 100, [0, 1, 10, 100]),
        (log_spaced(50), 3, [0, 1, 2, 3]),
        (log_spaced(5), 0, [0]),
    ],
)
def test_schedules(schedule, steps, expected):
    assert list(schedule(steps)) == expected


@pytest.mark.parametrize(
    "instrument",
    [
        Instrument("loss", lambda s: s.loss + 1),
        Instrument("other", lambda s: s.prediction[..., 0], dims=("seed",)),
        Instrument("step", lambda s: s.loss),
    ],
)
def test_instruments_whose_names_collide_are_refused(instrument):
    with pytest.raises(ValueError, match=r"two instruments are called|uses the name of"):
        networks().train(
            GradientDescent(0.1),
            samples(X),
            samples(Y),
            steps=1,
            record={loss: every(), instrument: every()},
        )


def test_no_steps_measure_the_start():
    ensemble = networks()
    run = ensemble.train(Adam(0.1), samples(X), samples(Y), steps=0, record={loss: every()})
    expected = 0.5 * ((ensemble.predict(samples(X)) - samples(Y)) ** 2).sum("feature")
    np.testing.assert_allclose(run.data.loss.squeeze("step"), expected.mean("sample"), rtol=1e-14)
    assert all(torch.equal(p, run.end.parameters[n]) for n, p in ensemble.parameters.items())


def test_the_end_holds_the_last_recorded_parameters_and_the_start_is_untouched():
    ensemble = networks()
    before = {n: p.clone() for n, p in ensemble.parameters.items()}
    run = ensemble.train(Adam(0.01), samples(X), samples(Y), steps=6, record={weights: every(2)})
    flat = torch.cat([p.flatten(1) for p in run.end.parameters.values()], dim=1)
    np.testing.assert_array_equal(run.data.weights.isel(step=-1), flat)
    assert not torch.equal(flat[0], torch.tensor(run.data.weights.isel(step=-2).values[0]))
    assert all(torch.equal(p, before[n]) for n, p in ensemble.parameters.items())
    assert not any(p.requires_grad for p in run.end.parameters.values())


@pytest.mark.parametrize("lr", [0.05, named("lr", 0.02, 0.05)])
def test_a_run_goes_on_from_anothers_end(lr):
    whole = networks().train(
        GradientDescent(lr), samples(X), samples(Y), steps=20, record={weights: every(10)}
    )
    half = networks().train(GradientDescent(lr), samples(X), samples(Y), steps=10, record={})
    rest = half.end.train(
        GradientDescent(lr), samples(X), samples(Y), steps=10, record={weights: every(10)}
    )
    np.testing.assert_array_equal(rest.data.weights.values, whole.data.weights[..., 1:, :].values)


def test_an_instrument_may_place_named_arrays_and_predict_elsewhere():
    y = samples(np.stack([Y, 2 * Y]), k=[1, 2])
    elsewhere = samples(X[:3] + 1)
    error = Instrument("error", lambda s: (s.prediction - s.place(y)).square().mean((1, 2)))
    outside = Instrument("outside", lambda s: s.predict(s.place(elsewhere))[..., 0], ("point",))
    run = networks().train(
        GradientDescent(0.01),
        samples(X),
        y,
        steps=4,
        record={error: every(), outside: every(4), loss: every()},
    )
    np.testing.assert_allclose(run.data.error, 2 * run.data.loss, rtol=1e-12)
    expected = run.end.predict(elsewhere).squeeze("feature")
    np.testing.assert_array_equal(run.data.outside.isel(step=-1), expected)


def test_a_named_array_is_placed_once_a_group(monkeypatch, small_groups):
    placed = []
    place = Lanes.place
    monkeypatch.setattr(Lanes, "place", lambda self, a: placed.append(a) or place(self, a))
    goal = samples(Y)
    error = Instrument("error", lambda s: (s.prediction - s.place(goal)).square().mean((1, 2)))
    networks(seeds=range(4)).train(
        GradientDescent(0.1), samples(X), samples(Y), steps=30, record={error: every()}
    )
    assert sum(array is goal for array in placed) == 2


def test_what_an_instrument_hands_out_is_kept_as_it_was():
    bias = Instrument("bias", lambda s: s.parameters["layers.2.bias"], dims=("output",))
    run = networks().train(
        GradientDescent(0.1), samples(X), samples(Y), steps=5, record={bias: every()}
    )
    assert (run.data.bias.diff("step") != 0).all()


# Modules


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


# Threads


@pytest.mark.parametrize("workers", [1, 2])
def test_progress_is_monotone_and_told_in_the_calling_thread(workers, small_groups):
    torch.set_num_threads(workers)
    told = []

    def progress(done, steps):
        told.append((done, steps, threading.current_thread() is threading.main_thread()))

    replace(networks(seeds=range(8)), progress=progress).train(
        GradientDescent(0.01), samples(X), samples(Y), steps=300, record={}
    )
    torch.set_num_threads(2)
    done = [d for d, _, _ in told]
    assert done == sorted(done)
    assert told[-1] == (300, 300, True)
    assert all(steps == 300 and main for _, steps, main in told)
    assert len(told) < 300


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_in_a_worker_surfaces_and_stops_the_others(workers, small_groups):
    torch.set_num_threads(workers)
    latest = [0]

    def measure(snapshot):
        latest[0] = max(latest[0], snapshot.step)
        if snapshot.step == 20 and bool((snapshot.parameters["mark"] > 0).any()):
            raise ZeroDivisionError("an instrument failed")
        return snapshot.loss

    class Marked(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.mark = nn.Linear(2, 1), nn.Parameter(torch.zeros(1))

        def forward(self, x):
            return self.layer(x)

    def start(module, generator, *, mark):
        module.mark.fill_(mark)

    ensemble = Bench("s", "e", (0, 1)).networks(
        Marked, partial(start, mark=named("mark", 0.0, 1.0))
    )
    with pytest.raises(ZeroDivisionError, match="an instrument failed"):
        # With one worker the group that does not fail comes first, and has to end.
        ensemble.train(
            GradientDescent(0.0),
            samples(X),
            samples(Y),
            steps=10**6 if workers == 2 else 30,
            record={Instrument("m", measure): every()},
        )
    assert latest[0] < 10**5
    assert torch.get_num_threads() == workers
    torch.set_num_threads(2)
    assert threading.active_count() == 1


def test_an_interrupt_stops_promptly(small_groups):
    def progress(done, steps):
        if done > 0:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        replace(networks(seeds=range(8)), progress=progress).train(
            GradientDescent(0.01), samples(X), samples(Y), steps=10**7, record={}
        )
    assert threading.active_count() == 1
    assert torch.get_num_threads() == 2


def test_training_works_where_gradients_are_off():
    with torch.no_grad():
        run = networks().train(
            GradientDescent(0.1), samples(X), samples(Y), steps=5, record={loss: every()}
        )
        assert not torch.is_grad_enabled()
    assert (run.data.loss.isel(step=-1) < run.data.loss.isel(step=0)).all()

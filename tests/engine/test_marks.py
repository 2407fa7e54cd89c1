"""Recordings that the kernel goes past are those at which it stops, bit for bit."""

import numpy as np
import pytest
import torch
from by_kernel import need_kernel
from small_networks import SOLVERS, X, Y, identical, loss, named, networks, weights
from torch import nn

from chymist.bench import Bench, samples
from chymist.ensemble import every, log_spaced
from chymist.group import Group
from chymist.instruments import Instrument, spectral_error
from chymist.native import run as native
from chymist.solvers import Adam, GradientDescent

drawn = Instrument("drawn", lambda s: s.prediction[..., 0].clone(), ("sample",))
elsewhere = Instrument("elsewhere", lambda s: s.predict(s.x + 1)[..., 0], ("point",))


@pytest.fixture(autouse=True)
def engine():
    need_kernel()


@pytest.fixture
def visits(monkeypatch):
    """The steps at which visits of the kernel ended, and how many forward halves they did."""
    ends = []
    visit = native._Machine.visit

    def spy(self, last, marks=(), *, evaluate=False):
        ends.append((self.done, last, evaluate))
        visit(self, last, marks, evaluate=evaluate)

    monkeypatch.setattr(native._Machine, "visit", spy)
    return ends


def forward_halves(visits):
    return sum(last - first + evaluate for first, last, evaluate in visits)


def train(ensemble, solver, record, **options):
    options = {"steps": 60, **options}
    run = ensemble.train(solver, samples(X), samples(Y), record=record, **options)
    assert run.path.startswith("compiled kernel")
    return run


def by_stops(monkeypatch, *args, **options):
    """Train with a stop at every recording."""
    with monkeypatch.context() as patch:
        patch.setattr(Group, "next_reading", lambda self, step: step)
        return train(*args, **options)


@pytest.mark.parametrize("batch", [None, 5])
@pytest.mark.parametrize("seeds", [(0, 1, 2), (4,)])
@pytest.mark.parametrize(
    "bounds", [{}, {"MARKED": 1}, {"VISIT": 1}, {"MARKED": 300, "VISIT": 10**5}]
)
def test_the_same_bits_as_with_a_stop_at_each(monkeypatch, bounds, seeds, batch):
    for name, value in bounds.items():
        monkeypatch.setattr(native, name, value)
    record = {
        loss: every(),
        drawn: log_spaced(7),
        spectral_error(samples(Y), [1, 2]): every(2),
        weights: lambda steps: [17, 40],
        elsewhere: every(25),
    }
    for solver in SOLVERS.values():
        args = networks(seeds=seeds), solver, record
        assert identical(train(*args, batch=batch), by_stops(monkeypatch, *args, batch=batch))


@pytest.mark.parametrize("rates", [(0.01, 1e30), (1e30, 0.01), (1e30, 1e29)])
def test_divergence_is_found_at_the_same_step(monkeypatch, rates):
    record = {loss: every(), drawn: every(7), weights: every(20)}
    args = networks(dtype=torch.float32), GradientDescent(named("lr", *rates)), record
    run = train(*args)
    assert identical(run, by_stops(monkeypatch, *args))
    at = run.data.diverged_at
    assert (at.sel(lr=[r for r in rates if r > 1]) < 10).all()
    assert (run.data.loss.notnull() == (at.isnull() | (run.data.step < at))).all()


def test_a_lane_that_diverges_on_the_way_is_recorded_until_then(monkeypatch):
    x, edge = samples(X[:, :1]), 2 / np.mean(X[:, 0] ** 2)
    made = Bench("s", "e", (0, 1)).networks(lambda: nn.Linear(1, 1, bias=False))

    def run():
        rates = GradientDescent(named("lr", 0.5 * edge, 2 * edge))
        return made.train(rates, x, 2 * x, steps=90, record={loss: every()})

    by_marks = run()
    at = by_marks.data.diverged_at
    assert (at.isel(lr=1) > 20).all()
    assert (by_marks.data.loss.notnull() == (at.isnull() | (by_marks.data.step < at))).all()
    monkeypatch.setattr(Group, "next_reading", lambda self, step: step)
    assert identical(by_marks, run())


@pytest.mark.parametrize("record", [{}, {loss: lambda steps: [0]}])
def test_divergence_after_the_last_recording_is_known(record):
    rates = named("lr", 0.01, 1e30)
    run = train(networks(dtype=torch.float32), GradientDescent(rates), record)
    assert run.data.diverged_at.sel(lr=0.01).isnull().all()
    assert (run.data.diverged_at.sel(lr=1e30) < 10).all()


def test_a_start_that_is_not_finite_records_nothing():
    ensemble = networks()
    ensemble.parameters["layers.0.weight"][1] = float("nan")
    run = train(ensemble, GradientDescent(0.1), {loss: lambda steps: [30, 60]})
    assert run.data.diverged_at.values.tolist()[1] == 0.0
    assert run.data.loss.isel(seed=1).isnull().all()
    assert run.data.loss.isel(seed=[0, 2]).notnull().all()


def test_outputs_at_every_step_cost_one_forward_half_a_step_and_no_stop(visits):
    train(networks(), Adam(0.01), {loss: every(), drawn: every(3)})
    # The first recordings of both, at step 0; then one visit to the end.
    assert visits == [(0, 0, True), (0, 60, True)]
    assert forward_halves(visits) == 62


def test_a_visit_ends_where_parameters_are_read(visits):
    train(networks(), Adam(0.01), {loss: every(), weights: every(25), elsewhere: every(30)})
    assert [last for _, last, _ in visits] == [0, 25, 30, 50, 60]


def test_the_outputs_kept_are_bounded(monkeypatch, visits):
    lanes, bytes_a_number = 3, 8
    monkeypatch.setattr(native, "MARKED", 4 * lanes * len(X) * bytes_a_number + 1)
    sizes = []
    init = native._Machine.__init__

    def spy(self, *args):
        init(self, *args)
        sizes.append(self.predictions.shape)

    monkeypatch.setattr(native._Machine, "__init__", spy)
    train(networks(), Adam(0.01), {loss: every()})
    assert sizes == [(5, lanes, len(X), 1)]
    # Step 0 is known from the first recording.
    assert [last for _, last, _ in visits] == [0, *range(5, 60, 4), 60]
    # Ends where no more can be kept are no stops: nothing is evaluated twice.
    assert forward_halves(visits) == 62


@pytest.mark.parametrize("dies", [False, True])
@pytest.mark.parametrize("stride", [10**10, 1])
def test_who_begins_late_to_read_parameters_gets_those_of_the_step(
    monkeypatch, stride, dies, visits
):
    monkeypatch.setattr(native, "VISIT", stride)

    def read(snapshot):
        if snapshot.step < 33:
            return torch.zeros_like(snapshot.loss)
        return torch.cat([p.flatten(1) for p in snapshot.parameters.values()], 1).square().sum(1)

    late = Instrument("late", read)
    rates = named("lr", 0.01, 1e30 if dies else 0.02)
    args = networks(dtype=torch.float32), Adam(rates), {late: every(3), loss: every()}
    run = train(*args)
    if stride > 1:
        # To the end, back to the start and to step 33; from there on it stops at each.
        assert [last for _, last, _ in visits] == [0, 60, 33, *range(36, 61, 3)]
    assert identical(run, by_stops(monkeypatch, *args))
    assert (run.data.late.isel(lr=0).sel(step=33) > 0).all()


def test_with_minibatches_who_begins_late_gets_them_too(monkeypatch):
    late = Instrument("late", lambda s: s.loss if s.step > 30 else s.place(zeros))
    zeros = named("seed", 0, 1, 2).copy(data=np.zeros(3))
    args = networks(), Adam(0.01), {late: every(4)}
    run = train(*args, batch=5)
    assert identical(run, by_stops(monkeypatch, *args, batch=5))
    assert (run.data.late.sel(step=[32, 60]) > 0).all()


def test_what_depends_on_data_alone_is_made_once_a_training():
    made = []

    def of_target(snapshot):
        made.append(snapshot.step)
        return snapshot.y.square().mean()

    share = Instrument("share", lambda s: s.loss / s.once(of_target))
    first = train(networks(), GradientDescent(0.1), {share: every(), loss: every()})
    assert made == [0]
    np.testing.assert_allclose(first.data.share, first.data.loss / np.mean(Y**2), rtol=1e-14)
    ensemble = networks()
    ensemble.train(
        GradientDescent(0.1), samples(X), samples(2 * Y), steps=1, record={share: every()}
    )
    assert made == [0, 0]


def test_progress_does_not_go_back():
    told = []
    ensemble = networks()
    object.__setattr__(ensemble, "progress", lambda done, steps: told.append(done))
    train(ensemble, GradientDescent(0.01), {loss: every(), weights: every(11)})
    assert told == sorted(told)
    assert told[-1] == 60


def test_equal_steps_of_two_instruments_are_one_mark():
    run = train(networks(), GradientDescent(0.01), {loss: every(2), drawn: every(3)}, steps=6)
    assert run.data.step.values.tolist() == [0, 2, 3, 4, 6]
    end = run.end.predict(samples(X)).isel(feature=0)
    np.testing.assert_allclose(run.data.drawn.isel(step=-1), end, rtol=1e-12)

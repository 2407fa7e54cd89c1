import numpy as np
import pytest
import torch
from small_networks import X, Y, loss, named, networks, weights

from chymist.bench import samples
from chymist.ensemble import Lanes, every, log_spaced
from chymist.instruments import Instrument
from chymist.solvers import Adam, GradientDescent


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

import numpy as np
import pytest
import xarray as xr

from chymist import data
from chymist.atlas.dynamics import escape, minima, own_checkpoint, well
from chymist.atlas.dynamics import sgd_escape as study
from chymist.bench import Bench
from chymist.errors import BadInput, BadParameter

SMALL = {"runs": 400, "threshold_runs": 20, "samples": 16, "width": 6, "gd_steps": 400,
         "restart_steps": 60, "orders": 3, "growth_orders": 64, "settle_steps": 50,
         "diagram_steps": 50, "diagram_batch": (1, 16)}  # fmt: skip


def run(name, **change):
    p = study.EscapeParams.parse({**SMALL, **change}).cells()[0]
    experiment = study.STUDY.experiment(name)
    data = experiment.run(p, Bench(study.STUDY.slug, name, (0, 1)))
    if experiment.prediction:
        predicted = experiment.prediction(p, data)
        data = data.assign({f"predicted_{n}": v for n, v in predicted.data_vars.items()})
    return data


@pytest.mark.parametrize("name", [e.name for e in study.STUDY.experiments])
def test_every_statistic_keeps_the_seeds(name):
    data = run(name)
    for claim in study.STUDY.experiment(name).claims:
        assert claim.statistic(data).sizes["seed"] == 2
    for figure in study.STUDY.experiment(name).figures:
        figure.draw(data, data)
        figure.draw(data, None)


def test_both_minima_have_one_sharpness_and_the_samples_disagree_at_one():
    x, h = np.array([0.0, 1.0]), 1e-4
    mean = (well.average(x + h) - well.average(x - h)) / (2 * h)
    np.testing.assert_allclose(mean, [2, 2])
    each = [(well.gradient(x + h, c) - well.gradient(x - h, c)) / (2 * h) for c in well.HALVES]
    np.testing.assert_allclose(np.std(each, axis=0), [0, 1.8], atol=1e-9)
    assert well.gradient(np.array([1 - well.EDGE + 1e-6]), 1.9) < 0
    assert well.gradient(np.array([1 - well.EDGE - 1e-6]), 1.9) > 0


def test_white_noise_and_no_noise_stay_where_sampling_leaves():
    shares = {kick: run("well", kick=kick).at_zero for kick in ("sample", "mean", "white")}
    assert (shares["sample"] == 1).all()
    assert (shares["mean"] == 0).all() and (shares["white"] == 0).all()


def test_what_is_stable_does_not_leave_in_one_dimension():
    assert np.isinf(run("well", step=0.5).time.sel(eps=1e-8)).all()


def test_restarts_begin_where_gradient_descent_ended():
    p = study.EscapeParams.parse(SMALL).cells()[0]
    bench = Bench("s", "restart", (0, 1))
    x, y = minima.problem(p, bench)
    start = minima.minima(p, bench, p.lr0)
    loss = (0.5 * (start.predict(x) - y) ** 2).mean(("sample", "feature"))
    first = run("settling").loss.isel(step=0)
    assert (loss < 0.1).all() and (first < 0.1).all()
    assert start.lanes.dims == ("lr0", "seed")


def test_the_accuracy_weighs_both_kinds_and_leaves_out_the_border():
    cells = {"lr0": [1.0], "lr": [1.0, 2.0, 3.0, 4.0], "batch": [1], "seed": [0]}
    shape, dims = (1, 4, 1, 1), tuple(cells)
    data = xr.Dataset(
        {
            "escaped": (dims, np.reshape([0.0, 0.0, 1.0, 1.0], shape)),
            "in_sharpness": (dims, np.full(shape, 0.5)),
            "in_nonuniformity": (dims, np.reshape([0.5, 1.1, 1.1, 2.0], shape)),
        },
        cells,
    )
    assert escape.by_rectangle(data).item() == 1
    wrong = data.assign(in_nonuniformity=2 + 0 * data.in_nonuniformity)
    assert escape.by_rectangle(wrong).item() == 0.5
    # On the curve at a tenth of 2/lr the bound is 0.6 of the rectangle's.
    low = data.assign(in_sharpness=0 * data.escaped + 0.1,
                      in_nonuniformity=0.8 * data.escaped + 0.3)  # fmt: skip
    assert escape.by_curve(low).item() == 1
    between = low.assign(in_nonuniformity=0.45 * data.escaped + 0.3)
    assert escape.by_curve(between).item() == 1
    assert escape.by_rectangle(between).item() == 0.5


def test_batches_without_epochs_give_the_mean_loss_of_the_linear_theory():
    # Two batches an epoch: in the next step the rest would be drawn, and the noise partly undone.
    data = run("first-steps", growth_batch=8, growth_orders=2000, growth_steps=6, growth_reach=0.5)
    ratio = data.loss / data.predicted_loss
    assert abs(ratio - 1).max() < 0.08


@pytest.mark.parametrize(
    "change",
    [
        {"step": 1.5},
        {"eps": 1.0},
        {"kick": "pink"},
        {"batch": (1, 100)},
        {"diagram_batch": (65,)},
        {"growth_reach": 1},
        {"samples": 2000},
    ],
)
def test_parameters_out_of_range_are_refused(change):
    with pytest.raises(BadParameter):
        study.EscapeParams.parse(change)


def given(tmp_path, rows):
    key = np.random.default_rng(3)
    x = key.normal(size=(rows, 3))
    lines = [f"{a:.5f},{b:.5f},{c:.5f},{np.sign(a * b):.0f}" for a, b, c in x]
    path = tmp_path / "own.csv"
    path.write_text("\n".join(["a,b,c,y", *lines]) + "\n")
    return data.one_target(path)


def test_restarts_take_your_table(tmp_path):
    table, notes = given(tmp_path, 12), []
    p = study.EscapeParams.parse({**SMALL, "batch": (1, 12), "gd_steps": 16}).cells()[0]
    bench = Bench(study.STUDY.slug, "restart", (0, 1), input=table, note=notes.append)
    found = escape.restart(p, bench)
    assert found.sizes["batch"] == 2
    # A batch of all rows has no noise, and so no bound.
    assert (found.in_nonuniformity.sel(batch=12) == 0).all()
    assert [n for n in notes if n.startswith("the minimum leaves")]
    other = escape.restart(p, Bench(study.STUDY.slug, "restart", (0, 1)))
    assert abs(other.sharpness - found.sharpness).min() > 1e-6


def test_a_batch_larger_than_your_table_is_refused(tmp_path):
    p = study.EscapeParams.parse({**SMALL, "batch": (1, 13)}).cells()[0]
    with pytest.raises(BadInput, match="a batch of 13 cannot be drawn from 12 rows"):
        escape.restart(p, Bench("s", "restart", (0,), input=given(tmp_path, 12)))


def test_the_places_kept_are_of_the_runs_and_gradient_descent_stays():
    data = run("well", runs=well.WALKERS)
    np.testing.assert_allclose(abs(data.place - 1).median("walker"), data.distance)
    # Both minima have sharpness 2: a step of 0.7 multiplies the distance by 1 - 1.4.
    foretold = (1 + data.eps * (-0.4) ** data.step).transpose("eps", "step")
    np.testing.assert_allclose(data.descent.isel(seed=0), foretold, atol=1e-12)


def planned(given, notes=None, **change):
    p = study.EscapeParams.parse({**SMALL, **change}).cells()[0]

    def note(text):
        if notes is not None and "leaves" in text:
            notes.append(text)

    bench = Bench(study.STUDY.slug, "checkpoint", (0, 1), input=given, note=note)
    return own_checkpoint.go_on(p, bench)


def fitted_line(**change):
    """y = w x on samples of its own: its loss, half the mean square, has the curvatures x^2."""
    x = np.array([[1.0], [2.0], [-3.0], [0.5]])
    arrays = {"line.weight": np.array([[2.0]])} | change
    return x, data.made_checkpoint((arrays, (x, 2 * x[:, 0])))


def test_a_line_that_fits_is_as_sharp_as_its_samples_say_and_sgd_stays():
    x, given = fitted_line()
    found = planned(given, planned_lr=(0.05, 0.5), planned_batch=(1, 4))
    curvatures = x[:, 0] ** 2
    np.testing.assert_allclose(found.sharpness, curvatures.mean(), rtol=1e-6)
    np.testing.assert_allclose(found.nonuniformity, curvatures.std(), rtol=1e-6)
    np.testing.assert_allclose(found.in_sharpness.sel(planned_lr=0.5), curvatures.mean() / 4)
    np.testing.assert_array_equal(found.escaped, 0)  # its loss is zero, and so is every gradient
    assert found.in_nonuniformity.sel(planned_batch=4).max() == 0


def test_a_checkpoint_that_fits_badly_is_noted_and_left_by_too_large_a_step():
    notes = []
    _, given = fitted_line(**{"line.bias": np.array([0.1])})
    found = planned(given, notes, planned_lr=0.02, planned_batch=4)
    assert "bias_0" in given and found.escaped.max() == 0
    assert notes == []
    _, given = fitted_line(**{"line.bias": np.array([5.0])})
    far = planned(given, notes, planned_lr=0.02, planned_batch=4, beyond=True)
    assert notes[0].startswith("the checkpoint leaves")
    np.testing.assert_allclose(far.in_sharpness, 1.5, rtol=1e-6)
    assert (far.escaped == 1).all()


def test_the_activation_is_the_one_that_is_named():
    x = np.linspace(-1, 1, 12)[:, None]
    arrays = {"0.weight": np.array([[1.0], [-1.0]]), "2.weight": np.array([[1.0, -1.0]])}
    given = data.made_checkpoint((arrays, (x, x[:, 0])))
    notes = []
    planned(given, notes, activation="relu", planned_batch=4)
    assert notes == []
    planned(given, notes, planned_batch=4)
    assert len(notes) == 1


def test_a_planned_batch_larger_than_the_data_is_refused():
    with pytest.raises(BadInput, match="a batch of 16 cannot be drawn from 4 rows"):
        planned(fitted_line()[1])

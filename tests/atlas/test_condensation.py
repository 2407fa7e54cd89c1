import numpy as np
import pytest
import xarray as xr

from chymist import data
from chymist.atlas.dynamics import condensation as study
from chymist.atlas.dynamics import dropout, own_change, own_weights, staircase
from chymist.bench import Bench
from chymist.errors import BadParameter

SMALL = {"neurons": 12, "clock": 400, "width": 20, "steps": 300, "size_steps": 60,
         "dropout_steps": 40}  # fmt: skip


def run(name, **change):
    p = study.CondensationParams.parse({**SMALL, **change}).cells()[0]
    experiment = study.STUDY.experiment(name)
    data = experiment.run(p, Bench(study.STUDY.slug, name, (0, 1)))
    if experiment.prediction:
        predicted = experiment.prediction(p, data)
        data = data.assign({f"predicted_{n}": v for n, v in predicted.data_vars.items()})
    return data


@pytest.mark.parametrize(
    "name", ["turning-five", "stairs", "sizes", "regularised", "own-weights", "own-change"]
)
def test_every_statistic_keeps_the_seeds(name):
    data = run(name)
    for claim in study.STUDY.experiment(name).claims:
        assert "seed" in claim.statistic(data).dims
    for figure in study.STUDY.experiment(name).figures:
        figure.draw(data, data)


def test_neurons_of_one_input_turn_as_the_leading_power_says():
    data = run("turning-one")
    np.testing.assert_array_equal(data.multiplicity, [1, 2, 3])
    assert (study.excess(data) <= 1).all()
    assert (study.stationarity(data) > 0.99).all()
    assert (study.foretold(data) == 1).all()
    # All along the clock, not only where they rest: the solver's steps are of 0.05 rad.
    middle = data.sel(step=data.step <= 40)
    assert float(abs(np.sin(middle.angle - middle.predicted_angle)).median()) < 0.03
    assert float(data.stationarity.isel(step=0).max()) < 0.9


def test_growth_is_looked_for_after_the_first_plateau():
    steps = range(8)
    data = xr.Dataset(
        {
            "plateau": ("step", [0, 1, 1, 0, 2, 2, 0, 0]),
            "directions": ("step", [9.0, 8.0, 7.0, 1.0, 1.0, 2.0, 3.0, 4.0]),
            "loss": ("step", [8.0, 8.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0]),
        },
        coords={"step": steps},
    ).expand_dims(seed=[0, 1])
    assert (staircase.growth(data) > 0.9).all()
    assert (staircase.climbs(data) == 2).all()
    assert staircase.growth(data.assign(plateau=0 * data.plateau)).isnull().all()


def test_the_target_needs_four_neurons_and_no_more():
    found = [staircase.theory.best_relu_loss(staircase.X[:, None], staircase.Y, k) for k in (3, 4)]
    assert found[0] > 1e-5 and found[1] < 1e-12


def test_masks_keep_their_share_and_follow_their_targets():
    p = study.CondensationParams.parse({**SMALL, "keep": 0.25}).cells()[0]
    bench = Bench("tests", "dropout", (0, 1))
    x, y = dropout._taught(bench, "points", dropout.POINTS)
    pairs, masked = dropout._with_masks(p, bench, x, y)
    assert masked.sizes == {"seed": 2, "sample": dropout.MASKS * dropout.POINTS, "feature": 21}
    mask = masked.isel(feature=slice(1, None))
    assert set(np.unique(mask)) == {0, 1}
    assert float(mask.mean()) == pytest.approx(0.25, abs=0.01)
    taught = np.tanh(pairs.sum("feature"))
    np.testing.assert_allclose(masked.isel(feature=0), taught.transpose("seed", "sample"))


def test_dropout_differs_from_plain_training_by_its_masks_alone():
    kept = run("regularised", keep=1.0, dropout_steps=400)
    apart = kept.sel(arm=["dropout", "penalty"]) / kept.sel(arm="plain")
    np.testing.assert_allclose(apart.test_error, 1, rtol=1e-5)
    np.testing.assert_array_equal(apart.directions, 1)
    batches = kept.test_error.sel(arm="batches") / kept.test_error.sel(arm="plain")
    assert (abs(np.log(batches)) > 0.01).all()


@pytest.mark.parametrize(
    "change",
    [
        {"activation": "relu"},
        {"std": 0},
        {"keep": 0},
        {"keep": 1.5},
        {"exponent": -1},
        {"width": 1},
    ],
)
def test_parameters_out_of_range_are_refused(change):
    with pytest.raises(BadParameter):
        study.CondensationParams.parse(change)


def own(given=None, notes=None, **change):
    p = study.CondensationParams.parse({**SMALL, **change}).cells()[0]
    note = (lambda text: None) if notes is None else notes.append
    return own_weights.condensed_layers(
        p, Bench(study.STUDY.slug, "own-weights", (0, 1, 2), input=given, note=note)
    )


def weights(tmp_path, **layers):
    path = tmp_path / "net.npz"
    np.savez(path, **{f"{name}.weight": rows for name, rows in layers.items()})
    return data.network_weights(path)


def test_the_network_of_small_weights_has_condensed_and_random_layers_have_not():
    assert float(own_weights.share_of_random(own()).max()) < 0.2
    chance = own(own_random=True)
    assert float(own_weights.share_of_random(chance).min()) > 0.8
    assert (chance.directions.sel(of="layer") != 0).all()


def test_your_layers_are_counted_and_their_groups_written(tmp_path):
    key = np.random.default_rng(1)
    three = np.repeat(np.eye(6)[:3], [5, 4, 3], axis=0) * key.uniform(1, 2, size=(12, 1))
    three[-1] *= 1e-3
    given = weights(tmp_path, narrow=three, wide=key.normal(size=(60, 40)))
    given.attrs["notes"] = "of the 9 neurons of a 5 are taken"
    notes = []
    found = own(given, notes)
    assert notes == ["net: of the 9 neurons of a 5 are taken"]
    assert found.directions.sel(of="layer", layer="narrow").values.tolist() == [3] * 3
    assert found.directions.sel(of="layer", layer="wide").values.tolist() == [60] * 3
    assert found.counting.sel(layer="narrow").values.tolist() == [11] * 3
    share = own_weights.share_of_random(found)
    assert float(share.sel(layer="narrow").max()) < 0.5
    np.testing.assert_array_equal(share.sel(layer="wide"), 1)
    header, *rows = "".join(own_weights.groups_table(None, found, None)).splitlines()
    assert header == "layer,neuron,group,amplitude"
    groups = [row.split(",")[2] for row in rows[:12]]
    assert groups == ["0"] * 5 + ["1"] * 4 + ["2"] * 2 + ["-1"]
    assert len(rows) == 72
    for figure in study.STUDY.experiment("own-weights").figures:
        figure.draw(found, found)


def change(given=None, **changed):
    p = study.CondensationParams.parse({**SMALL, **changed}).cells()[0]
    return own_change.changed_layers(
        p, Bench(study.STUDY.slug, "own-change", (0, 1, 2), input=given)
    )


def test_training_from_small_weights_takes_directions_and_chance_does_not():
    found = change()
    assert float(own_change.share_left(found).max()) < 0.2
    assert (found.moved > 1).all()
    assert float(own_change.share_left(change(own_random=True)).min()) > 0.9


def test_your_network_before_and_after_is_compared():
    key = np.random.default_rng(1)
    before, still = key.normal(size=(12, 6)), key.normal(size=(9, 20))
    after = np.repeat(np.eye(6)[:3], 4, axis=0)
    given = data.made_network(
        ({"a.weight": before, "b.weight": still}, {"a.weight": after, "b.weight": still})
    )
    found = change(given)
    assert found.directions.sel(layer="a", seed=0).values.tolist() == [12, 3]
    np.testing.assert_array_equal(own_change.share_left(found).sel(layer="b"), 1)
    assert float(found.moved.sel(layer="b").max()) == 0
    own(given)
    for figure in study.STUDY.experiment("own-change").figures:
        figure.draw(found, found)


def test_the_functions_kept_are_those_whose_loss_is_measured():
    data = run("stairs")
    loss = ((data.drawn - data.target) ** 2).mean("sample") / 2
    shared = [step for step in data.frame.values if step in data.step.values]
    measured = data.loss.sel(step=shared).values
    assert shared[-1] == 300 and len(shared) > 15
    np.testing.assert_allclose(loss.sel(frame=shared).values, measured, rtol=1e-4)
    assert {0, 100, 300} <= set(data.frame.values)

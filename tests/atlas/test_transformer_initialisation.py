import numpy as np
import pytest
import xarray as xr

from chymist.atlas.transformers import arrangements, birth, first_steps, recall, streams
from chymist.atlas.transformers import transformer_initialisation as study
from chymist.bench import Bench
from chymist.errors import BadParameter

SMALL = {"head": (16,), "keys": 16, "blocks": 2, "stream_width": 16, "stream_keys": 4,
         "depth": (1, 2), "step_width": 16, "width": (8, 16), "task_width": 16, "lr": (1e-3,),
         "steps": 8, "sequences": 64, "equal_steps": 3}  # fmt: skip
SEEDS = (0, 1)


def cell(**change):
    return study.TransformerParams.parse({**SMALL, **change}).cells()[0]


def run(name, seeds=SEEDS, **change):
    p, experiment = cell(**change), study.STUDY.experiment(name)
    found = experiment.run(p, Bench(study.STUDY.slug, name, seeds))
    if experiment.prediction:
        told = experiment.prediction(p, found)
        found = found.merge(told.rename({n: f"predicted_{n}" for n in told}), join="exact")
    return found


@pytest.mark.parametrize("name", [e.name for e in study.STUDY.experiments])
def test_every_statistic_keeps_the_seeds_and_every_figure_is_drawn(name):
    found = run(name)
    for claim in study.STUDY.experiment(name).claims:
        assert claim.statistic(found).sizes["seed"] == len(SEEDS)
    for figure in study.STUDY.experiment(name).figures:
        figure.draw(found, found)
        figure.draw(found, None)


def test_a_wide_head_is_frozen_without_division_and_free_with_it():
    found = run("random-head", head=(1024,), keys=128)
    # 1 - Y = m_T / sqrt(d): 2.595 / 32.
    left = 1 - found.participation.sel(power=0.0, head=1024).mean()
    assert float(left) == pytest.approx(2.595 / 32, rel=0.15)
    assert float(found.slope) == pytest.approx(2.595, abs=1e-3)
    assert float(found.participation.sel(power=0.5, head=1024).max()) < 0.05
    std = found.logit_std.sel(head=1024).mean("seed")
    np.testing.assert_allclose(std.sel(power=[0.0, 0.5]), [32, 1], rtol=0.1)
    narrow = run("random-head", head=(4,), keys=128)
    assert float(birth.condensed(narrow).max()) < 0.8


def test_streams_follow_the_recursion_and_constants_keep_the_input():
    found = run("random-streams", stream_width=128, stream_keys=16, blocks=4)
    for name in ("variance", "gain"):
        ratio = (found[name] / found[f"predicted_{name}"]).mean("seed")
        np.testing.assert_allclose(ratio, 1, atol=0.25)
    assert float(found.gain.sel(norm="deep").min()) > 0.9


@pytest.mark.parametrize(
    ("name", "module"), [("random-streams", streams), ("first-step", first_steps)]
)
def test_without_its_constants_deep_norm_is_post_norm_and_need_not_be_measured(
    monkeypatch, name, module
):
    plain = run(name, constants="plain")
    monkeypatch.setattr(module, "apart", lambda p: arrangements.ARRANGEMENTS)
    xr.testing.assert_identical(run(name, constants="plain"), plain)
    assert not plain.equals(run(name))


def test_one_step_moves_outputs_in_proportion_to_its_size():
    small, large = (run("first-step", step=step).change for step in (1e-6, 2e-6))
    np.testing.assert_allclose(large / small, 2, rtol=2e-2)


def test_factors_by_doubling_are_powers_of_two_of_exponents():
    depth = np.array([2.0, 4, 8])
    change = xr.DataArray(
        np.stack([depth, depth**0.5, depth**-1.0])[:, :, None, None] * np.ones((1, 1, 2, 3)),
        coords={"norm": ["post", "pre", "deep"], "depth": depth, "rule": ["descent", "sign"],
                "seed": range(3)},
        dims=("norm", "depth", "rule", "seed"),
    )  # fmt: skip
    found = change.to_dataset(name="change")
    np.testing.assert_allclose(first_steps.deep_factor(found), 0.5)
    np.testing.assert_allclose(first_steps.post_explosion(found), 1)
    np.testing.assert_allclose(first_steps.deep_sign(found), -1)
    widths = xr.Dataset({"change": (("form", "width", "seed"), np.ones((2, 2, 3)))},
                        {"width": [8, 16], "form": ["standard", "mup"]})  # fmt: skip
    widths["change"] = widths.change * xr.DataArray([8.0, 32.0], {"width": [8, 16]})
    np.testing.assert_allclose(first_steps.factor_of_last(widths), 4)
    np.testing.assert_allclose(first_steps.slope_of_first(widths), 2)


def test_small_queries_with_their_step_size_are_the_division():
    # 1/sqrt(16) is a power of two; by 1/sqrt(12) weights drawn in single precision are rounded.
    assert float(recall.difference(run("equivalence", task_width=16)).max()) == -17
    assert float(recall.difference(run("equivalence", task_width=12)).max()) < -6
    parted = run("equivalence", task_width=16, matched=False)
    assert float(recall.difference(parted).min()) > -6


def test_shuffled_answers_are_of_keys_that_are_not_asked_for():
    p = cell(task="shuffled", sequences=512)
    bench = Bench("tests", "shuffled", SEEDS)
    x, _, answers = recall._sequences(p, bench, "training", 512)
    tokens = x.values.reshape(512, recall.TOKENS, recall.VOCABULARY).argmax(-1)
    keys, values = tokens[:, :-1:2], tokens[:, 1::2]
    asked = values[np.arange(512), (keys == tokens[:, -1:]).argmax(1)]
    right = float((asked == answers.values).mean())
    x, _, answers = recall._sequences(cell(sequences=512), bench, "training", 512)
    tokens = x.values.reshape(512, recall.TOKENS, recall.VOCABULARY).argmax(-1)
    keys, values = tokens[:, :-1:2], tokens[:, 1::2]
    asked = values[np.arange(512), (keys == tokens[:, -1:]).argmax(1)]
    assert (asked == answers.values).all()
    assert right < 0.5


@pytest.mark.parametrize(
    "change", [{"head": 0}, {"keys": 1}, {"constants": "none"}, {"form": "ntk"}, {"task": "copy"}]
)
def test_parameters_out_of_range_are_refused(change):
    with pytest.raises(BadParameter):
        study.TransformerParams.parse(change)

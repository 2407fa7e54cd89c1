import numpy as np
import xarray as xr

import chymist
from chymist import catalogue
from chymist.bench import Bench

STUDY = catalogue.find("barron-approximation")


def measured(name, dimension, seeds=(0, 1, 2), **given):
    experiment, cells = STUDY.experiment(name), []
    for p in STUDY.params.parse({"dimension": dimension, **given}).cells():
        run = experiment.run(p, Bench(STUDY.slug, name, seeds))
        theory = experiment.prediction(p, run)
        run = run.merge(theory.rename({n: f"predicted_{n}" for n in theory}), join="exact")
        cells.append(run.expand_dims(dimension=[p.dimension]))
    return xr.concat(cells, "dimension")


def statistic(claim, run):
    return STUDY.claim(claim).statistic(run)


def test_drawn_neurons_keep_their_rate_and_constant():
    run = measured("drawn-neurons", (2, 9))
    np.testing.assert_allclose(statistic("monte-carlo", run).mean("seed"), -1, atol=0.08)
    np.testing.assert_allclose(statistic("constant", run).mean("seed"), 1, atol=0.1)
    half = measured("drawn-neurons", (2, 9), one_sided=True)
    assert float(statistic("monte-carlo", half).min()) > -0.6
    assert float(statistic("constant", half).min()) > 1.5


def test_fixed_neurons_are_cursed_but_for_a_smooth_target():
    run = measured("fixed-neurons", (3, 4), fixed=(64, 128, 256), targets=16)
    np.testing.assert_allclose(statistic("cursed", run).mean("seed"), 1, atol=0.2)
    assert float(statistic("ever-slower", run).min()) > 0
    assert float(statistic("outside-kernel-space", run).mean("seed").min()) > 0.6
    smooth = measured("fixed-neurons", (3, 4), fixed=(64, 128, 256), targets=16, smooth=True)
    assert float(statistic("cursed", smooth).sel(k=1).min()) > 1.3
    # Two features that nearly coincide can bear large weights of opposite sign, in some seed.
    growth = statistic("outside-kernel-space", smooth).median("seed")
    assert float(abs(growth).max()) < 0.4


def test_a_power_is_looked_for_only_where_there_is_room():
    run = measured("fixed-neurons", (2, 4, 5), (0, 1), fixed=(16, 64, 128, 256), targets=2,
                   codimension=(1, 3))  # fmt: skip
    # Degree 4 needs 4^(d - 1) features, and three sizes.
    assert np.isfinite(run.exponent.sel(k=1)).all("seed").values.tolist() == [True, True, False]
    assert np.isfinite(run.late.sel(k=1)).all()
    # There is no kink of codimension 3 in the plane.
    assert np.isnan(run.error.sel(k=3, dimension=2)).all()
    assert np.isfinite(run.error.sel(k=3, dimension=4)).all()
    assert statistic("cursed", run).dimension.values.tolist() == [2, 4]


def test_trained_neurons_do_not_feel_the_dimension_and_outer_weights_do():
    run = measured("trained-neurons", (3, 8))
    ratio = statistic("no-curse", run).median("seed")
    assert ((ratio > 0.4) & (ratio < 2.5)).all()
    assert float(statistic("steep", run).max()) < -2.5
    assert float(statistic("polygon", run).min()) > 0.999
    assert float(statistic("path-norm", run).max()) < 5
    outer = measured("trained-neurons", (3, 8), outer_only=True)
    assert float(statistic("no-curse", outer).median("seed").min()) > 2.5
    assert float(statistic("steep", outer).sel(dimension=8).min()) > -2


def cell(**given):
    return STUDY.params.parse({"sampled": (8, 16), "sampled_steps": 400, **given}).cells()[0]


def test_trained_neurons_learn_from_samples_what_fixed_ones_do_not():
    experiment = STUDY.experiment("samples")
    run = experiment.run(cell(sampled_steps=4000), Bench(STUDY.slug, "samples", (0, 1, 2)))
    gain = run.error.sel(inner="fixed") / run.error.sel(inner="trained")
    assert float(gain.min()) > 10
    assert float(run.path_norm.sel(inner="trained").max()) < 30
    for figure in experiment.figures:
        figure.draw(run, run)
    # Both fixed: starts of their own, errors alike.
    alike = experiment.run(cell(outer_only=True), Bench(STUDY.slug, "samples", (0, 1, 2)))
    gain = alike.error.sel(inner="fixed") / alike.error.sel(inner="trained")
    assert float(abs(np.log(gain)).max()) < 0.5
    assert float(abs(np.log(gain)).min()) > 0


def test_the_error_of_your_samples_is_of_the_other_half():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 3))
    y = np.maximum(x[:, :1], 0)
    for noise, least, most in ((0.0, 0.0, 0.02), (1.0, 0.3, 3.0)):
        noisy = y + noise * y.std() * rng.normal(size=y.shape)
        given = xr.Dataset({"x": (("sample", "feature"), x), "y": (("sample", "output"), noisy)})
        bench = Bench(STUDY.slug, "samples", (0, 1), input=given)
        run = STUDY.experiment("samples").run(cell(), bench)
        assert ((run.error > least) & (run.error < most)).sel(inner="trained").all()


def test_samples_of_a_seed_do_not_feel_the_others():
    experiment, p = STUDY.experiment("samples"), cell(sampled=(8,), sampled_steps=20)
    alone, among = (experiment.run(p, Bench(STUDY.slug, "samples", s)) for s in ((0,), (0, 1)))
    xr.testing.assert_allclose(alone, among.sel(seed=[0]), rtol=1e-5)


def test_an_error_that_does_not_fall_shows_no_power():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 2))
    y = np.maximum(x[:, :1], 0) + 0.3 * rng.normal(size=(200, 1))
    given = xr.Dataset({"x": (("sample", "feature"), x), "y": (("sample", "output"), y)})
    notes: list[str] = []
    bench = Bench(STUDY.slug, "samples", (0, 1, 2), input=given, note=notes.append)
    run = STUDY.experiment("samples").run(cell(sampled=(4, 64), sampled_steps=2000), bench)
    assert np.isnan(statistic("barron-like", run)).any()
    assert np.isfinite(run.exponent.sel(inner="fixed")).all()
    assert any("give fewer, as by --sampled 2,4,8" in note for note in notes)
    alike = STUDY.experiment("samples").run(cell(sampled=(4, 64), outer_only=True), bench)
    assert np.isfinite(statistic("barron-like", alike)).all()


def test_a_table_is_fitted_once_whatever_the_dimensions(tmp_path, refused):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(300, 3))
    table = np.column_stack([x, abs(x[:, 0])])
    path = tmp_path / "t.csv"
    np.savetxt(path, table, delimiter=",", header="a,b,c,y", comments="")
    run = chymist.run(STUDY.slug, data=path, lab=tmp_path / "lab", sampled=(8, 16), seeds=5,
                      sampled_steps=50)  # fmt: skip
    assert [c.arm for c in run.chunks] == ["treatment", "control"]
    assert "dimension" not in run.data["samples"].dims
    path.write_text("a,b,y\n1,2,3\n")
    assert "t.csv has 1 rows" in refused("run", STUDY.slug, "--data", str(path))

import numpy as np
import xarray as xr

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

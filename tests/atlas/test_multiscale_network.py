import re

import numpy as np
import pytest

from chymist import catalogue, data
from chymist.atlas.frequency import multiscale_equations, multiscale_fits, multiscale_reach
from chymist.bench import Bench
from chymist.cli import execute
from chymist.errors import BadParameter

STUDY = catalogue.find("multiscale-network")
SMALL = {"mu": 4.0, "scales": "1-4", "parts": "6-6", "layers": "10-10", "points": 24, "steps": 60,
         "largest": (2.0, 4.0), "octaves": 2, "waves": 5, "reach_steps": 60,
         "equations": "poisson-ring+helmholtz-line"}  # fmt: skip


def cell(**given):
    (p,) = STUDY.params.parse({**SMALL, **given}).cells()
    return p


def measured(name, seeds=(0, 1), given=None, **more):
    p, experiment = cell(**more), STUDY.experiment(name)
    run = experiment.run(p, Bench(STUDY.slug, name, seeds, input=given))
    if experiment.prediction is None:
        return run
    theory = experiment.prediction(p, run)
    return run.merge(theory.rename({n: f"predicted_{n}" for n in theory}), join="exact")


@pytest.mark.parametrize("name", ["scales", "activations", "values", "frequencies", "equations"])
def test_every_statistic_keeps_the_seeds_and_figures_draw(name):
    run = measured(name)
    for claim in STUDY.experiment(name).claims:
        assert "seed" in claim.statistic(run).dims
    for figure in STUDY.experiment(name).figures:
        figure.draw(run, run)


def test_networks_have_about_as_many_parameters():
    run = measured("scales", scales="1-2-4-8-16-32", parts="16-16-16", layers="42-42-42", steps=40)
    assert run.parameters.isel(seed=0).values.tolist() == [3739, 3558, 3558, 3739]
    fourier = multiscale_equations.network(cell(layers="42-42-42"), "fourier", 2, "sin")()
    assert sum(w.numel() for w in fourier.parameters()) == pytest.approx(3781, rel=0.03)


def test_points_differ_from_seed_to_seed_but_not_from_network_to_network():
    runs = [measured("scales", seeds=(s,), steps=40) for s in (0, 1)]
    again = measured("scales", seeds=(0, 1), steps=40)
    for s, alone in enumerate(runs):
        np.testing.assert_allclose(alone.error.isel(seed=0), again.error.sel(seed=s), rtol=1e-3)
    assert abs(again.error.sel(seed=0) - again.error.sel(seed=1)).max() > 1e-3


def test_late_is_the_least_of_the_last_tenth():
    run = measured("values", steps=100)
    error = run.error
    found = multiscale_equations.late(error)
    last = error.sel(step=[t for t in error.step.values if t >= 90])
    np.testing.assert_array_equal(found, last.min("step"))


def test_an_end_of_reach_lies_between_its_neighbours():
    mu = np.array([1.0, 2.0, 4.0])
    end = multiscale_reach._end_of_reach
    assert end(np.array([0.1, 0.1, 0.5]), mu) == pytest.approx(2**1.5)
    assert np.isnan(end(np.array([0.1, 0.2, 0.3]), mu))
    assert np.isnan(end(np.array([0.4, 0.2, 0.3]), mu))
    assert end(np.array([0.1, 0.6, 0.1]), mu) < 2


def test_contributions_are_the_shares_of_a_kernel_that_stays():
    """A frequency at which one network alone has a rate is predicted to be its own."""
    run = measured("values", scales="1-32", parts="16-16")
    share = run.predicted_amplitude / run.wanted
    np.testing.assert_allclose(share.sum("scale"), 1)
    assert (share.sel(scale=32.0, band=slice(20, 40)) > 0.9).all()


def test_amplitudes_are_those_of_waves():
    x = (np.arange(512) + 0.5) / 512 * 2 - 1
    found = multiscale_fits._amplitudes(0.7 * np.sin(np.pi * 12 * x) + 3)
    assert found.argmax() == 11
    assert found[11] == pytest.approx(0.7, abs=1e-3)
    assert found[20:].max() < 1e-3


@pytest.fixture
def table(tmp_path):
    def write(columns, n=120):
        draw = np.random.default_rng(0)
        x = np.linspace(0, 5, n) if columns == 1 else draw.uniform(size=(n, columns))
        y = np.sin(20 * np.atleast_2d(x.T)[0])
        path = tmp_path / f"own{columns}.csv"
        names = ",".join([*(f"x{i}" for i in range(columns)), "y"])
        np.savetxt(path, np.column_stack([x, y]), delimiter=",", header=names, comments="")
        return path

    return write


@pytest.mark.parametrize("columns", [1, 2])
def test_your_own_values_are_fitted_and_held_out(table, columns):
    given = data.field(table(columns))
    run = measured("values", given=given, scales="auto", layers="24-24")
    assert run.error.dims == ("network", "seed", "step")
    largest = float(run.scale[-1])
    assert largest == pytest.approx(np.pi / given.attrs["spacing"] / 3)
    assert np.isfinite(run.predicted_amplitude).all()
    x, _, tested, _, _ = multiscale_fits._points(
        cell(), Bench(STUDY.slug, "values", (0, 1), input=given)
    )
    assert (len(x), len(tested)) == (90, 30)


def test_the_control_is_smooth_on_your_points(table):
    given = data.field(table(1))
    bench = Bench(STUDY.slug, "values", (0, 1), input=given)
    x, y, tested, truth, _ = multiscale_fits._points(cell(target="smooth"), bench)
    np.testing.assert_allclose(y, np.sin(np.pi * x[:, 0]))
    np.testing.assert_allclose(truth, np.sin(np.pi * tested[:, 0]))
    own = multiscale_fits._points(cell(), bench)
    np.testing.assert_array_equal(own[0], x)
    assert abs(own[1] - y).max() > 0.5


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"scales": "1-0"}, "parameter scales cannot be '1-0'"),
        ({"scales": "1--2"}, "parameter scales cannot be '1--2'"),
        ({"scales": "1-2-4-8"}, "parameters do not fit together: .*4 scales need layers of 16"),
        ({"equations": "heat"}, "parameter equations cannot be 'heat'"),
        ({"equations": "helmholtz-line+helmholtz-line"}, ".*named twice"),
        ({"activations": "sin-phi-srelu"}, ".*activations sin-phi-srelu: give tanh, relu"),
        ({"activations": "sin-tanh-relu-sin"}, ".*named twice"),
        ({"activation": "gelu"}, "parameter activation cannot be 'gelu'"),
        ({"mu": 0}, "parameter mu cannot be 0"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(given, line):
    with pytest.raises(BadParameter) as caught:
        STUDY.params.parse({**SMALL, **given})
    assert re.match(line, str(caught.value))
    assert "\n" not in str(caught.value)


def test_the_command_line_refuses_a_cube(lab, capsys, table):
    assert execute(["run", STUDY.slug, "--data", str(table(3))]) == 2
    said = capsys.readouterr().err
    assert "has 3 coordinates and 1 values a point" in said
    assert said.count("\n") == 1

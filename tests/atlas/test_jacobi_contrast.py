import numpy as np
import pytest
import xarray as xr

from chymist import catalogue
from chymist.bench import Bench
from chymist.errors import BadInput

STUDY = catalogue.find("jacobi-contrast")
SMALL = {"intervals": 32, "points": 16, "modes": 4, "updates": 200, "layers": "16", "grid": 32,
         "coarse": 12, "switch": "4-60", "square_layers": "16"}  # fmt: skip


def measured(name, seeds=(0, 1), data=None, **given):
    (p,) = STUDY.params.parse({**SMALL, **given}).cells()
    experiment = STUDY.experiment(name)
    run = experiment.run(p, Bench(STUDY.slug, name, seeds, input=data))
    theory = experiment.prediction(p, run)
    return run.merge(theory.rename({n: f"predicted_{n}" for n in theory}), join="exact")


def statistic(claim, run):
    return STUDY.claim(claim).statistic(run)


@pytest.mark.parametrize("name", ["line", "square", "order", "hybrid"])
def test_every_statistic_keeps_the_seeds_and_figures_draw(name):
    run = measured(name)
    for claim in STUDY.experiment(name).claims:
        assert "seed" in claim.statistic(run).dims
    for figure in STUDY.experiment(name).figures:
        figure.draw(run, run)


@pytest.mark.parametrize("name", ["line", "square"])
def test_factors_are_exact_for_jacobi_alone(name):
    assert float(statistic(f"{name}-factors", measured(name)).max()) < -6
    swapped = measured(name, sweeper="gauss-seidel")
    assert float(statistic(f"{name}-factors", swapped).min()) > -2


def system(matrix, **more):
    data = {"matrix": (("row", "column"), matrix)}
    data |= {n: ("row", v) for n, v in more.items()}
    return xr.Dataset(data, attrs={"name": "given"})


def test_the_modes_of_a_matrix_are_its_own():
    draw = np.random.default_rng(0)
    off = -np.abs(draw.normal(size=(20, 20)))
    matrix = off + off.T
    np.fill_diagonal(matrix, 0)
    matrix -= np.diag(1.1 * matrix.sum(1))
    for data in (system(matrix), system(matrix, right=draw.normal(size=20))):
        run = measured("line", data=data)
        assert float(statistic("line-factors", run).max()) < -6
        assert run.sizes["mode"] == 20
    radius = np.sort(abs(1 - np.linalg.eigvals(matrix / np.diag(matrix)[:, None]).real))[-1]
    assert float(run.predicted_factor.sel(omega=1.0).max()) == pytest.approx(radius)


def test_a_matrix_whose_sweeps_diverge_is_refused_with_its_radius():
    with pytest.raises(BadInput, match=r"omega 1 diverge: spectral radius 1\.8 .*below 0\.7143"):
        measured("line", data=system(0.1 * np.eye(3) + 0.9), omega=(0.5, 1.0))


def test_the_lowest_modes_are_the_slowest_of_damped_sweeps_only():
    run = measured("order")
    assert (statistic("jacobi-high-first", run) == -1).all()
    exact = np.log(0.1) / np.log(abs(1 - 2 / 3 * (1 - np.cos(np.pi * run["mode"] / 16))))
    np.testing.assert_array_equal(run.time.sel(solver="Jacobi"), [np.ceil(exact)] * 2)
    np.testing.assert_allclose(run.jacobi, run.predicted_jacobi, atol=1e-10)
    upper = measured("order", band="upper", damping=1.0)
    assert (statistic("jacobi-high-first", upper) == 1).all()
    # Sweeps are alone there: what is asked of networks is not known.
    for claim in ("fit-low-first", "ritz-low-first", "loss-weakens"):
        assert statistic(claim, upper).isnull().all()


def test_an_unfinished_mode_leaves_the_order_open():
    run = measured("order", updates=64)
    assert np.isnan(statistic("jacobi-high-first", run)).all()


def test_a_hybrid_needs_the_sweeps_that_its_sines_foretell():
    run = measured("hybrid")
    np.testing.assert_allclose(statistic("iterations", run), 1, atol=0.02)
    assert (run.sweeps.isel(switch=-1) < run.sweeps_alone).all()
    # It wins where the crossover lies below the grid.
    for change in ({}, {"eps": 0.02}):
        tried = measured("hybrid", seeds=range(5), **change)
        won, crossover = statistic("hybrid-wins", tried) > 0, statistic("crossover", tried)
        np.testing.assert_array_equal(won, crossover < 1)
    assert (statistic("multigrid-wins", run) > 0).all()


def test_work_is_what_is_counted():
    run = measured("hybrid")
    weights, points = 2 * 16 + 16, 31**2
    network = 6 * weights * 11**2 * run.switch + 2 * weights * points
    np.testing.assert_allclose(run.operations, network + 0 * run.seed)
    np.testing.assert_allclose(run.work - run.operations, 5 * points * run.sweeps)
    np.testing.assert_allclose(run.work_alone, 5 * points * run.sweeps_alone)


def test_seconds_are_marked_as_a_clocks_and_decide_nothing():
    run = measured("hybrid")
    clocks = [n for n, v in run.data_vars.items() if "clock" in v.attrs]
    assert clocks == [n for n, v in run.data_vars.items() if v.attrs.get("units") == "s"]
    assert len(clocks) == 4
    blind = run.assign({n: run[n] * np.nan for n in clocks})
    for claim in STUDY.experiment("hybrid").claims:
        xr.testing.assert_equal(claim.statistic(run), claim.statistic(blind))


def test_a_source_of_the_users_is_solved_and_its_control_has_no_low_modes():
    x = np.linspace(0, 1, 40)
    bump = np.exp(-20 * ((x[:, None] - 0.3) ** 2 + (x - 0.6) ** 2))
    given = xr.Dataset({"source": (("row", "column"), bump)}, attrs={"name": "bump"})
    run, high = (measured("hybrid", data=given, source=source) for source in ("low", "high"))
    np.testing.assert_allclose(statistic("iterations", run), 1, atol=0.02)
    assert float(high.sweeps_alone[0]) < 0.2 * float(run.sweeps_alone[0])

import numpy as np
import pytest
import xarray as xr

from chymist.atlas.dynamics import average, hovering, product
from chymist.atlas.dynamics import edge_of_stability as study
from chymist.bench import Bench

SMALL = {"steps": 200, "layers": "6", "points": 40, "momentum_steps": 200, "few": 20,
         "adaptive_steps": 200, "neurons": 3, "small_steps": 120, "starts": 5}  # fmt: skip


def run(name, given=None, **change):
    p = study.EdgeParams.parse({**SMALL, **change}).cells()[0]
    experiment = study.STUDY.experiment(name)
    data = experiment.run(p, Bench("edge-of-stability", name, (0, 1), input=given))
    predicted = experiment.prediction(p, data)
    return data.merge(
        predicted.rename({n: f"predicted_{n}" for n in predicted.data_vars}), join="exact"
    )


def test_each_rule_is_drawn_from_its_own_numbers():
    data = run("adaptive")
    drawn = study.STUDY.experiment("adaptive").figures[0].draw(data, None).to_dict()
    first, second = (panel["data"]["values"] for panel in drawn["hconcat"])
    mids = [[row["mid"] for row in rows if "mid" in row] for rows in (first, second)]
    assert len(mids[0]) == len(mids[1]) == 3 * 10
    assert mids[0] != mids[1]


@pytest.mark.parametrize("name", [e.name for e in study.STUDY.experiments])
def test_every_statistic_keeps_the_seeds_and_every_figure_is_drawn(name):
    data = run(name)
    experiment = study.STUDY.experiment(name)
    for claim in experiment.claims:
        assert "seed" in claim.statistic(data).dims
    for figure in experiment.figures:
        figure.draw(data, data.isel(seed=[1]))


@pytest.mark.parametrize("problem", ["random-labels", "chebyshev-3", "chebyshev-5"])
def test_other_problems_can_take_the_digits_place(problem):
    assert np.isfinite(run("descent", problem=problem).loss).all()


def test_a_users_table_is_what_is_learnt(tmp_path):
    path = tmp_path / "mine.csv"
    rows = "".join(f"{i},{i % 3},{(i % 5) / 5}\n" for i in range(30))
    path.write_text("a,b,y\n" + rows)
    data = run("descent", study.STUDY.input.read(path), lr="0.1")
    target = (np.arange(30) % 5) / 5
    # With small first outputs the first loss is about half the mean square of the target.
    assert float(data.loss.isel(step=0).mean()) == pytest.approx((target**2).mean() / 2, rel=1)
    assert data.loss.sizes["lr"] == 1


def made(sharpness, loss, lr=0.5):
    steps = np.arange(len(sharpness))
    axes = {"lr": [lr], "seed": [0], "step": steps}
    data = xr.Dataset(
        {n: (tuple(axes), np.array(v, dtype=float)[None, None])
         for n, v in (("sharpness", sharpness), ("loss", loss))},
        axes,
    )  # fmt: skip
    return data.assign(
        predicted_sharpness=2 / data.lr,
        learnt_at=xr.DataArray([[2.0]], {"lr": [lr], "seed": [0]}, ("lr", "seed")),
        crossed_at=xr.DataArray([[10.0]], {"lr": [lr], "seed": [0]}, ("lr", "seed")),
    )


def test_statistics_of_a_training_made_up():
    rise = np.r_[9.0, 8.0, np.linspace(1, 4, 9), np.full(49, 4.4)]
    loss = np.where(np.arange(60) % 4 == 3, 1.1, 1.0) * np.exp(-np.arange(60) / 100)
    data = made(rise, loss)
    assert float(hovering.rise(data).squeeze()) == 1
    assert float(hovering.edge_ratio(data).squeeze()) == pytest.approx(1.1)
    # Of each four updates from step 10 on one raises the loss.
    assert float(hovering.increases(data).squeeze()) == pytest.approx(0.25, abs=0.02)
    never = data.assign(crossed_at=data.crossed_at * np.nan, learnt_at=data.learnt_at * np.nan)
    assert float(hovering.increases(never).squeeze()) == pytest.approx(0.25, abs=0.02)
    assert float(hovering.decline(data).squeeze()) < hovering.FALLS
    diverged = data.assign(loss=data.loss.where(data.step < 30))
    assert np.isnan(hovering.decline(diverged)).all()


def test_a_run_that_never_crossed_says_nothing_of_proportion():
    data = xr.concat([made([1, 2, 4] * 20, np.ones(60), lr) for lr in (0.5, 0.25)], "lr")
    assert np.isfinite(hovering.exponent(data)).all()
    one_never = data.crossed_at.where(data.lr > 0.3)
    assert np.isnan(hovering.exponent(data.assign(crossed_at=one_never))).all()


@pytest.mark.parametrize("power", [1.0, 3.0])
def test_a_power_law_departs_nowhere(power):
    step = np.arange(91)
    distance = xr.DataArray((step**power)[None], {"seed": [0], "step": step}, ("seed", "step"))
    data = xr.Dataset({"distance": distance, "crossed_at": ("seed", [30.0])})
    assert float(average.departure(data)[0]) == pytest.approx(0, abs=1e-9)
    bent = distance * xr.where(distance.step > 60, 100, 1)
    assert float(average.departure(data.assign(distance=bent))[0]) == pytest.approx(2)
    late = data.assign(crossed_at=("seed", [60.0]))
    assert np.isnan(average.departure(late)).all()


def test_gradient_descent_on_the_product_by_hand():
    data = run("product", product_lr="0.02,0.3")
    sharp = data.final.sel(product_lr=0.02)
    flow = data.flow
    np.testing.assert_allclose(sharp, np.minimum(flow, 100.0), rtol=1e-3)
    # So large a step diverges from everywhere here.
    assert np.isnan(data.final.sel(product_lr=0.3)).all()
    assert float(product.survivors(data).sel(product_lr=0.3).max()) == 0


@pytest.mark.slow
def test_gradient_descent_hovers_on_the_chebyshev_problem():
    data = run("descent", problem="chebyshev-5", points=20, layers="100", lr="0.2", steps=6000)
    assert float(hovering.edge_ratio(data).mean()) == pytest.approx(1, abs=0.1)

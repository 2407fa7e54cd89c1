import numpy as np
import pytest
import xarray as xr

from chymist import data
from chymist.atlas.overparameterisation import catapult, growing_width, layers, laziness, widths
from chymist.atlas.overparameterisation import ntk_regime as study
from chymist.bench import Bench
from chymist.errors import BadInput

SEEDS = tuple(range(5))
NAMES = {
    "grow": "growing-width", "descend": "by-layer", "imitate": "rich-and-lazy",
    "throw": "large-steps", "sum_up": "many-neurons",
}  # fmt: skip


def cell(**change):
    return study.NtkParams.parse(change).cells()[0]


def measured(run, **change):
    p = cell(**change)
    return p, run(p, Bench("ntk-regime", NAMES[run.__name__], SEEDS))


def with_theory(run, theory, **change):
    p, found = measured(run, **change)
    told = theory(p, found)
    renamed = told.rename({n: f"predicted_{n}" for n in told.data_vars})
    return found.merge(renamed, join="exact")


@pytest.fixture(scope="module")
def grown():
    return with_theory(widths.grow, widths.frozen, width=(128, 1024), steps=80)


def test_kernels_fall_faster_with_width_than_weights(grown):
    # Two widths and few seeds: the exponents themselves are the study's claims.
    weights = growing_width.first_weights(grown).mean("seed")
    assert float(abs(weights + 0.5).max()) < 0.06
    for drift in (growing_width.drift_smooth(grown), growing_width.drift_relu(grown)):
        assert float(drift.mean()) < float(weights.min()) - 0.1
    assert float(growing_width.linearised(grown).mean("seed").max()) < 0


def test_outputs_start_at_zero_and_losses_at_the_targets_size(grown):
    assert float(abs(grown.output.isel(step=0)).max()) < 1e-12
    np.testing.assert_allclose(grown.loss.isel(step=0), 0.5 * float((grown.target**2).mean()))


def test_losses_are_those_of_the_outputs(grown):
    own = 0.5 * ((grown.output - grown.target) ** 2).mean("sample")
    xr.testing.assert_allclose(grown.loss, own.transpose(*grown.loss.dims))


def test_the_linearised_model_is_what_a_long_product_says(grown):
    one = grown.sel(activation="erf", width=128).isel(seed=0)
    kernel = one.kernel.values.astype(float)
    residual, lr = -one.target.values, float(one.step_size)
    for _ in range(int(one.step[-1])):
        residual = residual - lr * kernel @ residual
    told = one.predicted_output.sel(theory="at the start").isel(step=-1)
    np.testing.assert_allclose(told, residual + one.target.values, rtol=1e-5, atol=1e-7)


def test_the_mean_field_scaling_is_a_mean_with_longer_steps():
    import torch
    from torch.func import functional_call, grad

    _, found = measured(widths.grow, scaling="mean-field", width=64, steps=16, activation="erf")
    x, y = (torch.as_tensor(v) for v in widths.small_sphere(0))
    start = widths.networks(Bench("ntk-regime", "growing-width", SEEDS), 8, 64, "erf")
    weights = {n: w[0].clone() for n, w in start.parameters.items()}
    module = widths.models.TangentMLP(8, 64, 1, activation="erf").double()

    def mean(w):  # (1/m) sum_j, from the module's m^(-1/2)
        return functional_call(module, w, (x,))[:, 0] / 8

    begin = mean(weights).detach()
    for _ in range(16):
        slope = grad(lambda w: 0.5 * ((mean(w) - begin - y) ** 2).sum())(weights)
        weights = {n: w - 64 * float(found.step_size[0]) * slope[n] for n, w in weights.items()}
    own = found.output.isel(activation=0, width=0, seed=0, step=-1)
    np.testing.assert_allclose(own, (mean(weights) - begin).detach(), rtol=1e-9, atol=1e-12)


def test_the_lazy_limit_is_where_students_go():
    run = with_theory(laziness.imitate, laziness.lazy_limit, alpha=(1000.0,), student_steps=100)
    np.testing.assert_allclose(run.movement, run.predicted_movement.transpose(*run.movement.dims),
                               rtol=2e-3)  # fmt: skip
    np.testing.assert_allclose(run.test_error.isel(alpha=0), run.predicted_test_error, rtol=1e-2)


def test_a_thrown_network_lands_and_a_linear_one_does_not():
    run = with_theory(catapult.throw, catapult.linear, throw=(2.5,), thrown=(2048,))
    assert float(catapult.rises(run).min()) > 1
    assert float(catapult.lands(run).max()) < -0.3
    assert float(run.last_eigenvalue.max() / run.first_eigenvalue.max()) < 0.8
    assert float(run.predicted_loss.isel(step=-1).min()) == 1e6
    # At first the network grows as its linearised model does, and there is more to its loss.
    first = run.sel(step=1)
    assert float((first.loss / first.predicted_loss).min()) > 0.9


def test_layers_between_move_less():
    _, run = measured(layers.descend, deep=(32, 128), depth=2, steps=40)
    assert run.movement.sizes["layer"] == 3
    assert float(layers.outer_layers(run).mean()) == pytest.approx(-0.5, abs=0.12)
    assert float(layers.hidden_layers(run).mean()) == pytest.approx(-1, abs=0.15)


def test_blocks_of_neurons_make_the_wide_network(monkeypatch):
    monkeypatch.setattr(layers, "NEURONS", 20)
    _, run = measured(layers.sum_up, activation="erf")
    start = widths.networks(Bench("ntk-regime", NAMES["sum_up"], SEEDS), 8, 200, "erf")
    x = widths.small_sphere(0)[0][:8]
    whole = start.measure(widths.instruments.empirical_ntk, widths.samples(x), ("sample", "other"))
    here, there = np.tril_indices(8)
    np.testing.assert_allclose(
        run.wide_kernel.isel(activation=0), whole.values[:, here, there], rtol=1e-10
    )


def write(path, rows, header="a,b,y"):
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def test_a_table_is_brought_to_unit_mean_square(tmp_path):
    found = data.one_target(write(tmp_path / "t.csv", [f"{i},{i * i},{5 - i}" for i in range(9)]))
    assert float((found.x**2).mean()) == pytest.approx(1)
    assert float((found.y**2).mean()) == pytest.approx(1)
    assert found.y.dims == ("sample",)
    assert float(found.x.sum()) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(("rows", "header", "says"), [
    ([f"{i},{i},{i}" for i in range(600)], "a,b,y", "600 rows"),
    ([f"{i},{i},{2 * i}" for i in range(9)], "a,y1,y2", "2 targets"),
    ([f"3,4,{i}" for i in range(9)], "a,b,y", "all features are constant"),
    ([f"{i % 8},1,{i}" for i in range(9)], "a,b,y", "two rows with the same features"),
    ([f"{i},x,{i}" for i in range(9)], "a,b,y", "is not a number"),
])  # fmt: skip
def test_a_table_that_cannot_be_used_is_refused(tmp_path, rows, header, says):
    with pytest.raises(BadInput, match=says):
        data.one_target(write(tmp_path / "t.csv", rows, header))


def test_a_table_is_what_networks_learn(tmp_path):
    rows = [f"{np.sin(i):.6f},{np.cos(2 * i):.6f},{np.sin(3 * i):.6f}" for i in range(12)]
    given = data.one_target(write(tmp_path / "t.csv", rows))
    run = widths.grow(
        cell(width=(16, 32), steps=16), Bench("ntk-regime", NAMES["grow"], (0, 1), given)
    )
    np.testing.assert_array_equal(run.target, given.y)
    assert run.kernel.sizes["sample"] == 12
    assert float(run.loss.isel(step=-1).max()) < float(run.loss.isel(step=0).min())

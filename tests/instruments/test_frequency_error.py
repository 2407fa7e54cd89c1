"""Errors by frequency of one network on a line or along a direction, and in a training."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from chymist import models
from chymist.bench import Bench, samples
from chymist.ensemble import every
from chymist.errors import BadParameter, CannotMeasure
from chymist.instruments import (
    alone,
    frequency_error,
    spectral_error,
    training_frequency_error,
)
from chymist.instruments.lines import line_band_error
from chymist.solvers import Adam, GradientDescent

seeds = st.integers(0, 10**6)


class Draws(nn.Module):
    """Puts out fixed rows of numbers, whatever comes in."""

    def __init__(self, rows):
        super().__init__()
        self.rows = rows

    def forward(self, x):
        return self.rows


def normal(seed, *shape):
    return torch.tensor(np.random.default_rng(seed).normal(size=shape))


@given(st.integers(12, 40), seeds)
def test_on_an_even_line_it_is_the_spectral_error(n, seed):
    x = 5 + 0.1 * torch.arange(n).double()[:, None]
    y, out = normal(seed, n, 1), normal(seed + 1, n, 1)
    found = frequency_error(Draws(out), (x, y), [1, 2, 5])
    expected = alone(spectral_error(samples(y.numpy()), [1, 2, 5]), Draws(out), (x, y))
    torch.testing.assert_close(found.error, expected, rtol=1e-7, atol=1e-9)
    assert found.period == pytest.approx(0.1 * n)


@given(st.integers(12, 30), seeds)
def test_bands_are_those_of_a_line(n, seed):
    x = torch.arange(n).double()[:, None]
    y, out = normal(seed, n, 1), normal(seed + 1, n, 1)
    found = frequency_error(Draws(out), (x, y), range(1, 6)).bands([(1, 3), (3, 6)])
    expected = alone(line_band_error([(1, 3), (3, 6)]), Draws(out), (x, y))
    torch.testing.assert_close(found, expected, rtol=1e-7, atol=1e-9)


def test_what_is_learnt_by_halves_is_half_left_at_uneven_places():
    u = torch.tensor(np.sort(np.random.default_rng(0).random(30)))[:, None]
    waves = [torch.cos(2 * torch.pi * k * u) for k in (1, 4)]
    found = frequency_error(Draws(0.25 * sum(waves)), (u, sum(waves)), [1, 2.5, 4], period=1.0)
    torch.testing.assert_close(found.error, torch.full((3,), 0.75).double())
    assert frequency_error(Draws(0 * u), (u, waves[0]), [3]).error.item() == pytest.approx(1)


@settings(max_examples=30)
@given(st.integers(9, 20), st.integers(2, 5), seeds, st.floats(0.1, 10))
def test_turning_moving_and_scaling_the_inputs_or_the_samples_order_changes_nothing(
    n, d, seed, scale
):
    x = normal(seed, n, d) * torch.linspace(1, 3, d).double()
    y, out = normal(seed + 1, n, 2), normal(seed + 2, n, 2)
    first = frequency_error(Draws(out), (x, y), [0.7, 1, 3])
    turn = torch.linalg.qr(normal(seed + 3, d, d))[0]
    turned = frequency_error(Draws(out), (scale * x @ turn + 2, y), [0.7, 1, 3])
    torch.testing.assert_close(turned.residual, first.residual, rtol=1e-5, atol=1e-7)
    assert turned.period == pytest.approx(scale * first.period)
    order = torch.tensor(np.random.default_rng(seed).permutation(n))
    mixed = frequency_error(Draws(out[order]), (x[order], y[order]), [0.7, 1, 3])
    torch.testing.assert_close(mixed.residual, first.residual, rtol=1e-7, atol=1e-9)
    torch.testing.assert_close(mixed.content, first.content, rtol=1e-7, atol=1e-9)


def test_a_plane_wave_is_seen_along_its_direction_only():
    grid = torch.arange(16).double() / 16
    x = torch.cartesian_prod(grid, grid)
    y = torch.cos(2 * torch.pi * 3 * x[:, :1])
    k = range(1, 6)
    across = frequency_error(Draws(0 * y), (x, y), k, direction=[1, 0], period=1.0)
    assert across.error[2].item() == pytest.approx(1)
    torch.testing.assert_close(across.content[2].item(), 128.0)
    assert across.error[[0, 1, 3, 4]].isnan().all()
    # Along the other axis the wave averages out: no frequency has content.
    other = frequency_error(Draws(0 * y), (x, y), k, direction=[0, 1], period=1.0)
    assert other.error.isnan().all()
    assert (other.content < 1e-10).all()


def test_random_directions_are_named_by_their_seed():
    x, y = normal(0, 20, 3), normal(1, 20, 1)
    one, again, other = (
        frequency_error(Draws(0 * y), (x, y), [1], direction="random", seed=s) for s in (1, 1, 2)
    )
    assert torch.equal(one.content, again.content)
    assert not torch.equal(one.direction, other.direction)
    assert not torch.equal(one.content, other.content)


def test_classes_are_probabilities_against_indicators():
    x, out = normal(0, 12, 2), normal(1, 12, 3)
    classes = torch.arange(12) % 3
    found = frequency_error(Draws(out), (x, classes), [1, 2])
    rows = nn.functional.one_hot(classes, 3).double()
    expected = frequency_error(Draws(out.softmax(1)), (x, rows), [1, 2])
    torch.testing.assert_close(found.error, expected.error)


@pytest.mark.parametrize(
    ("data", "options", "says"),
    [
        ((torch.zeros(4, 1), torch.zeros(4, 1)), {}, "lie at one place"),
        ((torch.ones(1, 1), torch.zeros(1, 1)), {}, "lie at one place"),
        ((torch.randn(4, 2), torch.ones(4, 1)), {"direction": "up"}, "direction is 'up'"),
        ((torch.randn(4, 2), torch.ones(4, 1)), {"direction": [1, 2, 3]}, "has 3 numbers"),
        ((torch.randn(4, 2), torch.ones(4, 1)), {"direction": [0, 0]}, "of norm 0"),
        ((torch.randn(4, 2), torch.ones(4, 1)), {"direction": {}}, "direction is {}"),
        ((torch.randn(4, 2), torch.ones(4, 1)), {"frequencies": []}, "frequencies is []"),
        ((torch.randn(4, 2), torch.ones(4, 1)), {"period": -1}, "period is -1"),
        ((torch.randn(4, 2), torch.ones(4, 3)), {}, "the targets have shape (4, 3)"),
        ((torch.randn(4, 2), torch.ones(4, 1) * torch.nan), {}, "not finite"),
        ((torch.randn(4, 2), None), {}, "not a pair of tensors"),
        (((torch.randn(4, 2),), torch.ones(4, 1)), {}, "the inputs are of type tuple"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_one_line(data, options, says):
    model = nn.Linear(data[0].shape[1] if isinstance(data[0], torch.Tensor) else 2, 1)
    with pytest.raises((BadParameter, CannotMeasure)) as caught:
        frequency_error(model, data, **options)
    assert says in str(caught.value)
    assert caught.value.hint
    assert "\n" not in str(caught.value)


def test_targets_that_are_no_classes_are_refused():
    x, model = torch.randn(4, 2), nn.Linear(2, 3)
    for wrong in (
        torch.tensor([0, 1, 2, 3]),
        torch.tensor([0.0, 0.5, 1, 2]),
        -torch.ones(4).long(),
    ):
        with pytest.raises(CannotMeasure, match="the targets are not classes 0 to 2"):
            frequency_error(model, (x, wrong), [1])


def test_a_target_that_is_not_finite_is_refused_of_networks_without_parameters_too():
    y = torch.tensor([[1.0], [torch.nan], [2.0]])
    with pytest.raises(CannotMeasure, match="the target y has 1 of 3 values that are not finite"):
        frequency_error(nn.Identity(), (torch.arange(3.0)[:, None], y), [1])


def test_a_band_that_was_not_measured_is_refused():
    x = torch.arange(8.0)[:, None]
    found = frequency_error(nn.Identity(), (x, x), [1, 2])
    with pytest.raises(BadParameter, match="no frequency lies in the band from 5 to 9"):
        found.bands([(1, 3), (5, 9)])


def test_lanes_with_their_own_inputs_and_targets_are_each_measured():
    x = np.random.default_rng(0).normal(size=(2, 15, 3)) * [1, 2, 3]
    y = np.random.default_rng(1).normal(size=(2, 15, 1))
    bench = Bench("tests", "frequency", (0, 1), dtype=torch.float64)
    networks = bench.networks(lambda: models.MLP(3, 4, 1), models.gaussian_start)
    run = bench.train(
        networks, GradientDescent(0.0), samples(x, which=["a", "b"]), samples(y, which=["a", "b"]),
        steps=1, record={training_frequency_error([1, 2]): every()},
    )  # fmt: skip
    assert run.data.frequency_error.dims == ("which", "seed", "step", "band")
    out = run.end.predict(samples(x, which=["a", "b"])).transpose("which", "seed", "sample", ...)
    for i in range(2):
        for seed in range(2):
            rows = torch.tensor(out.values[i, seed])
            expected = frequency_error(
                Draws(rows), (torch.tensor(x[i]), torch.tensor(y[i])), [1, 2]
            )
            np.testing.assert_allclose(
                run.data.frequency_error.values[i, seed, -1], expected.error, rtol=1e-8
            )


def test_a_lane_that_diverges_is_missing_and_disturbs_nobody():
    import xarray as xr

    x = np.arange(12) / 12
    bench = Bench("tests", "frequency", (0,), dtype=torch.float64)
    networks = bench.networks(lambda: models.MLP(1, 4, 1), models.gaussian_start)
    rates = xr.DataArray([0.01, 1e6], {"lr": [0.01, 1e6]}, ("lr",))
    run = bench.train(
        networks, GradientDescent(rates), samples(x), samples(np.sin(2 * np.pi * x)),
        steps=30, record={training_frequency_error([1]): every(10)},
    ).data  # fmt: skip
    assert run.frequency_error.isel(lr=1, step=-1).isnull().all()
    assert run.frequency_error.isel(lr=0).notnull().all()


def test_a_network_learns_the_low_frequency_first():
    x = np.sort(np.random.default_rng(0).random(60)) * 2 - 1
    y = np.sin(np.pi * x) + np.sin(4 * np.pi * x)
    bench = Bench("tests", "frequency", (0, 1, 2))
    networks = bench.networks(lambda: models.MLP(1, 40, 40, 1), models.gaussian_start)
    run = bench.train(
        networks, Adam(3e-3), samples(x), samples(y), steps=150,
        record={training_frequency_error([1, 4], period=2.0): every(50)},
    ).data  # fmt: skip
    late = run.frequency_error.isel(step=-1)
    assert (late.sel(band=1) < 0.3).all()
    assert (late.sel(band=4) > 2 * late.sel(band=1)).all()

from itertools import pairwise

import numpy as np
import pytest
import torch
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from chymist.bench import Bench, samples
from chymist.ensemble import every
from chymist.errors import CannotMeasure
from chymist.instruments import (
    band_error,
    own_error,
    radial_bands,
    residual_spectrum,
    spectral_error,
    spectral_peaks,
)
from chymist.models import MLP, gaussian_start
from chymist.solvers import Adam, GradientDescent

EVERYTHING = [-1.0, 1e9]
sizes = st.integers(1, 17)
seeds = st.integers(0, 10**6)


def normal(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape)


@given(st.integers(1, 40), seeds)
def test_residual_spectrum_equals_the_defining_sum(n, seed):
    prediction, target = normal(seed, 2, 3, n, 1)
    j = np.arange(n)
    waves = np.exp(-2j * np.pi * np.outer(np.arange(n // 2 + 1), j) / n)
    expected = np.abs((prediction - target)[..., 0] @ waves.T)
    ours = residual_spectrum(torch.tensor(prediction), torch.tensor(target))
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-12 * n)


@given(sizes, seeds)
def test_band_error_over_all_bands_is_parsevals_sum(size, seed):
    residual = normal(seed, 2, size, size)
    ours = band_error(torch.tensor(residual), radial_bands(size, EVERYTHING))
    expected = size * np.sqrt((residual**2).sum((-2, -1)))
    np.testing.assert_allclose(ours[:, 0], expected, rtol=1e-12)


@given(sizes, seeds)
def test_band_error_equals_the_full_transform(size, seed):
    edges = [0.0, 1.0, 2.5, 4.0, 20.0]
    residual = normal(seed, size, size)
    power = np.abs(np.fft.fft2(residual)) ** 2
    k = np.fft.fftfreq(size, 1 / size)
    radius = np.hypot(k[:, None], k[None, :])
    expected = [np.sqrt(power[(radius >= a) & (radius < b)].sum()) for a, b in pairwise(edges)]
    ours = band_error(torch.tensor(residual), radial_bands(size, edges))
    np.testing.assert_allclose(ours, expected, rtol=1e-10, atol=1e-10)


@given(st.integers(2, 12), seeds, st.integers(0, 11), st.integers(0, 11), st.floats(0.1, 10))
def test_band_error_ignores_shifts_and_transposition_and_scales(size, seed, down, right, scale):
    residual = torch.tensor(normal(seed, size, size))
    masks = radial_bands(size, [0.0, 1.0, 3.0, 100.0])
    reference = band_error(residual, masks)
    for same in (residual.roll((down, right), (0, 1)), residual.mT, residual.flip(0)):
        torch.testing.assert_close(band_error(same, masks), reference, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(band_error(scale * residual, masks), scale * reference)


def test_a_plane_wave_lies_in_the_band_of_its_length():
    size = 16
    row, column = np.meshgrid(np.arange(size), np.arange(size), indexing="ij")
    wave = torch.tensor(np.cos(2 * np.pi * (3 * row + 4 * column) / size))
    error = band_error(wave, radial_bands(size, [0.0, 4.9, 5.1, 30.0]))
    np.testing.assert_allclose(error, [0.0, size**2 / np.sqrt(2), 0.0], atol=1e-10)


@given(sizes)
def test_radial_bands_part_the_frequencies(size):
    masks = radial_bands(size, [0.0, 0.5, 1.0, 2.0, 3.7, 1e9])
    assert masks.shape == (5, size, size // 2 + 1)
    assert (masks.sum(0) == 1).all()
    assert masks[0].sum() == 1


def record(instrument, x, y, steps=3, seeds=(0, 1), **options):
    networks = Bench("s", "e", seeds, dtype=torch.float64).networks(
        lambda: MLP(1, 8, 1), gaussian_start
    )
    return networks.train(Adam(0.01), x, y, steps=steps, record={instrument: every()}, **options)


@pytest.mark.parametrize("n", [24, 25])
def test_spectral_error_equals_numpy(n):
    x = 2 * np.pi * np.arange(n) / n
    targets = np.stack([np.sin(x) + 0.3 * np.cos(4 * x), np.sin(2 * x + 1)[::-1] + np.sin(4 * x)])
    y = samples(targets, which=["a", "b"])
    run = record(spectral_error(y.isel(feature=0), [4]), samples(x), y)
    out = run.end.predict(samples(x)).squeeze("feature").values
    residual = np.fft.rfft(out - np.asarray(run_targets(targets, out)), axis=-1)
    expected = np.abs(residual)[..., 4] / np.abs(np.fft.rfft(targets, axis=-1))[:, None, 4]
    error = run.data.error
    assert error.dims == ("which", "seed", "step", "band")
    assert error.band.values.tolist() == [4]
    np.testing.assert_allclose(error.isel(step=-1, band=0), expected, rtol=1e-10)


def run_targets(targets, out):
    return np.broadcast_to(targets[:, None, :], out.shape)


def test_spectral_error_is_one_where_nothing_is_learnt_and_scales_with_what_is():
    x = 2 * np.pi * np.arange(20) / 20
    y = samples(np.sin(3 * x))
    networks = Bench("s", "e", (0, 1), dtype=torch.float64).networks(
        lambda: MLP(1, 8, 1), gaussian_start
    )
    networks.parameters["layers.1.weight"].zero_()
    run = networks.train(
        GradientDescent(0.0),
        samples(x),
        y,
        steps=0,
        record={spectral_error(y, [3]): every(), own_error(y, "own"): every()},
    )
    np.testing.assert_allclose(run.data.error, 1.0, rtol=1e-12)
    np.testing.assert_allclose(run.data.own, 1.0, rtol=1e-12)


def test_spectral_error_under_minibatches_is_over_all_samples():
    x = 2 * np.pi * np.arange(24) / 24
    y = samples(np.sin(x))
    run = record(spectral_error(y, [1]), samples(x), y, batch=5)
    out = run.end.predict(samples(x)).squeeze("feature").values
    expected = np.abs(np.fft.rfft(out - np.sin(x)))[:, 1] / 12
    np.testing.assert_allclose(run.data.error.isel(step=-1, band=0), expected, rtol=1e-10)


def test_own_error_equals_the_fourier_coefficient_of_a_cosine():
    x = 2 * np.pi * np.arange(24) / 24
    y = samples(0.2 * np.cos(3 * x))
    networks = Bench("s", "e", (0, 1), dtype=torch.float64).networks(
        lambda: MLP(1, 8, 1), gaussian_start
    )
    run = networks.train(Adam(0.01), samples(x), y, steps=4, record={own_error(y): every()})
    out = run.end.predict(samples(x)).squeeze("feature").values
    expected = np.abs(np.fft.rfft(out - 0.2 * np.cos(3 * x))[:, 3].real) / (0.2 * 12)
    np.testing.assert_allclose(run.data.error.isel(step=-1), expected, rtol=1e-9)


def test_targets_without_content_are_refused():
    x = 2 * np.pi * np.arange(16) / 16
    with pytest.raises(CannotMeasure, match=r"no content at one of the bands \[1, 2\]"):
        spectral_error(samples(np.sin(x)), [1, 2])
    with pytest.raises(CannotMeasure, match="zero everywhere"):
        own_error(samples(np.stack([np.sin(x), 0 * x]), k=[1, 2]))


@given(st.sets(st.integers(1, 20), min_size=1, max_size=6), seeds, st.floats(0.01, 100))
def test_spectral_peaks_finds_separate_sines(frequencies, seed, scale):
    kept = [k for k in sorted(frequencies) if k - 1 not in frequencies and k + 1 not in frequencies]
    x = 2 * np.pi * np.arange(64) / 64
    rng = np.random.default_rng(seed)
    waves = [rng.uniform(0.5, 1) * np.sin(k * x + rng.uniform(0, 6)) for k in kept]
    assert spectral_peaks(scale * np.sum([np.full(64, 3.0), *waves], axis=0), 20) == kept


def test_spectral_peaks_of_a_constant_are_none():
    assert spectral_peaks(np.full(16, 3.0), 8) == []


def test_spectral_error_takes_lanes_of_targets():
    x = 2 * np.pi * np.arange(16) / 16
    y = samples(np.stack([np.sin(x), 5 * np.sin(x)]), size=[1, 5])
    instrument = spectral_error(y, [1])
    assert instrument.dims == ("band",)
    assert isinstance(y, xr.DataArray)
    assert record(instrument, samples(x), y).data.error.dims == ("size", "seed", "step", "band")

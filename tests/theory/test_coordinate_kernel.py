from functools import partial

import numpy as np
import pytest
import torch
import xarray as xr

from chymist import data, models
from chymist.bench import Bench
from chymist.instruments import empirical_ntk
from chymist.theory.coordinate_kernel import (
    circle_eigenvalues,
    drawn_feature_cosine,
    gaussian_feature_cosine,
    interpolate_picture,
    interpolation_psnr,
    relu_tangent_kernel,
)


@pytest.mark.parametrize("depth", [0, 1, 2, 5])
def test_the_kernel_of_a_point_with_itself_counts_the_layers(depth):
    assert relu_tangent_kernel(np.array(1.0), depth) == pytest.approx(depth + 1)


def test_one_hidden_layer_has_a_known_form():
    u = np.linspace(-1, 1, 11)
    angle = np.pi - np.arccos(u)
    expected = (np.sqrt(1 - u**2) + 2 * u * angle) / np.pi
    np.testing.assert_allclose(relu_tangent_kernel(u, 1), expected, atol=1e-12)


@pytest.mark.parametrize("decay", [0.0, 1.0])
def test_wide_networks_have_this_kernel(decay):
    n, harmonics, depth = 12, 5, 2
    bench = Bench("tests", "kernel", tuple(range(6)))
    decays = xr.DataArray([decay], {"decay": [decay]}, ("decay",))
    lanes = bench.networks(
        lambda: models.CoordinateMLP(models.harmonics(harmonics), 512, depth, "tangent"),
        partial(models.tangent_start, decay=decays),
    )
    x = torch.arange(n)[:, None] / n
    measured = lanes.measure(empirical_ntk, x, ("sample", "other")).mean(("seed", "decay"))
    amplitudes = np.arange(1.0, harmonics + 1) ** -decay
    spectrum = circle_eigenvalues(amplitudes, depth, n)
    both = np.concatenate([spectrum, spectrum[1 : n // 2][::-1]])
    expected = np.fft.ifft(both * n).real
    shift = (np.arange(n)[:, None] - np.arange(n)) % n
    assert np.abs(measured.values - expected[shift]).max() < 0.12 * (depth + 1)


def test_eigenvalues_are_those_of_the_dense_matrix():
    n, amplitudes = 16, np.array([1.0, 0.5, 0.25])
    shift = (np.arange(n)[:, None] - np.arange(n)) / n
    cosine = sum(a**2 * np.cos(2 * np.pi * j * shift) for j, a in enumerate(amplitudes, 1))
    kernel = relu_tangent_kernel(cosine / np.sum(amplitudes**2), 3) / n
    spectrum = circle_eigenvalues(amplitudes, 3, n)
    pairs = np.concatenate([spectrum, spectrum[1:-1]])
    np.testing.assert_allclose(np.sort(pairs), np.linalg.eigvalsh(kernel), atol=1e-12)
    # Several sets of amplitudes at once give the same.
    np.testing.assert_allclose(circle_eigenvalues(np.stack([amplitudes] * 2), 3, n)[1], spectrum)


def test_slower_decay_of_amplitudes_flattens_the_spectrum():
    steep, level = (circle_eigenvalues(np.arange(1.0, 13) ** -p, 2, 32) for p in (2.0, 0.0))
    assert steep[1] / steep[8] > 20
    assert level[1] / level[8] < 1.5


def test_many_gaussian_features_have_this_cosine():
    generator = np.random.default_rng(0)
    frequencies = generator.normal(scale=2.0, size=(200_000, 2))
    shift = np.array([0.05, 0.1])
    mean = np.cos(2 * np.pi * frequencies @ shift).mean()
    assert gaussian_feature_cosine(shift @ shift, 2.0) == pytest.approx(mean, abs=0.01)


def test_a_smooth_picture_is_interpolated():
    place = np.arange(32) / 32
    smooth = 0.5 + 0.3 * np.sin(2 * np.pi * place[:, None]) * np.cos(2 * np.pi * place)
    inside = slice(2, -2)
    drawn = interpolate_picture(smooth[::2, ::2], 2.0, 2)
    np.testing.assert_allclose(drawn[inside, inside], smooth[1::2, 1::2][inside, inside], atol=0.01)


def test_features_narrower_than_a_pixel_say_the_mean():
    shown = data.grey(data.pictures(32)).values[0, ..., 0]
    drawn = interpolate_picture(shown[::2, ::2], 500.0, 3)
    np.testing.assert_allclose(drawn, shown[::2, ::2].mean(), atol=1e-9)


def test_quality_falls_beyond_the_pixels_frequency():
    shown = data.grey(data.pictures(32)).values[0, ..., 0]
    quality = [interpolation_psnr(shown, sigma, 3) for sigma in (1.0, 4.0, 16.0)]
    assert quality[0] - 3 > quality[1] > quality[2] + 3


def test_large_pictures_are_refused():
    with pytest.raises(ValueError, match="at most 64 pixels a side, got 65"):
        interpolate_picture(np.zeros((65, 65)), 1.0, 1)


def test_the_cosine_of_drawn_frequencies_is_that_of_the_network():
    bench = Bench("tests", "cosine", tuple(range(3)))
    sigma = xr.DataArray([1.0, 4.0], {"sigma": [1.0, 4.0]}, ("sigma",))
    networks = bench.networks(
        lambda: models.CoordinateMLP(models.gaussian(16), 1024, 2, "tangent"),
        partial(models.gaussian_tangent_start, sigma=sigma),
    )
    points = data.pixel_grid(5)
    frequencies = networks.buffers["encoding.frequencies"].numpy().astype(float)
    cosine = drawn_feature_cosine(points, frequencies)
    assert cosine.shape == (6, 25, 25)
    with torch.no_grad():
        features = networks.module.to_empty(device="cpu").encoding
        for lane in range(6):
            features.frequencies.copy_(networks.buffers["encoding.frequencies"][lane])
            features.amplitudes.copy_(networks.buffers["encoding.amplitudes"][lane])
            gamma = features(torch.as_tensor(points, dtype=torch.float32)).numpy()
            np.testing.assert_allclose(cosine[lane], gamma @ gamma.T, atol=1e-5)
    measured = networks.measure(empirical_ntk, torch.as_tensor(points), ("sample", "other"))
    expected = relu_tangent_kernel(cosine, 2).reshape(2, 3, 25, 25)
    assert np.abs(measured.values - expected).mean() < 0.1


def test_many_drawn_frequencies_have_the_gaussian_cosine():
    generator = np.random.default_rng(0)
    points = data.pixel_grid(4)
    drawn = drawn_feature_cosine(points, generator.normal(scale=1.0, size=(100_000, 2)))
    squared = ((points[:, None] - points) ** 2).sum(-1)
    np.testing.assert_allclose(drawn, gaussian_feature_cosine(squared, 1.0), atol=0.02)

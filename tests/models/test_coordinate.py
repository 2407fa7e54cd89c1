import math

import numpy as np
import pytest
import torch
import xarray as xr

from chymist import models
from chymist.bench import Bench
from chymist.models.coordinate import (
    count_parameters,
    gaussian,
    gaussian_frequencies,
    positional,
    siren_start,
)


def parameters(module):
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize(
    ("width", "m", "depth"), [(64, 32, 3), (96, 64, 3), (256, 256, 3), (32, 4, 1)]
)
def test_all_encodings_have_as_many_parameters(width, m, depth):
    counts = {
        e: parameters(models.coordinate_network(e, width=width, m=m, highest=8, depth=depth))
        for e in models.ENCODINGS
    }
    assert counts["gaussian"] == count_parameters(2 * m, width, depth)
    for count in counts.values():
        assert abs(count / counts["gaussian"] - 1) < 0.15, counts


@pytest.mark.parametrize("encoding", models.ENCODINGS)
@pytest.mark.parametrize(("axes", "outputs"), [(1, 1), (2, 3)])
def test_networks_have_as_many_axes_and_channels_as_asked(encoding, axes, outputs):
    network = models.coordinate_network(
        encoding, width=32, m=8, highest=4, axes=axes, outputs=outputs
    )
    assert network(torch.rand(5, axes)).shape == (5, outputs)
    assert abs(parameters(network) / count_parameters(16, 32, 3, outputs) - 1) < 0.15


def test_features_depend_on_the_shift_alone():
    generator = torch.Generator().manual_seed(0)
    features = gaussian(40)
    gaussian_frequencies(features, generator, sigma=3.0)
    features.amplitudes.uniform_(generator=generator)
    x, shift = torch.rand(5, 2, generator=generator), torch.tensor([[0.07, -0.02]])
    product = (features(x) * features(x + shift)).sum(-1)
    waves = torch.cos(2 * math.pi * shift @ features.frequencies.T)
    expected = (features.amplitudes**2 * waves).sum()
    torch.testing.assert_close(product, expected.expand(5), atol=1e-4, rtol=1e-4)


def test_sigma_is_a_lane_and_the_spread_of_the_frequencies():
    sigma = xr.DataArray([0.5, 2.0], {"sigma": [0.5, 2.0]}, ("sigma",))
    bench = Bench("tests", "frequencies", tuple(range(5)))
    lanes = bench.networks(
        lambda: models.coordinate_network("gaussian", width=8, m=500, highest=8),
        models.coordinate_start("gaussian", sigma),
    )
    drawn = lanes.named(lanes.buffers["encoding.frequencies"], ("frequency", "axis"))
    assert drawn.dims[:2] == ("sigma", "seed")
    np.testing.assert_allclose(drawn.std(("seed", "frequency", "axis")), sigma, rtol=0.05)
    # The same directions at every scale: sigma alone differs.
    np.testing.assert_allclose(drawn.sel(sigma=2.0) / drawn.sel(sigma=0.5), 4, rtol=1e-4)
    assert not np.allclose(drawn.sel(seed=0), drawn.sel(seed=1))
    assert "encoding.frequencies" not in lanes.parameters


def test_positional_frequencies_lie_on_the_axes():
    frequencies = positional(16, 15.0).frequencies
    assert frequencies.shape == (16, 2)
    assert frequencies[:8, 0].tolist() == pytest.approx([2 ** (4 * i / 7) - 1 for i in range(8)])
    assert not frequencies[:8, 1].any()
    torch.testing.assert_close(frequencies[8:].flip(-1), frequencies[:8])


@pytest.mark.parametrize("m", [3, 2, 5])
def test_positional_frequencies_are_shared_out_among_axes(m):
    with pytest.raises(ValueError, match="multiple of 2"):
        positional(m, 8.0)


def test_networks_draw_values_of_pictures():
    x = torch.rand(50, 2, generator=torch.Generator().manual_seed(1))
    for encoding in models.ENCODINGS:
        out = models.coordinate_network(encoding, width=32, m=8, highest=4)(x)
        assert out.shape == (50, 1)
        if encoding != "siren":
            assert ((out > 0) & (out < 1)).all()


def test_basic_encoding_wraps_the_picture_round():
    network = models.coordinate_network("basic", width=32, m=8, highest=4)
    x = torch.rand(20, 2, generator=torch.Generator().manual_seed(2))
    around = network(x + torch.tensor([1.0, -1.0]))
    torch.testing.assert_close(network(x), around, atol=1e-5, rtol=0)


def test_siren_start_is_the_published_one():
    network = models.Siren(400)
    with torch.no_grad():
        siren_start(network, torch.Generator().manual_seed(0))
    first, *rest = [m.weight.detach() for m in network.layers]
    assert first.abs().max() <= 0.5
    assert first.std() == pytest.approx(0.5 / math.sqrt(3), rel=0.1)
    edge = math.sqrt(6 / 400) / 30
    for weight in rest:
        assert weight.abs().max() <= edge
        assert weight.std() == pytest.approx(edge / math.sqrt(3), rel=0.1)


def test_sines_keep_their_spread_through_depth():
    network = models.Siren(256, depth=4)
    with torch.no_grad():
        siren_start(network, torch.Generator().manual_seed(0))
        x = torch.rand(2000, 2, generator=torch.Generator().manual_seed(1))
        h = torch.sin(30 * network.layers[0](2 * x - 1))
        for layer in network.layers[1:-1]:
            h = torch.sin(30 * layer(h))
            # An arcsine distribution has the standard deviation 1/sqrt(2).
            assert h.std() == pytest.approx(1 / math.sqrt(2), rel=0.1)


def test_tangent_start_makes_features_of_norm_one():
    network = models.CoordinateMLP(models.harmonics(6), 16, 2, "tangent")
    with torch.no_grad():
        models.tangent_start(network, torch.Generator().manual_seed(0), decay=1.0)
        features = network.encoding(torch.rand(7, 1, generator=torch.Generator().manual_seed(1)))
    torch.testing.assert_close(features.norm(dim=-1), torch.ones(7))
    sizes = network.encoding.amplitudes
    torch.testing.assert_close(sizes / sizes[0], 1 / torch.arange(1.0, 7.0))


def test_tangent_outputs_have_unit_variance_at_the_start():
    outputs = []
    for seed in range(300):
        network = models.CoordinateMLP(models.harmonics(4), 64, 2, "tangent")
        with torch.no_grad():
            models.tangent_start(network, torch.Generator().manual_seed(seed), decay=0.0)
            outputs.append(network(torch.tensor([[0.3]])).item())
    assert np.var(outputs) == pytest.approx(1, abs=0.3)

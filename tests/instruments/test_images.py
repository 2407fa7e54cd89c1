import numpy as np
import pytest
import torch

from chymist import data, models
from chymist.bench import Bench
from chymist.errors import CannotMeasure
from chymist.instruments import held_out_psnr, images, training_psnr
from chymist.solvers import Adam


def recorded(instruments, shown, steps=0, seeds=2, encoding="basic"):
    bench = Bench("tests", "images", tuple(range(seeds)))
    networks = bench.networks(
        lambda: models.coordinate_network(
            encoding, width=8, m=4, highest=4, outputs=shown.sizes["channel"]
        ),
        models.coordinate_start(encoding, 1.0),
    )
    x, y = data.split_pixels(shown)
    return bench.train(
        networks, Adam(1e-2), x, y, steps=steps,
        record=dict.fromkeys(instruments, lambda steps: sorted({0, steps})),
    )  # fmt: skip


def test_band_psnr_splits_the_mean_squared_error():
    shown = data.pictures(32)
    everything = (-0.5, 0.5, 4, 8, 100)
    run = recorded([images.picture_band_psnr(everything), training_psnr()], shown).data
    parts = (10 ** (-run.band_psnr / 10)).sum("band")
    np.testing.assert_allclose(-10 * np.log10(parts), run.train_psnr, rtol=1e-5)


def test_relative_errors_are_those_of_a_direct_transform():
    shown = data.pictures(32)
    trained = recorded([images.picture_band_error((1, 3, 8))], shown)
    x, y = data.split_pixels(shown)
    drawn = trained.end.predict(x).sel(image="flower", seed=1).values.reshape(16, 16, 3)
    target = y.sel(image="flower").values.reshape(16, 16, 3)
    frequency = np.fft.fftfreq(16, 1 / 16)
    radius = np.hypot(frequency[:, None], frequency)
    for low, high in ((1, 3), (3, 8)):
        band = (radius >= low) & (radius < high)
        error, content = (
            np.sqrt((np.abs(np.fft.fft2(a, axes=(0, 1))) ** 2)[band].sum())
            for a in (drawn - target, target)
        )
        measured = trained.data.band_error.sel(image="flower", seed=1, band=low, step=0)
        assert float(measured) == pytest.approx(error / content, rel=1e-4)


def test_held_out_pixels_are_scored_by_what_is_drawn_there():
    shown = data.pictures(32)
    held_x, held_y = data.split_pixels(shown, held_out=True)
    trained = recorded([held_out_psnr(held_x, held_y)], shown, steps=3)
    drawn = trained.end.predict(held_x)
    expected = -10 * np.log10(((drawn - held_y) ** 2).mean(("sample", "feature")))
    np.testing.assert_allclose(trained.data.test_psnr.isel(step=-1), expected, rtol=1e-4)


def test_a_reconstruction_is_the_picture_drawn():
    shown = data.pictures(32)
    grid = torch.as_tensor(data.pixel_grid(9))
    channels = shown.channel.values.tolist()
    trained = recorded([images.reconstruction(grid, channels)], shown, steps=3)
    drawn = trained.end.predict(grid)
    kept = trained.data.picture.isel(step=-1)
    assert kept.sizes["row"] == kept.sizes["column"] == 9
    assert kept.channel.values.tolist() == channels
    flat = kept.transpose(*drawn.dims[:2], "row", "column", "channel").values.reshape(drawn.shape)
    np.testing.assert_allclose(flat, drawn, atol=1e-6)


def test_samples_that_fill_no_square_are_refused():
    x = torch.rand(3, 2)
    bench = Bench("tests", "images", (0, 1))
    networks = bench.networks(lambda: models.coordinate_network("none", width=8, m=4, highest=4))
    with pytest.raises(CannotMeasure, match="3 samples do not fill a square"):
        bench.train(networks, Adam(), x, torch.zeros(3, 1), steps=0,
                    record={images.picture_band_error((1, 2)): lambda steps: [0]})  # fmt: skip

import base64
import io

import numpy as np
import pytest
import xarray as xr
from PIL import Image
from scipy.io import wavfile

from chymist.atlas.frequency import feature_kernel, feature_scale
from chymist.atlas.frequency import image_memorisation as study
from chymist.bench import Bench
from chymist.errors import BadInput, BadParameter

SMALL = {
    "width": 8,
    "frequencies": 4,
    "steps": 32,
    "scale_steps": 32,
    "flat_steps": 32,
    "sound_steps": 64,
}


def run(name, **change):
    p = study.ImageParams.parse({**SMALL, **change}).cells()[0]
    experiment = study.STUDY.experiment(name)
    data = experiment.run(p, Bench(study.STUDY.slug, name, tuple(range(2))))
    if experiment.prediction:
        predicted = experiment.prediction(p, data)
        data = data.assign({f"predicted_{n}": v for n, v in predicted.data_vars.items()})
    return data


@pytest.mark.parametrize("name", ["flat", "photo", "scale", "sound", "kernel", "picture-kernel"])
def test_every_statistic_keeps_the_seeds(name):
    data = run(name)
    for claim in study.STUDY.experiment(name).claims:
        values = claim.statistic(data)
        assert "seed" in values.dims
        assert np.isfinite(values).all()
    for figure in study.STUDY.experiment(name).figures:
        figure.draw(data, None)


@pytest.mark.parametrize("kind", ["zone-plate", "noise"])
@pytest.mark.parametrize("name", ["photo", "scale"])
def test_other_pictures_can_take_the_photographs_place(name, kind):
    data = run(name, pictures=kind)
    assert all(kind[:4] in image for image in data.image.values)
    for claim in study.STUDY.experiment(name).claims:
        assert np.isfinite(claim.statistic(data)).all()
    for figure in study.STUDY.experiment(name).figures:
        figure.draw(data, None)


def test_a_users_picture_is_what_is_drawn(tmp_path):
    path = tmp_path / "me.png"
    Image.fromarray(np.tile(np.arange(100, dtype=np.uint8) * 2, (80, 1))).save(path)
    given = study.STUDY.input.read(path)
    p = study.ImageParams.parse(SMALL).cells()[0]
    data = study.STUDY.experiment("photo").run(p, Bench("tests", "photo", (0, 1), input=given))
    assert data.image.values.tolist() == ["yours"]
    # The ramp rises from left to right.
    assert (data.photograph.isel(seed=0, image=0).diff("column") >= -1e-9).all()
    assert np.isfinite(study.gain(data)).all()
    assert data.photograph.channel.values.tolist() == ["grey"]


def test_a_picture_in_colour_is_drawn_in_colour(tmp_path):
    path = tmp_path / "me.png"
    Image.new("RGB", (80, 80), (255, 51, 102)).save(path)
    given = study.STUDY.input.read(path)
    p = study.ImageParams.parse({**SMALL, "network": "none"}).cells()[0]
    data = study.STUDY.experiment("photo").run(p, Bench("tests", "photo", (0, 1), input=given))
    assert data.drawn.sizes["channel"] == 3
    colour = data.photograph.isel(seed=0, image=0, row=5, column=7)
    np.testing.assert_allclose(colour, [1, 0.2, 0.4], atol=1e-6)
    strip = study.STUDY.experiment("photo").figures[0].draw(data, None).to_dict()
    last = strip["data"]["values"][-1]["url"].removeprefix("data:image/png;base64,")
    with Image.open(io.BytesIO(base64.b64decode(last))) as cell:
        assert cell.getpixel((0, 0)) == (255, 51, 102)


def test_a_users_sound_is_what_is_drawn(tmp_path):
    path = tmp_path / "me.wav"
    time = np.arange(8000) / 16_384
    heard = np.sin(2 * np.pi * 300 * time) + np.sin(2 * np.pi * 700 * time)
    wavfile.write(path, 16_384, heard)
    given = study.STUDY.input.read(path)
    p = study.ImageParams.parse(SMALL).cells()[0]
    data = study.STUDY.experiment("sound").run(p, Bench("tests", "sound", (0, 1), input=given))
    assert data.image.values.tolist() == ["yours"]
    # The octaves of 300 and 700 Hz, by their lower edges.
    assert data.band.values.tolist() == [256, 512]
    np.testing.assert_allclose(data.sound.isel(image=0, seed=1), given.sound.values)
    np.testing.assert_allclose(data.point, given.time)
    assert np.isfinite(data.line).all()
    assert np.isfinite(study.gain(data)).all()


def test_a_file_goes_to_the_experiment_that_reads_it(tmp_path):
    reads = {e.name: e.reads for e in study.STUDY.experiments}
    assert reads == {"flat": "", "photo": "picture", "scale": "", "sound": "sound", "kernel": "",
                     "picture-kernel": ""}  # fmt: skip
    time = np.arange(8000) / 16_384
    wavfile.write(tmp_path / "me.wav", 16_384, np.sin(2e3 * time) + np.sin(5e3 * time))
    Image.new("L", (80, 80), 7).save(tmp_path / "me.png")
    for name, variable in (("me.wav", "sound"), ("me.png", "picture")):
        assert list(study.STUDY.input.read(tmp_path / name)) == [variable]


def test_a_broken_picture_is_refused(tmp_path):
    path = tmp_path / "me.png"
    path.write_bytes(b"no picture")
    with pytest.raises(BadInput):
        study.STUDY.input.read(path)


def test_order_and_spread_are_read_off_the_areas():
    steps, bands = [0, 10], [1, 2, 4]
    error = xr.DataArray(
        np.array([0.1, 0.2, 0.4])[:, None] * np.ones((3, 2)),
        {"band": bands, "step": steps}, ("band", "step"),
    ).expand_dims(seed=[0, 1], image=["a"], network=["none"])  # fmt: skip
    data = xr.Dataset({"band_error": error})
    np.testing.assert_allclose(study.order(data), 1)
    np.testing.assert_allclose(study.spread(data), np.log(4))
    np.testing.assert_allclose(study.order(data.isel(band=[2, 1, 0])), -1)


def test_agreement_is_one_for_the_theory_itself():
    p = study.ImageParams.parse({}).cells()[0]
    steps = xr.DataArray(range(20), coords={"step": range(20)}, dims="step")
    start = xr.DataArray(
        np.ones((2, 4, 20)), {"seed": [0, 1], "band": [1, 2, 4, 8], "step": steps},
        ("seed", "band", "step"),
    )  # fmt: skip
    theory = feature_kernel.circle_descent(p, xr.Dataset({"error": start}))
    data = xr.Dataset({"error": theory.error, "predicted_error": theory.error})
    np.testing.assert_allclose(feature_kernel.agreement(data), 1)


def test_no_theory_is_given_for_more_pixels_than_can_be_solved():
    data = xr.Dataset(coords={"pixels": [128, 256]})
    assert not feature_scale.interpolation(None, data).data_vars


@pytest.mark.parametrize(
    "change", [{"size": 66}, {"judged_on": "both"}, {"flat_encoding": "wavelet"}]
)
def test_parameters_out_of_range_are_refused(change):
    with pytest.raises(BadParameter):
        study.ImageParams.parse(change)


def test_the_kernel_starts_where_the_networks_do_and_tells_the_scales_apart():
    data = run("picture-kernel", kernel_width=512, kernel_steps=60, frequencies=16)
    first = data.sel(step=0)
    np.testing.assert_allclose(first.predicted_error, first.error, rtol=1e-3)
    last = data.isel(step=-1)
    np.testing.assert_allclose(last.predicted_error, last.error, rtol=0.15)
    # The smaller scale knows an order, the larger hardly.
    share = last.predicted_error / first.predicted_error
    spread = np.log(share.sel(band=9) / share.sel(band=1))
    assert (spread.sel(kernel_scale=2) > 3 * abs(spread.sel(kernel_scale=6))).all()


def test_the_last_picture_kept_is_as_good_as_the_training_pixels_say():
    data = run("photo", network=("none",))
    assert data.frame.values[-1] == data.step.values[-1] == 32
    assert 10 < data.sizes["frame"] <= 17 and float(data.drawn.max()) <= 1
    shades = data.drawn.values * 255
    np.testing.assert_allclose(shades, shades.round(), atol=1e-4)
    error = (data.drawn.isel(frame=-1) - data.photograph) ** 2
    held_out = error.isel(row=slice(1, None, 2), column=slice(1, None, 2))
    psnr = -10 * np.log10(held_out.mean(("row", "column", "channel")))
    np.testing.assert_allclose(psnr.squeeze(), data.test_psnr.isel(step=-1).squeeze(), atol=0.1)

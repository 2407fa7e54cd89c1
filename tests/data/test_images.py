import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from chymist import data
from chymist.data.images import LARGEST, PHOTOGRAPHS
from chymist.errors import BadInput


def saved(folder, image, name="picture.png", **options):
    path = folder / name
    image.save(path, **options)
    return path


def grey(values):
    return Image.fromarray(np.asarray(values, dtype=np.uint8))


def halves(width, height, left, right):
    values = np.full((height, width), right)
    values[:, : width // 2] = left
    return grey(values)


def test_the_central_square_is_area_averaged(tmp_path):
    values = np.zeros((32, 64))
    values[:, 16:32] = 255
    read = data.load_image(saved(tmp_path, grey(values)), 2)
    # Columns 16 to 47 are kept: the left half of the square is white.
    np.testing.assert_allclose(read[..., 0], [[1, 0], [1, 0]])


def test_a_size_that_does_not_divide_keeps_the_mean(tmp_path):
    values = np.random.default_rng(0).integers(0, 256, (50, 50))
    read = data.load_image(saved(tmp_path, grey(values)), 17)
    assert read.mean() == pytest.approx(values.mean() / 255, abs=2e-3)
    np.testing.assert_allclose(read[..., 0], data.area_average(values / 255, 17), atol=5e-3)


@pytest.mark.parametrize(
    ("orientation", "expected"),
    [(1, [[1, 0], [1, 0]]), (3, [[0, 1], [0, 1]]), (6, [[1, 1], [0, 0]]), (8, [[0, 0], [1, 1]])],
)
def test_exif_rotation_is_applied(tmp_path, orientation, expected):
    image = halves(32, 32, 255, 0)
    exif = Image.Exif()
    exif[0x0112] = orientation
    read = data.load_image(saved(tmp_path, image, "p.jpg", exif=exif, quality=100), 2)
    np.testing.assert_allclose(read[..., 0], expected, atol=0.02)


def test_transparency_is_laid_on_white(tmp_path):
    black = Image.new("RGBA", (16, 16), (0, 0, 0, 0))
    assert data.load_image(saved(tmp_path, black), 1) == pytest.approx(1)
    half = Image.new("LA", (16, 16), (0, 128))
    assert data.load_image(saved(tmp_path, half), 1) == pytest.approx(127 / 255, abs=0.005)
    palette = Image.new("P", (16, 16), 0)
    assert data.load_image(saved(tmp_path, palette, transparency=0), 1) == pytest.approx(1)


def test_colour_is_kept_channel_by_channel(tmp_path):
    read = data.load_image(saved(tmp_path, Image.new("RGB", (16, 16), (255, 51, 0))), 2)
    assert read.shape == (2, 2, 3)
    np.testing.assert_allclose(read, np.broadcast_to([1, 0.2, 0], (2, 2, 3)), atol=1e-6)
    named = data.picture(saved(tmp_path, Image.new("RGB", (16, 16), (255, 51, 0)))).picture
    assert named.channel.values.tolist() == ["red", "green", "blue"]


def test_a_picture_whose_channels_agree_has_one(tmp_path):
    shade = saved(tmp_path, Image.new("RGB", (16, 16), (51, 51, 51)))
    assert data.load_image(shade).shape == (16, 16, 1)
    assert data.picture(shade).picture.channel.values.tolist() == ["grey"]
    almost = Image.new("RGB", (16, 16), (51, 51, 51))
    almost.putpixel((8, 8), (51, 52, 51))
    assert data.load_image(saved(tmp_path, almost)).shape == (16, 16, 3)


def test_colours_average_each_over_its_own(tmp_path):
    values = np.random.default_rng(2).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    read = data.load_image(saved(tmp_path, Image.fromarray(values)), 7)
    for c in range(3):
        plane = data.area_average(values[..., c] / 255, 7)
        np.testing.assert_allclose(read[..., c], plane, atol=1e-6)


def test_grey_is_the_luma_of_rec_601(tmp_path):
    red = data.picture(saved(tmp_path, Image.new("RGB", (16, 16), (255, 0, 0)))).picture
    assert data.grey(red).values == pytest.approx(0.299)
    assert data.grey(red).dims == red.dims
    # The same as Pillow's, which rounds to whole numbers.
    values = np.random.default_rng(3).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    luma = np.asarray(Image.fromarray(values).convert("L")) / 255
    coloured = data.picture(saved(tmp_path, Image.fromarray(values))).picture
    np.testing.assert_allclose(data.grey(coloured)[..., 0], luma, atol=1 / 255)


def test_sixteen_bits_are_not_clipped(tmp_path):
    deep = Image.fromarray(np.full((16, 16), 32768, dtype=np.uint16))
    assert data.load_image(saved(tmp_path, deep), 1) == pytest.approx(32768 / 65535, abs=1e-4)


def test_without_a_size_at_most_512_pixels_are_kept(tmp_path):
    read = data.picture(saved(tmp_path, Image.new("L", (700, 600))))
    assert dict(read.picture.sizes) == {"row": 512, "column": 512, "channel": 1}
    assert {"row", "column", "channel"} <= set(read.coords)
    assert data.load_image(saved(tmp_path, Image.new("L", (30, 20)))).shape == (20, 20, 1)


def chunk(kind, content):
    body = kind + content
    return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))


def png_of(width, height):
    """Return the start of a PNG that claims to have this many pixels, and has next to none."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0" * 99))


def cut(folder, image, name, share):
    whole = saved(folder, image, name)
    whole.write_bytes(whole.read_bytes()[: int(share * whole.stat().st_size)])
    return whole


def noise(size=64):
    return grey(np.random.default_rng(1).integers(0, 256, (size, size)))


def bare(folder, name, content):
    path = folder / name
    path.write_bytes(content)
    return path


def cmyk_with_a_profile_for_rgb(folder):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return saved(folder, Image.new("CMYK", (16, 16)), "c.jpg", icc_profile=profile)


def animated(folder):
    frames = [Image.new("L", (16, 16), shade) for shade in (0, 128, 255)]
    return saved(folder, frames[0], "a.gif", save_all=True, append_images=frames[1:])


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda f: f / "absent.png", "no file"),
        (lambda f: bare(f, "text.png", b"hello, world\n" * 40), "is not a picture"),
        (lambda f: bare(f, "empty.jpg", b""), "is not a picture"),
        (lambda f: cut(f, noise(), "cut.png", 0.5), "cannot be read to its end"),
        (lambda f: cut(f, noise(), "cut.jpg", 0.5), "cannot be read to its end"),
        (lambda f: saved(f, Image.new("L", (200, 15))), "200 x 15 pixels"),
        (animated, "animated .3 frames"),
        (lambda f: bare(f, "bomb.png", png_of(10_000, 9_000)), "more than 80 million"),
        (lambda f: bare(f, "worse.png", png_of(60_000, 60_000)), "more than 80 million"),
        (lambda f: saved(f, Image.new("CMYK", (16, 16)), "c.jpg"), "CMYK .* no colour profile"),
        (cmyk_with_a_profile_for_rgb, "profile that cannot be used"),
        (
            lambda f: saved(f, Image.fromarray(np.ones((16, 16), np.float32)), "f.tiff"),
            "without a stated range",
        ),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_line(tmp_path, make, words):
    path = make(tmp_path)
    with pytest.raises(BadInput, match=words) as refusal:
        data.load_image(path)
    assert refusal.value.hint
    assert "\n" not in str(refusal.value)
    assert len(str(refusal.value)) < 300


def test_a_picture_at_the_limit_of_pixels_is_not_refused_for_its_size(tmp_path):
    wide = bare(tmp_path, "wide.png", png_of(16, LARGEST // 16))
    with pytest.raises(BadInput, match="cannot be read to its end"):
        data.load_image(wide)


def test_the_smallest_picture_is_read(tmp_path):
    smallest = saved(tmp_path, Image.new("L", (16, 16), 51))
    assert data.load_image(smallest).mean() == pytest.approx(0.2)


def test_photographs_need_no_file():
    shown = data.pictures(32)
    assert shown.dims == ("image", "row", "column", "channel")
    assert shown.sizes["channel"] == 3
    assert tuple(shown.image.values) == PHOTOGRAPHS
    assert 0 <= float(shown.min()) < 0.3 < 0.7 < float(shown.max()) <= 1
    # Halving the resolution averages two by two.
    coarse = shown.coarsen(row=2, column=2).mean()
    np.testing.assert_allclose(data.pictures(16).values, coarse.values, atol=1e-12)


def test_a_users_picture_takes_the_photographs_place(tmp_path):
    given = data.picture(saved(tmp_path, halves(40, 40, 255, 0)))
    shown = data.pictures(8, given)
    assert shown.image.values.tolist() == ["yours"]
    np.testing.assert_allclose(shown.values[0, ..., 0], np.repeat([[1] * 4 + [0] * 4], 8, axis=0))


@pytest.mark.parametrize("size", [3, 7, 10, 25])
def test_area_average_keeps_the_mean(size):
    values = np.random.default_rng(0).random((10, 10))
    assert data.area_average(values, size).mean() == pytest.approx(values.mean(), abs=1e-12)


def test_split_pixels_are_a_grid_and_the_pixels_between():
    shown = data.pictures(8)
    x, y = data.split_pixels(shown)
    held_x, held_y = data.split_pixels(shown, held_out=True)
    assert x.dims == ("sample", "feature")
    assert y.dims == ("image", "sample", "feature")
    for place, value, first in ((x, y, 0), (held_x, held_y, 1)):
        rows, columns = (8 * place.values).astype(int).T
        assert set(rows) == set(columns) == set(range(first, 8, 2))
        np.testing.assert_array_equal(value.values, shown.values[:, rows, columns])


def test_a_zone_plate_has_the_frequency_it_states():
    size, fraction = 256, 0.5
    plate = data.zone_plate(size, fraction)
    assert abs(plate - 0.5).max() == pytest.approx(0.4)
    for first in (64, 128, 192, 224):
        # A strip of 32 pixels on the middle row, its frequency from the transform's peak.
        strip = (plate[size // 2, first : first + 32] - 0.5) * np.hanning(32)
        power = np.abs(np.fft.rfft(strip, 4096)) ** 2
        measured = np.argmax(power) * size / 4096
        middle = (first + 15.5) / size - 0.5
        assert measured == pytest.approx(2 * fraction * size / 2 * abs(middle), abs=4)


def test_a_zone_plate_reaches_its_fraction_at_the_edge():
    size = 512
    for fraction in (0.25, 1.0):
        row = data.zone_plate(size, fraction)[size // 2]
        crossings = np.diff(np.sign(row - 0.5)) != 0
        # Two crossings a cycle; in the last eighth of the side 7/8 of the edge's frequency, on
        # the average.
        cycles = crossings[-size // 8 :].sum() / 2 * 8
        assert cycles == pytest.approx(fraction * size / 2 * 7 / 8, rel=0.05)


@pytest.mark.parametrize(("kind", "images"), [("zone-plate", 1), ("noise", 2)])
def test_pictures_can_be_drawn_without_photographs(kind, images, monkeypatch):
    monkeypatch.setattr("sklearn.datasets.load_sample_image", None)
    shown = data.pictures(32, kind=kind)
    assert dict(shown.sizes) == {"image": images, "row": 32, "column": 32, "channel": 1}
    np.testing.assert_array_equal(shown, data.pictures(32, kind=kind))
    # A smaller one of the same picture is its average.
    coarse = data.pictures(16, kind=kind, drawn_at=32)
    averaged = shown.coarsen(row=2, column=2).mean()
    np.testing.assert_allclose(coarse.values, averaged.values, atol=1e-12)


def test_an_unknown_kind_of_picture_is_refused():
    with pytest.raises(ValueError, match="known: photographs, zone-plate, noise"):
        data.pictures(32, kind="paintings")


def amplitudes(picture):
    spectrum = np.abs(np.fft.fft2(picture - 0.5))
    frequency = np.fft.fftfreq(len(picture), 1 / len(picture))
    return np.hypot(frequency[:, None], frequency[None, :]), spectrum


def test_a_flat_spectrum_is_flat_and_ends():
    picture = data.flat_spectrum(32, 12, np.random.default_rng(3))
    radius, spectrum = amplitudes(picture)
    inside = (radius >= 1) & (radius < 12)
    assert np.ptp(spectrum[inside]) < 1e-9 * spectrum.max()
    assert spectrum[~inside].max() < 1e-9 * spectrum.max()
    assert np.abs(picture - 0.5).max() == pytest.approx(0.4)
    other = data.flat_spectrum(32, 12, np.random.default_rng(4))
    assert abs(np.corrcoef(picture.ravel(), other.ravel())[0, 1]) < 0.2


def test_a_flat_spectrum_cannot_pass_the_pixels():
    with pytest.raises(ValueError, match="up to 16 cycles"):
        data.flat_spectrum(32, 17, np.random.default_rng(0))


@pytest.mark.parametrize("exponent", [0, 1, 2])
def test_power_law_noise_has_its_exponent(exponent):
    radius, spectrum = amplitudes(data.power_law_noise(64, exponent, np.random.default_rng(5)))
    inside = radius >= 1
    slope = np.polyfit(np.log(radius[inside]), np.log(spectrum[inside]), 1)[0]
    assert slope == pytest.approx(-exponent, abs=1e-9)


def test_reading_does_not_depend_on_the_name(tmp_path):
    stream = io.BytesIO()
    halves(32, 32, 255, 0).save(stream, format="PNG")
    np.testing.assert_allclose(
        data.load_image(bare(tmp_path, "photo", stream.getvalue()), 2)[..., 0], [[1, 0], [1, 0]]
    )

import struct

import numpy as np
import pytest
from scipy.io import wavfile

from chymist import data
from chymist.data import sounds
from chymist.errors import BadInput


def tones(rate, seconds, frequencies=(300, 700, 1500), amplitude=0.2):
    time = np.arange(int(rate * seconds)) / rate
    return amplitude * np.sin(2 * np.pi * np.outer(frequencies, time)).sum(0)


def saved(folder, values, rate=44_100, name="sound.wav"):
    path = folder / name
    wavfile.write(path, rate, values)
    return path


def wav(body, tag=1, channels=1, rate=16_384, bits=16):
    """Return the bytes of a WAV file with this body, its header saying what is asked for."""
    block = channels * bits // 8
    form = struct.pack("<HHIIHH", tag, channels, rate, rate * block, block, bits)
    chunks = b"fmt " + struct.pack("<I", 16) + form
    chunks += b"data" + struct.pack("<I", len(body)) + body
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


def bare(folder, content, name="sound.wav"):
    path = folder / name
    path.write_bytes(content)
    return path


def packed_24(values):
    whole = np.round(values * 2**23).astype("<i4")
    return whole.view(np.uint8).reshape(-1, 4)[:, :3].tobytes()


def test_a_file_at_the_kept_rate_is_kept_sample_by_sample(tmp_path):
    values = tones(sounds.RATE, 0.03125)
    read = data.sound(saved(tmp_path, values, sounds.RATE))
    expected = values - values.mean()
    np.testing.assert_allclose(read.sound, expected / abs(expected).max(), atol=1e-12)
    np.testing.assert_allclose(read.time, np.arange(512) / 16_384)
    assert read.attrs == {"name": "sound", "rate": 16_384, "start": 0.0}
    assert all({"long_name", "units"} <= set(read[v].attrs) for v in ("sound", "time"))


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda v: wav(np.round(128 + 127 * v).astype("u1").tobytes(), bits=8), 3e-2),
        (lambda v: wav((32767 * v).astype("<i2").tobytes()), 2e-4),
        (lambda v: wav(packed_24(v), bits=24), 1e-6),
        (lambda v: wav((v * 2**31).astype("<i4").tobytes(), bits=32), 1e-8),
        (lambda v: wav(v.astype("<f4").tobytes(), tag=3, bits=32), 1e-6),
        (lambda v: wav(v.astype("<f8").tobytes(), tag=3, bits=64), 1e-12),
    ],
)
def test_every_format_says_the_same(tmp_path, make, error):
    values = tones(sounds.RATE, 0.03125)
    read = data.sound(bare(tmp_path, make(values)))
    exact = data.sound(saved(tmp_path, values, sounds.RATE, "exact.wav"))
    np.testing.assert_allclose(read.sound, exact.sound, atol=error)


def test_channels_are_averaged(tmp_path):
    left, right = tones(44_100, 0.1), tones(44_100, 0.1, (400, 900))
    both = data.sound(saved(tmp_path, np.stack([left, right], 1)))
    mean = data.sound(saved(tmp_path, (left + right) / 2, name="mean.wav"))
    np.testing.assert_allclose(both.sound, mean.sound, atol=1e-12)


def test_the_loudest_moment_is_kept(tmp_path):
    time = np.arange(44_100) / 44_100
    swell = tones(44_100, 1.0) * np.exp(-(((time - 0.7) / 0.02) ** 2))
    start = data.sound(saved(tmp_path, swell)).attrs["start"]
    assert start == pytest.approx(0.7 - 1 / 64, abs=2e-3)


@pytest.mark.parametrize("rate", [22_050, 44_100, 48_000, 96_000, 44_101])
@pytest.mark.parametrize(("seconds", "end"), [(0.0317, 16), (0.4, 0)])
def test_a_faster_file_is_resampled_in_place(tmp_path, rate, seconds, end):
    read = data.sound(saved(tmp_path, tones(rate, seconds, (150, 350)), rate))
    place = read.attrs["start"] + read.time.values
    expected = 0.2 * np.sin(2 * np.pi * np.outer((150, 350), place)).sum(0)
    # A file that ends where the window does leaves the filter nothing to look at beyond.
    inside = slice(end, 512 - end)
    expected, drawn = (v[inside] - v[inside].mean() for v in (expected, read.sound.values))
    ratio = (expected @ drawn) / (expected @ expected)
    # The window's start is known to one sample of the file.
    assert abs(drawn - ratio * expected).max() < 4 * np.pi * 350 / rate + 0.02


def test_what_lies_above_the_kept_frequencies_is_not_folded_down(tmp_path):
    # 14 kHz would appear at 16,384 - 14,000 = 2,384 Hz.
    low = tones(44_100, 0.5)
    whistle = 0.5 * np.sin(2 * np.pi * 14_000 * np.arange(len(low)) / 44_100)
    read = data.sound(saved(tmp_path, low + whistle)).sound.values
    spectrum = np.abs(np.fft.rfft(read * np.hanning(512)))
    cycles = 2384 / 32
    folded = spectrum[int(cycles) - 3 : int(cycles) + 5].max()
    assert folded < 0.01 * spectrum.max()


def test_a_slower_file_is_kept_at_its_own_rate(tmp_path):
    read = data.sound(saved(tmp_path, tones(8000, 0.1), 8000))
    assert read.attrs["rate"] == 8000
    assert read.sizes["sample"] == 512


def truncated(folder):
    path = saved(folder, tones(44_100, 0.5))
    path.write_bytes(path.read_bytes()[:-3000])
    return path


QUIET = np.zeros(4096, "<i2")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda f: f / "absent.wav", "no file"),
        (lambda f: f, "cannot be read"),
        (lambda f: bare(f, b""), "not a WAV file"),
        (lambda f: bare(f, b"hello, world" * 99), "not a WAV file"),
        (lambda f: bare(f, b"ID3\x04" + bytes(4000)), "not a WAV file"),
        (lambda f: bare(f, wav(b"")[:30]), "cut short or damaged"),
        (lambda f: bare(f, wav(bytes(64), channels=0)), "cut short or damaged"),
        (truncated, "cut short or damaged"),
        (lambda f: bare(f, wav(bytes(4096), tag=0x55)), "compressed .*MPEGLAYER3"),
        (lambda f: bare(f, wav(bytes(4096), tag=0x11)), "compressed .*DVI_ADPCM"),
        (lambda f: bare(f, wav(bytes(4096), tag=0x1234)), "unknown format .0x1234"),
        (lambda f: bare(f, wav(bytes(4096), tag=3, bits=16)), "16-bit floating-point"),
        (lambda f: bare(f, wav(bytes(4096), rate=500)), "500 samples a second"),
        (lambda f: bare(f, wav(bytes(4096), rate=10**6)), "1000000 samples a second"),
        (lambda f: saved(f, tones(44_100, 0.03)), "has 1323 samples .30 ms"),
        (lambda f: bare(f, wav(b"")), "has 0 samples"),
        (lambda f: saved(f, QUIET), "is silent"),
        (lambda f: saved(f, np.full(4096, 9000, "<i2")), "is silent"),
        (lambda f: saved(f, np.full(4096, np.nan)), "not finite"),
        (lambda f: saved(f, tones(44_100, 0.2, (440,))), "one octave"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_line(tmp_path, make, words):
    path = make(tmp_path)
    with pytest.raises(BadInput, match=words) as refusal:
        data.sound(path)
    assert refusal.value.hint
    assert "\n" not in str(refusal.value)
    assert len(str(refusal.value)) < 300


def test_a_large_file_is_refused_unread(tmp_path, monkeypatch):
    monkeypatch.setattr(sounds, "LARGEST", 1000)
    with pytest.raises(BadInput, match="at most 1000 are read"):
        data.sound(saved(tmp_path, tones(44_100, 0.2)))


def test_damaged_headers_never_end_in_anything_but_a_refusal(tmp_path):
    generator = np.random.default_rng(0)
    whole = wav((32767 * tones(sounds.RATE, 0.05)).astype("<i2").tobytes())
    refused = 0
    for _ in range(300):
        raw = bytearray(whole)
        for place in generator.integers(0, 48, generator.integers(1, 4)):
            raw[place] = generator.integers(0, 256)
        try:
            data.sound(bare(tmp_path, bytes(raw)))
        except BadInput as refusal:
            refused += 1
            assert len(str(refusal)) < 300
    assert refused > 100


def test_other_chunks_are_passed_over(tmp_path):
    values = (32767 * tones(sounds.RATE, 0.05)).astype("<i2").tobytes()
    plain = wav(values)
    note = b"note" + struct.pack("<I", 8) + b"abcdefgh"
    noted = plain[:12] + note + plain[12:]
    read = [data.sound(bare(tmp_path, raw)).sound for raw in (plain, noted)]
    np.testing.assert_array_equal(*read)


def test_a_flat_sound_has_one_amplitude():
    sound = data.flat_sound(2, 15, np.random.default_rng(0))
    spectrum = np.abs(np.fft.rfft(sound))
    assert np.ptp(spectrum[2:16]) < 1e-9 * spectrum.max()
    assert np.delete(spectrum, slice(2, 16)).max() < 1e-9 * spectrum.max()
    assert abs(sound).max() == pytest.approx(1)


def test_octaves_without_power_do_not_count():
    place = np.arange(512) / 512
    wave = np.cos(2 * np.pi * 6.3 * place) + 0.3 * np.cos(2 * np.pi * 50 * place)
    assert data.strong_octaves(wave) == [(4, 8), (32, 64)]
    assert data.strong_octaves(np.ones(512)) == []

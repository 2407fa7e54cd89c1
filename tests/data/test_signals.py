from __future__ import annotations

import numpy as np
import pytest

from chymist.data import signal
from chymist.errors import BadInput
from chymist.instruments import spectral_peaks


def write(folder, text, name="signal.csv"):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def rows(x, y, mark=","):
    return "".join(f"{a!r}{mark}{b!r}\n" for a, b in zip(x.tolist(), y.tolist(), strict=True))


def two_sines(n):
    x = np.linspace(0, 2 * np.pi, n)
    return x, np.sin(x) + np.sin(5 * x) + 3


def test_evenly_spaced_rows_are_kept_but_for_the_endpoint(tmp_path):
    x, y = two_sines(101)
    data = signal(write(tmp_path, "time,height\n" + rows(x, y)))
    assert data.sizes == {"sample": 100}
    np.testing.assert_allclose(data.y, y[:-1] - y[:-1].mean(), atol=1e-12)
    np.testing.assert_allclose(data.x, 2 * np.pi * np.arange(100) / 100 - np.pi)
    assert spectral_peaks(data.y.values, 25) == [1, 5]
    assert abs(float(data.y.mean())) < 1e-12
    assert data.attrs["rows"] == 101
    assert data.attrs["period"] == pytest.approx(2 * np.pi)
    assert all({"long_name", "units"} <= set(data[v].attrs) for v in data)


def test_uneven_rows_are_interpolated_linearly(tmp_path):
    x = np.sort(np.random.default_rng(0).uniform(10, 20, 300))
    y = np.sin(2 * np.pi * (x - 10) / 5) + np.sin(2 * np.pi * (x - 10))
    data = signal(write(tmp_path, rows(x, y)))
    even = x[0] + (x[-1] - x[0]) * np.arange(299) / 299
    expected = np.interp(even, x, y)
    np.testing.assert_allclose(data.y, expected - expected.mean(), atol=1e-12)


def test_at_most_1024_points(tmp_path):
    assert signal(write(tmp_path, rows(*two_sines(5000)))).sizes["sample"] == 1024


def test_sixteen_rows_are_enough(tmp_path):
    x = np.linspace(0, 1, 16)
    y = np.cos(2 * np.pi * x) + np.cos(6 * np.pi * x)
    assert signal(write(tmp_path, rows(x, y))).sizes["sample"] == 15


@pytest.mark.parametrize("mark", [";", "\t", ", "])
@pytest.mark.parametrize("prefix", ["", "\ufeff", "x%sy\n", "\n\n"])
def test_separators_header_byte_order_mark_and_blank_lines(tmp_path, mark, prefix):
    text = prefix.replace("%s", mark) + rows(*two_sines(64), mark).replace("\n", "\r\n") + "\n\n"
    assert signal(write(tmp_path, text)).attrs["rows"] == 64


def changed(number, line):
    lines = rows(*two_sines(40)).splitlines()
    lines[number - 1] = line
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (changed(7, "0.9,hello"), "row 7: 'hello' is not a number"),
        (changed(7, "0.9,"), "row 7: '' is not a number"),
        (changed(1, "0.0,height"), "row 1: 'height' is not a number"),
        (changed(2, "x,y"), "row 2: 'x' is not a number"),
        (changed(7, "0.9,nan"), "row 7: nan cannot be used"),
        (changed(7, "inf,1"), "row 7: inf cannot be used"),
        (changed(7, "0.9,1e101"), "row 7: 1e101 cannot be used"),
        (changed(7, "0.9"), "row 7 has 1 column"),
        (changed(7, "0.9,1,2"), "row 7 has 3 columns"),
        ("\n".join(map(str, range(40))), "row 1 has 1 column"),
        (changed(7, rows(*two_sines(40)).splitlines()[5]), "row 7: x = 0.805537 is repeated"),
        (changed(7, "-5,1"), "row 7: x = -5 follows 0.805537"),
        (rows(*two_sines(15)), "has 15 rows"),
        ("x,y\n", "has 0 rows"),
        (rows(np.arange(40.0), np.full(40, 2.5)), "y is constant (2.5)"),
        (rows(np.arange(41.0), np.sin(np.arange(41) * 2 * np.pi / 40)), "one peak (k = 1)"),
        (rows(np.arange(41.0), (-1.0) ** np.arange(41)), "no peak up to k = 10"),
        (b"", "is empty"),
        (b"\n \n", "is empty"),
        ("café,1\n".encode("latin-1"), "is not UTF-8 text (byte 3)"),
        (bytes(range(256)) * 8, "is not UTF-8 text"),
        (b"\x00\x01,\x02\n" * 20, "is not a number"),
        (b"1," + b"9" * 200_000 + b"\n", "row 1"),
    ],
)  # fmt: skip
def test_refusals_are_one_line_with_a_hint(tmp_path, content, says):
    with pytest.raises(BadInput) as caught:
        signal(write(tmp_path, content))
    assert says in caught.value.message
    assert caught.value.message.startswith("signal.csv")
    assert caught.value.hint
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 250


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    with pytest.raises(BadInput, match="no file"):
        signal(tmp_path / "absent.csv")
    with pytest.raises(BadInput, match="cannot be read"):
        signal(tmp_path)


def test_a_large_file_is_refused_unread(tmp_path, monkeypatch):
    monkeypatch.setattr("chymist.data.signals.LARGEST", 100)
    with pytest.raises(BadInput, match="at most 100"):
        signal(write(tmp_path, rows(*two_sines(40))))


@pytest.mark.parametrize("seed", range(20))
def test_the_reader_and_the_instrument_agree_on_peaks(tmp_path, seed):
    generator = np.random.default_rng(seed)
    x = np.arange(65.0)
    k = generator.integers(1, 20, 3)
    y = np.cos(2 * np.pi * np.outer(x, k) / 64 + generator.uniform(0, 6, 3)).sum(1)
    path = write(tmp_path, rows(x, y))
    found = spectral_peaks(y[:-1], 16)
    if len(found) < 2:
        with pytest.raises(BadInput, match="peak"):
            signal(path)
    else:
        assert spectral_peaks(signal(path).y.values, 16) == found

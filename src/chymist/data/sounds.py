"""Sounds: the loudest moment of a WAV file, or a signal whose spectrum is flat."""

from __future__ import annotations

import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Float
from numpy import ndarray

from chymist.errors import BadInput

SAMPLES = 512
"""Samples of a sound that is kept."""
RATE = 16_384
"""Most samples a second of a sound that is kept: 512 of them are a 32nd of a second."""
RATES = (1000, 768_000)
"""Fewest and most samples a second of a file that is read."""
LARGEST = 64 * 2**20
"""Most bytes of a file that is read: six minutes of a compact disc."""
SILENCE = 1e-4
"""Largest amplitude, of full scale, that counts as silence: -80 dB."""
SHARE = 0.01
"""Least share of the power that an octave must have to be told from leakage and noise."""


def sound(path: Path | str) -> xr.Dataset:
    """Read the loudest moment of a WAV file as the variable `sound` [sample], in [-1, 1].

    PCM of 8, 16, 24 or 32 bits or floating point; channels are averaged. Of all windows of 512
    samples at 16,384 a second (a 32nd of a second; at the file's own rate where that is lower) the
    one of the largest power is kept, its mean removed and its largest value scaled to 1. A faster
    file is resampled by a polyphase filter, whose low-pass keeps what lies above 8,192 Hz from
    being folded down. `time` [s] runs from 0, `start` [s] says where in the file the window is.

    Raises:
        BadInput: no such file, not a WAV file, cut short or damaged, compressed, over 64 MiB, a
            rate out of range, values that are not finite, too short, silent, or less than two
            octaves with a hundredth of the power: one octave alone has no order.
    """
    path = Path(path)
    rate, mono = _mono(path)
    new_rate = min(rate, RATE)
    length = math.ceil(SAMPLES * rate / new_rate)
    if len(mono) < length:
        raise BadInput(
            f"{path.name} has {len(mono)} samples ({1000 * len(mono) / rate:.4g} ms)",
            f"at least {length} are needed at {rate} a second",
        )
    mono = mono - mono.mean()
    start = _loudest(mono, length)
    kept = _resampled(mono, start, rate, new_rate)
    kept = kept - kept.mean()
    size = float(np.abs(kept).max())
    if size < SILENCE:
        raise BadInput(
            f"{path.name} is silent: its loudest moment reaches {size:.2g} of full scale",
            "give a sound that can be heard",
        )
    if len(strong_octaves(kept)) < 2:
        raise BadInput(
            f"{path.name}: one octave has all but a hundredth of the power",
            "give a sound of several tones, a voice or an instrument; a pure tone has no order",
        )
    time = xr.DataArray(np.arange(SAMPLES) / new_rate, dims="sample")
    time.attrs = {"long_name": "time", "units": "s"}
    values = xr.DataArray(kept / size, {"time": time}, ("sample",))
    values.attrs = {"long_name": f"loudest moment of {path.name}", "units": "1"}
    about = {"name": path.stem, "rate": new_rate, "start": round(start / rate, 6)}
    return xr.Dataset({"sound": values}, attrs=about)


def flat_sound(
    lowest: int, highest: int, generator: np.random.Generator
) -> Float[ndarray, " sample"]:
    """Cosines of equal amplitude and random phases, of lowest..highest cycles; in [-1, 1].

    On it no octave is learnt early merely because it is strong.
    """
    place = np.arange(SAMPLES) / SAMPLES
    cycles = np.arange(lowest, highest + 1)[:, None]
    phases = generator.random(cycles.shape)
    waves = np.cos(2 * np.pi * (cycles * place + phases)).sum(0)
    scaled: ndarray[Any, Any] = waves / np.abs(waves).max()
    return scaled


def strong_octaves(values: Float[ndarray, " sample"]) -> list[tuple[int, int]]:
    """Return the octaves [2^j, 2^(j+1)), in cycles, with a hundredth of the power or more.

    Of every second sample, on which networks are trained: up to a quarter of the samples. Under a
    Hann window, so that a tone between two frequencies does not count in every octave.

    >>> place = np.arange(128) / 128
    >>> strong_octaves(np.cos(2 * np.pi * 6 * place) + np.cos(2 * np.pi * 24 * place))
    [(4, 8), (16, 32)]
    """
    train = values[::2] - np.mean(values[::2])
    window = 1 - np.cos(2 * np.pi * np.arange(len(train)) / len(train))
    power = np.abs(np.fft.rfft(window * train)) ** 2
    octaves = [(2**j, 2 ** (j + 1)) for j in range(int(math.log2(len(train) / 2)))]
    return [o for o in octaves if power[slice(*o)].sum() >= SHARE * power[1:].sum() > 0]


def _mono(path: Path) -> tuple[int, Float[ndarray, " sample"]]:
    """Return samples a second, and the mean of the channels in units of full scale."""
    rate, values = _decoded(path)
    if not RATES[0] <= rate <= RATES[1]:
        raise BadInput(
            f"{path.name} has {rate} samples a second",
            f"allowed: {RATES[0]} to {RATES[1]}; resample it first",
        )
    values = values[:, None] if values.ndim == 1 else values
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise BadInput(f"{path.name} has values that are not finite", "export it again")
    mono = values.mean(1, dtype=float)
    if values.dtype.kind == "u":
        return rate, (mono - 128) / 128
    if values.dtype.kind == "i":
        return rate, mono / -float(np.iinfo(values.dtype).min)
    return rate, mono


def _decoded(path: Path) -> tuple[int, ndarray[Any, Any]]:
    from scipy.io import wavfile

    try:
        size = path.stat().st_size
        if size > LARGEST:
            raise BadInput(
                f"{path.name} has {size} bytes",
                f"at most {LARGEST} are read; cut out the part that matters",
            )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", wavfile.WavFileWarning)
            warnings.filterwarnings("error", "Reached EOF", wavfile.WavFileWarning)
            rate, values = wavfile.read(path)
    except FileNotFoundError:
        raise BadInput(f"no file {path}", "check the path") from None
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}", "give a readable file") from None
    except BadInput:
        raise
    except Exception as error:
        # SciPy meets a damaged header with whatever the next line of its parser makes of it.
        raise _refusal(path, str(error)) from None
    return int(rate), values


def _refusal(path: Path, says: str) -> BadInput:
    if says.startswith("Unknown wave file format"):
        name = says.removeprefix("Unknown wave file format: ").split(".")[0]
        return BadInput(
            f"{path.name} is compressed or of unknown format ({name})",
            "export it as a WAV file of 16-bit PCM",
        )
    if says.startswith("Unsupported bit depth"):
        return BadInput(f"{path.name}: {says}", "export it as a WAV file of 16-bit PCM")
    if says.startswith(("File format", "Not a WAV file")):
        return BadInput(f"{path.name} is not a WAV file", "export it as a WAV file of 16-bit PCM")
    return BadInput(f"{path.name} is cut short or damaged", "export it again")


def _loudest(mono: Float[ndarray, " sample"], length: int) -> int:
    """Return where the window of so many samples with the largest power begins."""
    power = np.concatenate([[0.0], np.cumsum(mono**2)])
    return int(np.argmax(power[length:] - power[:-length]))


def _resampled(
    mono: Float[ndarray, " sample"], start: int, rate: int, new_rate: int
) -> Float[ndarray, " sample"]:
    """Return 512 samples at the new rate from `start` on."""
    if rate == new_rate:
        return mono[start : start + SAMPLES]
    from scipy.signal import resample_poly

    up, down = (r // math.gcd(rate, new_rate) for r in (new_rate, rate))
    # The filter reaches ten new samples to each side; a whole number of new samples precedes the
    # window, or what the file has of them.
    before = min(start * up // down, 16)
    first = start - before * down // up
    last = start + math.ceil((SAMPLES + 16) * down / up)
    resampled: ndarray[Any, Any] = resample_poly(mono[first:last], up, down)
    return resampled[before : before + SAMPLES]

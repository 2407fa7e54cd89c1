"""Networks that learn a sound as a function of time: training of `image-memorisation`.

`p` is a cell of its parameters. Time runs from 0 to 1; of 512 samples every second one is trained
on, the others are held out.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch
import xarray as xr

from chymist import data, instruments, models
from chymist.bench import Bench, samples
from chymist.data.sounds import RATE, SAMPLES
from chymist.ensemble import log_spaced
from chymist.instruments import lines
from chymist.solvers import Adam

OCTAVES = [(2, 4), (4, 8), (8, 16)]
"""Of the generated sound, in cycles; the octave below has a single frequency, a noisy one."""


def train(p: Any, bench: Bench) -> xr.Dataset:
    """Errors by octave (`band`, lower edge in Hz), held-out PSNR, and what networks draw.

    Networks learn 0.5 + 0.4 sound: the user's, or new cosines of equal amplitude for each seed, as
    if they lasted a 32nd of a second. `line` holds what they draw at the steps `frame`, in units of
    the sound's largest value, at `point`, in s; `sound` is what it should become.
    """
    if bench.input is not None:
        name, rate, heard = "yours", bench.input.attrs["rate"], bench.input.sound.values
        octaves = data.strong_octaves(heard)
        heard = samples(np.stack([heard] * len(bench.seeds)), seed=bench.seeds)
    else:
        name, rate, octaves = "flat spectrum", RATE, OCTAVES
        heard = bench.draw("sound", lambda key: samples(data.flat_sound(2, 15, key)))
    time = np.arange(SAMPLES) / SAMPLES
    x, y = samples(time), 0.5 + 0.4 * heard
    trained, held_out = ({"sample": slice(first, None, 2)} for first in (0, 1))
    frames = sorted({round(p.sound_steps / 4**i) for i in range(4)})
    curves = (
        lines.line_band_error(octaves, rate / SAMPLES),
        instruments.held_out_psnr(x.isel(held_out), y.isel(held_out)),
    )
    record = {
        **dict.fromkeys(curves, lambda steps: sorted({*log_spaced(60)(steps), *frames})),
        lines.line_drawn(torch.as_tensor(time)[:, None]): lambda steps: frames,
    }
    runs = [
        _draw(p, bench, encoding, x.isel(trained), y.isel(trained), record)
        for encoding in p.sound_network.values.tolist()
    ]
    run = xr.concat(runs, xr.DataArray(p.sound_network.values, dims="network", name="network"))
    seconds = {"point": np.arange(SAMPLES) / rate}
    drawn = ((run.drawn.sel(step=frames).rename(step="frame") - 0.5) / 0.4).assign_coords(seconds)
    drawn.attrs = {"long_name": "sound drawn", "units": "1"}
    target = heard.isel(feature=0).rename(sample="point").assign_coords(seconds)
    target.attrs = {"long_name": "sound", "units": "1"}
    run = run.drop_vars(["drawn", "point"]).assign(line=drawn, sound=target)
    return run.expand_dims(image=[name])


def _draw(p: Any, bench: Bench, encoding: Any, x: Any, y: Any, record: Any) -> xr.Dataset:
    build = partial(models.coordinate_network, encoding, width=p.width, m=p.frequencies,
                    highest=SAMPLES / 8, axes=1)  # fmt: skip
    start = models.coordinate_start(encoding, p.scale * SAMPLES / 2)
    rate = 0.3 * p.lr if encoding == "siren" else p.lr
    return bench.train(bench.networks(build, start), Adam(rate), x, y, steps=p.sound_steps,
                       record=record, label=encoding).data  # fmt: skip

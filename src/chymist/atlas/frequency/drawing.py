"""Networks that draw pictures: the trainings of the study `image-memorisation`.

`p` is a cell of its parameters. Pictures are `size` pixels a side, of which every second one on
each axis is trained on; the rest of the two axes' odd pixels is held out.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
import xarray as xr

from chymist import data, instruments, models
from chymist.bench import Bench, samples
from chymist.ensemble import log_spaced
from chymist.instruments import images
from chymist.solvers import Adam

FLAT_BANDS = (1, 3, 6, 9, 12)
SHOWN = 64
"""Pixels a side of the drawings that are kept."""


def train(p: Any, bench: Bench, encoding: Any, sigma: Any, x: Any, y: Any, steps: int,
          record: Any) -> xr.Dataset:  # fmt: skip
    """Train networks of one encoding; all have as many parameters, within 15 %."""
    build = partial(models.coordinate_network, encoding, width=p.width, m=p.frequencies,
                    highest=p.size / 8, outputs=y.sizes["feature"])  # fmt: skip
    networks = bench.networks(build, models.coordinate_start(encoding, sigma))
    rate = 0.3 * p.lr if encoding == "siren" else p.lr
    return bench.train(networks, Adam(rate), x, y, steps=steps, record=record, label=encoding).data


def flat_spectra(p: Any, bench: Bench) -> xr.Dataset:
    """Errors by band on pictures with one amplitude for all frequencies, new phases each seed."""
    n, encoding = p.size // 2, p.flat_encoding
    shown = bench.draw(
        "picture", lambda key: samples(data.flat_spectrum(n, FLAT_BANDS[-1], key).ravel())
    )
    record = {images.picture_band_error(FLAT_BANDS): log_spaced(80)}
    x = torch.as_tensor(data.pixel_grid(n))
    run = train(p, bench, encoding, p.scale * n, x, shown, p.flat_steps, record)
    return run.expand_dims(network=[encoding], image=["flat spectrum"])


def photographs(p: Any, bench: Bench) -> xr.Dataset:
    """Errors by octave, held-out PSNR and drawings, of the user's picture or `p.pictures`.

    `drawn` holds the drawings at the steps `frame`; `photograph` is what they should become.
    """
    shown = data.pictures(p.size, bench.input, p.pictures)
    octaves = [2**j for j in range(20) if 2**j <= p.size / 4]
    frames = sorted({round(p.steps / 2 ** (i / 3)) for i in range(16)} | {0})
    measured = sorted({*log_spaced(30)(p.steps), *(round(p.steps / 2**i) for i in range(6))})
    curves = (
        images.picture_band_error(octaves),
        images.picture_band_psnr(octaves),
        instruments.held_out_psnr(*data.split_pixels(shown, held_out=True)),
    )
    record = {
        **dict.fromkeys(curves, lambda _: measured),
        images.reconstruction(
            torch.as_tensor(data.pixel_grid(SHOWN)), shown.channel.values.tolist()
        ): lambda _: frames,
    }
    x, y = data.split_pixels(shown)
    run = xr.concat(
        [
            train(p, bench, encoding, p.scale * p.size / 2, x, y, p.steps, record)
            for encoding in p.network.values.tolist()
        ],
        p.network,
    )
    target = data.pictures(SHOWN, bench.input, p.pictures, p.size)
    target = target.expand_dims(seed=list(bench.seeds))
    drawn = run.picture.sel(step=frames).rename(step="frame")
    # As many shades as a screen has, which take a third of the room.
    shades = (255 * drawn.clip(0, 1)).round() / 255
    shades.attrs = drawn.attrs
    curves_alone = run.drop_vars("picture").sel(step=measured)
    return curves_alone.assign(drawn=shades, photograph=target)

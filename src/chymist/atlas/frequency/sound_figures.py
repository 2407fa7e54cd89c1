"""The drawings of the sounds of the study `image-memorisation`."""

from __future__ import annotations

from typing import Any

import altair as alt
import xarray as xr

from chymist import figures
from chymist.atlas.frequency.image_figures import UPDATES, band_curves

COLOURS = dict(zip(("none", "gaussian", "siren", "basic", "positional"), figures.PALETTE,
                   strict=False))  # fmt: skip
LEAST = 1e-3
"""Relative error at which curves are drawn that lie below it."""


def drawn(run: xr.Dataset, control: xr.Dataset | None) -> alt.TopLevelMixin:
    """What networks of one seed draw at a few steps, a row a network, over the sound itself."""
    # The samples held out; all of them would make the figure twice as large.
    shown = run.isel(seed=0, image=0, point=slice(1, None, 2), drop=True)
    shown = shown.assign_coords(point=1000 * shown.point)
    rows = []
    for network in shown.network.values.tolist():
        panels = []
        for frame in shown.frame.values.tolist():
            line = shown.line.sel(network=network, frame=frame, drop=True)
            title = f"{network}, {frame} updates"
            panels.append(
                (_curve(shown.sound, figures.MUTED, 0.5) + _curve(line, COLOURS[network], 1.0))
                .properties(title=title, width=170, height=90)
            )  # fmt: skip
        rows.append(alt.hconcat(*panels, spacing=8))
    return alt.vconcat(*rows, spacing=8)


def octaves(run: xr.Dataset, control: xr.Dataset | None) -> alt.TopLevelMixin:
    """Errors by octave of two networks; below, held-out PSNR, the control at the right."""
    error = run.band_error.mean("image")
    error = error.clip(min=LEAST)
    words: dict[str, Any] = {"scale": "log", "domain": (LEAST, 1.5)}
    names = {"none": "plain coordinates", "gaussian": "Gaussian features"}
    above = [
        band_curves(
            error.sel(network=network), 2.0, "relative error", unit="Hz", **words
        ).properties(title=title)
        for network, title in names.items()
        if network in run.network
    ]  # fmt: skip
    runs = {"as claimed": run} | ({} if control is None else {"control": control})
    below = [
        figures.measured(
            part.test_psnr.mean("image"), colour="network", domain=(0, 80),
            title="held-out PSNR (dB)", **UPDATES,
        ).properties(title=title)
        for title, part in runs.items()
    ]  # fmt: skip
    return alt.vconcat(alt.hconcat(*above), alt.hconcat(*below)).resolve_scale(color="independent")


def _curve(line: xr.DataArray, colour: str, width: float) -> alt.Chart:
    return (
        alt.Chart(alt.Data(values=figures.table(value=line)))
        .mark_line(color=colour, strokeWidth=width + 0.3, clip=True)
        .encode(
            x=alt.X("point:Q", title="time (ms)"),
            y=alt.Y("value:Q", title=None, scale=alt.Scale(domain=[-1.2, 1.2])),
        )
    )

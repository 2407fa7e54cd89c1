"""The drawings of the study `image-memorisation`."""

from __future__ import annotations

from typing import Any

import altair as alt
import numpy as np
import xarray as xr

from chymist import explorable, figures, stats

UPDATES: dict[str, Any] = {"x": "step", "x_title": "updates", "x_scale": "log"}


def strip(run: xr.Dataset, control: xr.Dataset | None) -> alt.TopLevelMixin:
    """Drawings of one seed over training, a row a network, the photograph at the right."""
    drawn = run.drawn.isel(seed=0, image=0, drop=True)
    last = int(drawn.frame[-1])
    drawn = drawn.sel(frame=sorted({round(last / 2**i) for i in range(6)}))
    names = [f"{step:g}" for step in drawn.frame.values]
    target = run.photograph.isel(seed=0, image=0, drop=True).expand_dims(
        frame=["photograph"], network=run.network
    )
    cells = xr.concat([drawn.assign_coords(frame=names), target], "frame", join="override")
    return figures.image_strip(cells, "network", "frame", column_title="updates")


def course(run: xr.Dataset, control: xr.Dataset | None) -> alt.TopLevelMixin:
    """What the networks of one seed draw at a step, the photograph, and errors by octave."""
    kept = ("network", "step", "band", "frame", "row", "column", "channel")
    run = run.isel({d: 0 for d in run.dims if d not in kept}, drop=True)
    pictures = alt.layer(*_pictures(run)).properties(width=3 * 126, height=2 * 144)
    panels = []
    for network, label in (("none", "plain coordinates"), ("gaussian", "Gaussian features")):
        if network in run.network:
            error = run.band_error.sel(network=network, drop=True)
            curves = band_curves(error, 2.0, "relative error", scale="log", domain=(3e-3, 1.5))
            shown = curves + explorable.cursor("updates", "log", least=1)
            panels.append(shown.properties(title=f"octaves, {label}", width=230, height=100))
    chart = alt.concat(pictures, alt.vconcat(*panels), columns=2)
    return explorable.through(chart, run.frame.values)


PLACES = 3
"""Pictures side by side."""


def _pictures(run: xr.Dataset) -> list[alt.Chart]:
    """Lay the networks' pictures and the photograph out, with names above them."""
    names = [*run.network.values.tolist(), "photograph"]
    places = {n: {"across": i % PLACES, "down": i // PLACES} for i, n in enumerate(names)}
    cells = [
        {"frame": frame, "url": figures.data_url(np.asarray(picture), "jpeg"), **places[name]}
        for name in run.network.values.tolist()
        for frame, picture in zip(run.frame.values.tolist(),
                                  run.drawn.sel(network=name).values, strict=True)
    ]  # fmt: skip
    goal = [{"url": figures.data_url(run.photograph.values, "jpeg"), **places["photograph"]}]
    words = [{"name": name, **place} for name, place in places.items()]
    x = alt.X("across:O", axis=None)
    y = alt.Y("down:O", axis=None)
    drawn, target, named = (alt.Chart(alt.Data(values=rows)) for rows in (cells, goal, words))
    at = drawn.transform_filter(f"datum.frame == {explorable.AT}")
    return [
        at.mark_image(width=120, height=120).encode(x=x, y=y, url="url:N"),
        target.mark_image(width=120, height=120).encode(x=x, y=y, url="url:N"),
        named.mark_text(dy=-66, fontSize=11).encode(x=x, y=y, text="name:N"),
    ]


def held_out(run: xr.Dataset, control: xr.Dataset | None) -> alt.TopLevelMixin:
    """Held-out PSNR over training, a curve a network; the control at the right."""
    runs = {"as claimed": run} | ({} if control is None else {"control": control})
    return alt.hconcat(
        *(
            figures.measured(
                data.test_psnr.mean("image"), colour="network", domain=(4, 25),
                title="held-out PSNR (dB), mean over pictures", **UPDATES,
            ).properties(title=title)
            for title, data in runs.items()
        )
    )  # fmt: skip


def octaves(run: xr.Dataset, control: xr.Dataset | None) -> alt.TopLevelMixin:
    """Relative error and absolute PSNR of every octave, for the plain and the Gaussian network."""
    words: dict[str, Any]
    rows = []
    for name, title, words in (
        ("band_error", "relative error", {"scale": "log", "domain": (3e-3, 1.5)}),
        ("band_psnr", "PSNR of the octave (dB)", {"domain": (12, 65)}),
    ):
        panels = []
        for network, label in (("none", "plain coordinates"), ("gaussian", "Gaussian features")):
            if network not in run.network:
                continue
            curves = run[name].sel(network=network).mean("image")
            panels.append(band_curves(curves, 2.0, title, **words).properties(title=label))
        rows.append(alt.hconcat(*panels))
    return alt.vconcat(*rows)


def flat(run: xr.Dataset, control: xr.Dataset | None) -> alt.TopLevelMixin:
    """Error of every band of the flat-spectrum picture over training, the control at the right."""
    runs = {"plain coordinates": run}
    if control is not None:
        runs["control: Gaussian features of large scale"] = control
    return alt.hconcat(
        *(
            band_curves(
                data.band_error.isel(network=0, image=0, drop=True), None, "relative error",
                domain=(0, 1.1),
            ).properties(title=title)
            for title, data in runs.items()
        )
    )  # fmt: skip


def scales(run: xr.Dataset, control: xr.Dataset | None) -> alt.TopLevelMixin:
    """PSNR against the scale on held-out pixels, with kernel regression, and on training pixels."""
    words: dict[str, Any] = {"x": "sigma", "x_scale": "log"}
    words["x_title"] = "scale σ (cycles per picture)"
    held = figures.measured(
        run.test_psnr.mean("image"), title="held-out PSNR (dB)", colour="pixels", points=True,
        colour_title="training pixels a side", domain=(6, 26), **words,
    )  # fmt: skip
    if "predicted_test_psnr" in run:
        theory = figures.predicted(
            run.predicted_test_psnr.mean("image"), detail="pixels", domain=(6, 26), **words
        )
        # In the colour of the measurement it belongs to: the curves cross.
        held = held + theory.encode(color=alt.Color("pixels:N", sort=None))
    held = held + _best(run)
    trained = figures.measured(
        run.train_psnr.mean("image"), title="training PSNR (dB)", colour="pixels", points=True,
        colour_title="training pixels a side", **words,
    )  # fmt: skip
    return held.properties(title="held-out pixels") | trained.properties(title="training pixels")


def _best(run: xr.Dataset) -> alt.Chart:
    """Mark the best scale at each resolution on the axis, measured and by kernel regression."""
    rows = []
    for name, scores in (("measured", "test_psnr"), ("kernel regression", "predicted_test_psnr")):
        if scores in run:
            octave = stats.best_octave(run[scores].mean("image"))
            octave = octave.median("seed") if "seed" in octave.dims else octave
            rows += [row | {"best": name} for row in figures.table(sigma=2**octave)]
    return (
        alt.Chart(alt.Data(values=rows))
        .mark_point(filled=True, size=70)
        .encode(
            x="sigma:Q", y=alt.value(212), color=alt.Color("pixels:N", sort=None),
            shape=alt.Shape(
                "best:N", title="best scale σ*", sort=None,
                scale=alt.Scale(domain=["measured", "kernel regression"],
                                range=["triangle-up", "diamond"]),
            ),
        )
    )  # fmt: skip


def shares(
    dim: str, symbol: str, run: xr.Dataset, control: xr.Dataset | None
) -> alt.TopLevelMixin:
    """Share left of every band's error at the start: a panel a place along dim, control below."""
    rows = [_shares(run, dim, symbol)]
    if control is not None:
        rows.append(_shares(control, dim, f"control, {symbol}"))
    return alt.vconcat(*rows)


def _shares(run: xr.Dataset, dim: str, name: str) -> alt.HConcatChart:
    words: dict[str, Any] = {"scale": "log", "domain": (0.02, 2), "title": "error / error at start"}
    words |= UPDATES
    if dim == "kernel_scale":
        run = _between_edges(run)
    start = run.error.sel(step=0, drop=True)
    panels = []
    for place in run[dim].values:
        left, theory = (
            (error / start).sel({dim: place}).where(run.predicted_error.sel({dim: place}) > 0.01)
            for error in (run.error, run.predicted_error)
        )
        theory = theory.mean("seed")
        panels.append(
            (
                figures.measured(
                    left.where(left > 0.02), colour="band", colour_title="frequency", **words
                )
                + figures.predicted(theory.where(theory > 0.02), detail="band", **words)
            ).properties(title=f"{name} = {place:g}", width=210, height=170)
        )
    return alt.hconcat(*panels)


def _between_edges(curves: Any, ratio: float | None = None) -> Any:
    """Call bands by their edges; the last ends at 12 cycles unless there is a ratio."""
    lower = curves.band.values
    upper = lower * ratio if ratio else np.append(lower[1:], 12)
    return curves.assign_coords(band=[f"{a:g}–{b:g}" for a, b in zip(lower, upper, strict=True)])


def band_curves(
    curves: xr.DataArray, ratio: float | None, title: str, unit: str = "cycles per picture",
    **words: Any,
) -> alt.LayerChart:
    """Curves of bands, called by their edges; with a ratio the next edge is that multiple."""
    return figures.measured(
        _between_edges(curves, ratio), title=title, colour="band",
        colour_title=unit, **UPDATES, **words,
    )  # fmt: skip

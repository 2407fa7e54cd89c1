"""The drawings of the study `condensation`."""

from __future__ import annotations

from typing import Any

import altair as alt
import numpy as np
import xarray as xr

from chymist import explorable, figures

SHOWN = 20
"""Neurons whose angles are drawn."""


def curves(name: str, run: xr.Dataset, control: xr.Dataset | None) -> alt.TopLevelMixin:
    """A quantity along the clock for each activation, theory dashed, the control beside it."""
    parts = [part for part in (run, control) if part is not None]
    names = ("small weights", f"{' '.join(map(str, parts[-1].activation.values))} (control)")
    words: dict[str, Any] = {
        "title": run[name].attrs.get("long_name", name),
        "x_title": "steps of a neuron's clock",
        "x_scale": "log",
    }
    charts = []
    for part, title in zip(parts, names, strict=False):
        chart = figures.measured(part[name], "step", colour="activation", **words)
        theory = figures.predicted(
            part[f"predicted_{name}"], "step", detail="activation", **words
        )
        charts.append((chart + theory).properties(title=title))
    return alt.hconcat(*charts)


def turning(run: xr.Dataset, control: xr.Dataset | None) -> alt.TopLevelMixin:
    """Angles of some neurons of the first seed along the clock, one panel an activation."""
    charts = []
    for name in run.activation.values.tolist():
        one = run.sel(activation=name).isel(seed=0, neuron=slice(SHOWN))
        degrees = {"value": _turned(one.angle), "theory": _turned(one.predicted_angle)}
        rows = figures.table(**{n: a.where(a.step > 0) for n, a in degrees.items()})
        base = alt.Chart(alt.Data(values=rows))
        x = alt.X(**figures.axis("step", "steps of a neuron's clock", "log"))
        scale = alt.Scale(zero=False)
        lines = base.mark_line(opacity=0.6, color=figures.PALETTE[0]).encode(
            x=x, y=alt.Y("value:Q", title="angle (degrees)", scale=scale), detail="neuron:N"
        )
        theory = base.mark_line(strokeDash=[5, 3], color=figures.INK, strokeWidth=1).encode(
            x=x, y=alt.Y("theory:Q", title="angle (degrees)", scale=scale), detail="neuron:N"
        )
        charts.append((lines + theory).properties(title=name, width=220))
    return alt.hconcat(*charts)


def _turned(angle: xr.DataArray) -> xr.DataArray:
    """Degrees, without jumps by a whole turn along the clock."""
    degrees: xr.DataArray = np.degrees(
        xr.apply_ufunc(np.unwrap, angle, input_core_dims=[["step"]], output_core_dims=[["step"]])
    )
    return degrees


LOGARITHMIC: dict[str, Any] = {"x_title": "updates", "x_scale": "log"}


def stairs(run: xr.Dataset, control: xr.Dataset | None) -> alt.TopLevelMixin:
    """Loss above, directions below, the control beside."""
    parts = [part for part in (run, control) if part is not None]
    columns = []
    for part, title in zip(parts, ("small start", "std 1/2 (control)"), strict=False):
        words = {**LOGARITHMIC, "title": "loss", "scale": "log"}
        best = part.predicted_height.mean("seed").expand_dims(step=part.step)
        # Below rounding of single precision a loss says nothing.
        upper = figures.measured(part.loss.clip(min=1e-8), "step", **words)
        upper = upper + figures.predicted(best.transpose("step"), "step", **words)
        lower = figures.measured(part.directions, "step", title="directions", **LOGARITHMIC)
        columns.append(
            alt.vconcat(upper.properties(title=title, height=160), lower.properties(height=120))
        )
    return alt.hconcat(*columns)


def told(steps: int) -> list[int]:
    """Return the steps, of so many, at which the neurons are drawn side by side."""
    return [*(s for s in (0, 100, 1000, 5000, 10_000) if s < steps), steps]


def features(run: xr.Dataset, control: xr.Dataset | None) -> alt.TopLevelMixin:
    """Amplitude against angle at some steps, each neuron a dot: the lines are where they meet."""
    charts = []
    for frame in told(int(run.frame[-1])):
        one = run.sel(frame=frame).isel(seed=0)
        share = one.amplitude / one.amplitude.max()
        rows = figures.table(angle=np.degrees(one.angle), share=share)
        charts.append(
            alt.Chart(alt.Data(values=rows))
            .mark_circle(size=40, opacity=0.5, color=figures.PALETTE[0])
            .encode(
                x=alt.X("angle:Q", title="angle (degrees)", scale=alt.Scale(domain=[-180, 180])),
                y=alt.Y("share:Q", title="amplitude / largest"),
            )
            .properties(title=f"{frame:,} updates", width=170, height=130)
        )
    return alt.vconcat(alt.hconcat(*charts[:3]), alt.hconcat(*charts[3:]))


def course(run: xr.Dataset, control: xr.Dataset | None) -> alt.TopLevelMixin:
    """Neurons of the first seed as arrows, what they draw together, and the loss, step by step."""
    run = run.isel({d: 0 for d in run.dims if d not in ("step", "frame", "neuron", "sample")})
    run = run.dropna("frame", how="all", subset=["angle"])
    share = np.sqrt(run.amplitude / run.amplitude.max("neuron"))
    neurons = _arrows(share * np.cos(run.angle), share * np.sin(run.angle))
    words = {**LOGARITHMIC, "title": "loss", "scale": "log"}
    loss = figures.measured(run.loss.clip(min=1e-8), "step", **words)
    loss = loss + explorable.cursor("updates", "log", least=1)
    chart = alt.concat(
        neurons.properties(title="neurons", width=200, height=200),
        _line(run).properties(title="function", width=250, height=200),
        loss.properties(title="loss", width=250, height=200),
        columns=3,
    )
    return explorable.through(chart, run.frame.values)


def _arrows(across: xr.DataArray, up: xr.DataArray) -> alt.LayerChart:
    """Draw a ray from the origin in each neuron's direction."""
    drawn = explorable.states("frame", "neuron", across=across, up=up)
    scale = alt.Scale(domain=[-1.1, 1.1])
    words = {"x": alt.X("across:Q", title="w, weight of the input", scale=scale),
             "y": alt.Y("up:Q", title="b, bias", scale=scale)}  # fmt: skip
    origin = {"x2": alt.datum(0), "y2": alt.datum(0)}
    return alt.layer(
        drawn.mark_rule(color=figures.PALETTE[0], opacity=0.35).encode(**words, **origin),
        drawn.mark_circle(size=36, color=figures.PALETTE[0], opacity=0.6).encode(**words),
    )


def _line(run: xr.Dataset) -> alt.LayerChart:
    """Draw what the network returns, and the points it is to go through."""
    ends = float(run.target.min()), float(run.target.max())
    room = 0.2 * (ends[1] - ends[0])
    height = figures.axis("y", "f(x)", domain=(ends[0] - room, ends[1] + room))
    words = {"x": alt.X("sample:Q", title="x"), "y": alt.Y(**height)}
    goal = alt.Chart(alt.Data(values=figures.table(y=run.target)))
    drawn = explorable.states("frame", "sample", y=run.drawn)
    return alt.layer(
        goal.mark_circle(color=figures.MUTED, size=40, opacity=0.7).encode(**words),
        drawn.mark_line(color=figures.PALETTE[1], strokeWidth=2, clip=True).encode(**words),
    )


def sizes(run: xr.Dataset, control: xr.Dataset | None) -> alt.TopLevelMixin:
    """Directions along training, by exponent of the start."""
    return figures.measured(
        run.directions, "step", colour="size", colour_title="exponent", title="directions",
        **LOGARITHMIC,
    )  # fmt: skip


def dropout(run: xr.Dataset, control: xr.Dataset | None) -> alt.TopLevelMixin:
    """Directions along training and test errors, by way of training."""
    left = figures.measured(
        run.directions, "step", colour="arm", colour_title="training", title="directions",
        x_title="updates",
    )  # fmt: skip
    right = figures.statistic(
        np.log10(run.test_error), title="log10 of the test error", category="arm",
    )  # fmt: skip
    return alt.hconcat(left, right)


LAYERS = 6
"""Layers that are drawn, the first of a deep network."""


def similarity(run: xr.Dataset, control: xr.Dataset | None) -> alt.TopLevelMixin:
    """Cosines between neurons, a panel a layer."""
    charts = []
    for layer in run.layer.values.tolist()[:LAYERS]:
        one = run.cosine.sel(layer=layer)
        rows = figures.table(cosine=one.dropna("row", how="all").dropna("column", how="all"))
        scale = alt.Scale(scheme="redblue", domain=[-1, 1], reverse=True)
        charts.append(
            alt.Chart(alt.Data(values=rows))
            .mark_rect()
            .encode(
                x=alt.X("column:O", title="neuron", axis=alt.Axis(labels=False, ticks=False)),
                y=alt.Y("row:O", title="neuron", axis=alt.Axis(labels=False, ticks=False)),
                color=alt.Color("cosine:Q", title="cosine", scale=scale),
            )
            .properties(title=layer, width=150, height=150)
        )
    return alt.concat(*charts, columns=3)


def layers(run: xr.Dataset, control: xr.Dataset | None) -> alt.TopLevelMixin:
    """Directions by layer, of the network's and of random ones."""
    charts = [
        figures.statistic(run.directions.sel(layer=layer), category="of", title="directions")
        .properties(title=layer)
        for layer in run.layer.values.tolist()[:LAYERS]
    ]  # fmt: skip
    return alt.concat(*charts, columns=2)

"""The drawings of the study `edge-of-stability`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import altair as alt
import numpy as np
import xarray as xr

from chymist import explorable, figures

SHOWN = 600


def sharpness(run: xr.Dataset, control: xr.Dataset | None, dim: str = "lr") -> alt.TopLevelMixin:
    """Sharpness against updates, a colour a step size, the control beside it."""
    words: dict[str, Any] = {"title": "sharpness", "x_title": "updates"}
    charts = []
    for part, title in _parts(run, control):
        known = _evenly(part.sharpness.dropna("step", how="all"))
        chart = figures.measured(known, "step", colour=dim, colour_title=TITLES[dim], **words)
        line = part.predicted_sharpness.expand_dims(step=known.step.values[[0, -1]])
        if title == "training":
            chart = chart + figures.predicted(line, "step", detail=dim, **words)
        charts.append(chart.properties(title=title))
    return alt.hconcat(*charts).resolve_scale(x="shared", y="shared", color="independent")


TITLES = {"lr": "step size", "edge": "threshold"}


WINDOW = 20
"""Updates whose lowest and highest loss are drawn."""
SWINGS = 8
STATES = 64


def course(run: xr.Dataset, control: xr.Dataset | None) -> alt.TopLevelMixin:
    """Sharpness and loss of the first seed up to a step, and what that sharpness does to it."""
    run = run.isel({d: 0 for d in run.dims if d not in ("lr", "step")})
    sharp = figures.thin(run.sharpness.isel(step=slice(WINDOW, None, WINDOW)), "step", STATES)
    steps = sharp.step.values
    loss = _lowest_and_highest(run.loss, steps)
    x = alt.X(**figures.axis("step", "updates", "log", domain=(WINDOW, int(steps[-1]))))
    shades = alt.Scale(range=figures.PALETTE)
    colour = alt.Color("lr:N", title=TITLES["lr"], sort=None, scale=shades)
    line = alt.Chart(alt.Data(values=figures.table(value=sharp)))
    height = alt.Y(**figures.axis("value", "sharpness"))
    edge = alt.Chart(alt.Data(values=figures.table(value=run.predicted_sharpness)))
    sharpness = alt.layer(
        alt.layer(
            line.mark_line(opacity=0.22, strokeWidth=1.5).encode(x=x, y=height, color=colour),
            _until(line).mark_line(strokeWidth=2.5).encode(x=x, y=height, color=colour),
            _at(line).mark_circle(size=90, opacity=1).encode(x=x, y=height, color=colour),
        ),
        edge.mark_rule(strokeDash=[5, 3], strokeWidth=1.5).encode(y=height, color=colour),
    )
    band = alt.Chart(alt.Data(values=figures.table(low=loss["low"], high=loss["high"])))
    low = alt.Y(**figures.axis("low", "loss", "log"))
    losses = alt.layer(
        band.mark_area(opacity=0.12).encode(x=x, y=low, y2="high:Q", color=colour),
        _until(band).mark_area(opacity=0.6).encode(x=x, y=low, y2="high:Q", color=colour),
    )
    swing = explorable.states("step", "update", value=_swing(sharp, run.lr))
    swings = swing.mark_line(strokeWidth=1.5, clip=True, point={"size": 24}).encode(
        x=alt.X("update:Q", title="updates from here"),
        y=alt.Y(**figures.axis("value", "place, first 1", domain=(-2, 2))),
        color=colour,
    )
    chart = alt.concat(
        sharpness.properties(title="sharpness; dashed, 2 / step size", width=270, height=210),
        losses.properties(title="loss, lowest to highest of 20", width=220, height=210),
        swings.properties(title="in a valley so sharp", width=200, height=210),
        columns=3,
    )
    return explorable.through(chart, steps)


def _until(chart: alt.Chart) -> alt.Chart:
    return chart.transform_filter(f"datum.step <= {explorable.AT}")


def _at(chart: alt.Chart) -> alt.Chart:
    return chart.transform_filter(f"datum.step == {explorable.AT}")


def _swing(sharpness: xr.DataArray, lr: xr.DataArray) -> xr.DataArray:
    """Places from 1 on of gradient descent on a quadratic of this sharpness (..., step, update)."""
    return (1 - lr * sharpness) ** xr.DataArray(range(SWINGS + 1), {"update": range(SWINGS + 1)})


def _lowest_and_highest(loss: xr.DataArray, steps: np.ndarray[Any, Any]) -> xr.Dataset:
    """Range of the loss in the updates up to each step."""
    windows = loss.where(loss > 0).rolling(step=WINDOW + 1)
    return xr.Dataset({"low": windows.min(), "high": windows.max()}).sel(step=steps)


def ratios(
    statistic: Callable[[xr.Dataset], xr.DataArray], run: xr.Dataset, control: xr.Dataset | None,
    dims: tuple[str, ...] = ("lr",), edges: tuple[float, float] = (0.93, 1.10),
) -> alt.TopLevelMixin:  # fmt: skip
    """One dot a seed and setting, the control's marked; the rules bound the claim's region."""
    values = []
    for part, title in _parts(run, control):
        found = statistic(part).stack(setting=dims)
        names = [" ".join(map(str, setting)) for setting in found.setting.values]
        mark = "" if title == "training" else ", control"
        bare = found.drop_vars([*dims, "setting"])
        values.append(bare.assign_coords(setting=[n + mark for n in names]))
    return figures.statistic(
        xr.concat(values, "setting", join="outer"), category="setting",
        category_title=", ".join(TITLES.get(d, d) for d in dims),
        title="late sharpness / threshold", low=edges[0], high=edges[1],
    )  # fmt: skip


def losses(run: xr.Dataset, control: xr.Dataset | None) -> alt.TopLevelMixin:
    """Loss of the first seed against every update of the first hundreds."""
    charts = []
    for part, title in _parts(run, control):
        shown = part.loss.isel(seed=0, drop=True).sel(step=slice(0, SHOWN, 2))
        chart = (
            alt.Chart(alt.Data(values=figures.table(value=shown.where(shown > 0))))
            .mark_line(strokeWidth=1)
            .encode(
                x=alt.X(**figures.axis("step", "updates")),
                y=alt.Y(**figures.axis("value", "loss", "log")),
                color=alt.Color("lr:N", title=TITLES["lr"], sort=None,
                                scale=alt.Scale(range=figures.PALETTE)),
            )
        )  # fmt: skip
        charts.append(chart.properties(title=title))
    return alt.hconcat(*charts).resolve_scale(x="shared", y="shared", color="independent")


def theories(run: xr.Dataset, control: xr.Dataset | None) -> alt.TopLevelMixin:
    """Averaged loss of the first seed as a line, each theory dashed in a colour of its own."""
    charts = []
    for part, title in _parts(run, control):
        one = part.isel(seed=0, drop=True)
        words = {"x": alt.X(**figures.axis("step", "updates")),
                 "y": alt.Y(**figures.axis("value", "loss, averaged", "log"))}  # fmt: skip
        measured = alt.Chart(alt.Data(values=figures.table(value=_evenly(one.loss))))
        foretold = alt.Chart(alt.Data(values=figures.table(value=_evenly(one.predicted_loss))))
        colours = alt.Color("theory:N", sort=None, scale=alt.Scale(range=figures.PALETTE[1:]))
        chart = alt.layer(
            measured.mark_line(strokeWidth=3, color=figures.INK).encode(**words),
            foretold.mark_line(strokeDash=[5, 3]).encode(color=colours, **words),
        )
        charts.append(chart.properties(title=title))
    return alt.hconcat(*charts)


def departure(run: xr.Dataset, control: xr.Dataset | None) -> alt.TopLevelMixin:
    """Distance from gradient flow by seed against updates over those to the crossing."""
    charts = []
    for part, title in _parts(run, control):
        distance = figures.thin(part.distance.where(part.step > 0), "step", 60)
        time = distance.step / part.crossed_at.fillna(float(part.step[-1]) / 3)
        rows = figures.table(value=distance.where(distance > 0), time=time)
        chart = (
            alt.Chart(alt.Data(values=rows))
            .mark_line(color=figures.PALETTE[0], opacity=0.7)
            .encode(
                x=alt.X(**figures.axis("time", "updates / updates to the threshold", "log")),
                y=alt.Y(**figures.axis("value", "distance from gradient flow", "log")),
                detail="seed:N",
            )
        )
        charts.append(chart.properties(title=title))
    return alt.hconcat(*charts).resolve_scale(x="shared", y="shared")


def ends(run: xr.Dataset, control: xr.Dataset | None) -> alt.TopLevelMixin:
    """Final sharpness of descent against that of flow, a colour a step size; dashed, theory."""
    words = {"x": alt.X(**figures.axis("flow", "sharpness where flow ends", domain=(40, 210)))}
    height = figures.axis("value", "where descent ends", domain=(40, 210))
    colour = alt.Color("product_lr:N", title="step size", scale=alt.Scale(range=figures.PALETTE))
    charts = []
    for part, title in _parts(run, control):
        one = part.isel(seed=slice(None, 3))
        dots, lines = (
            alt.Chart(alt.Data(values=figures.table(value=v, flow=one.flow)))
            for v in (one.final, one.predicted_final)
        )
        chart = alt.layer(
            dots.mark_circle(size=30, opacity=0.7).encode(color=colour, y=alt.Y(**height), **words),
            lines.mark_line(strokeDash=[5, 3], color=figures.INK, strokeWidth=1.3).encode(
                detail="product_lr:N", y=alt.Y(**height), **words
            ),
        )
        charts.append(chart.properties(title=title))
    return alt.hconcat(*charts)


def adaptive(run: xr.Dataset, control: xr.Dataset | None) -> alt.TopLevelMixin:
    """Preconditioned sharpness over its threshold against updates, a panel a method."""
    charts = []
    for name in run.rule.values.tolist():
        one = run.sel(rule=name, drop=True)
        ratio = one.preconditioned_sharpness / one.predicted_preconditioned_sharpness
        words: dict[str, Any] = {"title": "sharpness / threshold", "colour_title": "step size"}
        chart = figures.measured(
            _evenly(ratio), "step", colour="adaptive_lr", x_title="updates", **words
        )
        charts.append((chart + figures.threshold(1.0, "")).properties(title=name))
    return alt.hconcat(*charts).resolve_scale(y="shared")


def _parts(run: xr.Dataset, control: xr.Dataset | None) -> list[tuple[xr.Dataset, str]]:
    parts = [(run, "training")]
    return parts if control is None else [*parts, (control, "control")]


def _evenly(values: xr.DataArray, points: int = figures.MAX_POINTS) -> xr.DataArray:
    """Keep at most so many steps, evenly spaced."""
    stride = -(-values.sizes["step"] // points)
    return values.isel(step=slice(0, None, stride))

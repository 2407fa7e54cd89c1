"""The drawings of the study `sgd-escape`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import altair as alt
import numpy as np
import xarray as xr

from chymist import explorable, figures


def times(run: xr.Dataset, control: xr.Dataset | None) -> alt.TopLevelMixin:
    """Escape time by distance."""
    words: dict[str, Any] = {"title": "steps to escape", "x_title": "distance from x = 1",
                             "x_scale": "log"}  # fmt: skip
    chart = figures.measured(run.time, "eps", points=True, **words)
    return chart + figures.predicted(run.predicted_time, "eps", **words)


def distances(run: xr.Dataset, control: xr.Dataset | None) -> alt.TopLevelMixin:
    """Median distance along a run, the control beside it."""
    words: dict[str, Any] = {"title": "median |x - 1|", "x_title": "updates", "scale": "log"}
    charts = []
    for part, title in zip((run, control), ("sampling noise", "white noise (control)"),
                           strict=True):  # fmt: skip
        if part is not None:
            chart = figures.measured(
                part.distance, "step", colour="eps", colour_title="start", **words
            )
            theory_says = figures.predicted(part.predicted_distance, "step", detail="eps", **words)
            charts.append((chart + theory_says).properties(title=title))
    return alt.hconcat(*charts)


WALKERS = 3
"""Runs from each start that are drawn."""


def course(
    losses: Callable[[np.ndarray[Any, Any]], Mapping[str, np.ndarray[Any, Any]]],
    run: xr.Dataset, control: xr.Dataset | None,
) -> alt.TopLevelMixin:  # fmt: skip
    """Runs of one seed in the landscape at a step, and how far from x = 1 they have been.

    `losses` are the functions of x to be drawn, by name, the runs on the first of them.
    """
    run = run.isel({d: 0 for d in run.dims if d not in ("eps", "walker", "step")}, drop=True)
    latest = 1.2 * float(run.predicted_time.max())
    run = run.sel(step=run.step <= latest if latest > 1 else slice(None))
    run, last = run.isel(walker=slice(WALKERS)), int(run.step[-1])
    run = run.assign_coords(eps=[f"{eps:g}" for eps in run.eps.values])
    x = alt.X(**figures.axis("step", "updates", domain=(0, last)))
    height = alt.Y(**figures.axis("apart", "|x - 1|", "log", domain=(LEAST, 2)))
    colour = alt.Color("eps:N", title="start, |x - 1|", sort=None,
                       scale=alt.Scale(range=figures.PALETTE))  # fmt: skip
    words = {"x": x, "y": height, "color": colour}
    apart, still = (
        alt.Chart(alt.Data(values=figures.table(apart=abs(v - 1).where(abs(v - 1) > LEAST))))
        for v in (run.place, run.descent)
    )
    until = apart.transform_filter(f"datum.step <= {explorable.AT}")
    distance = alt.layer(
        alt.layer(
            apart.mark_line(opacity=0.2, strokeWidth=1).encode(detail="walker:N", **words),
            until.mark_line(strokeWidth=1.6).encode(detail="walker:N", **words),
        ),
        still.mark_line(strokeDash=[2, 2], strokeWidth=1.2).encode(**words),
        explorable.cursor("updates"),
    ).properties(title="distance; dotted, gradient descent", width=300, height=230)
    return explorable.through(
        alt.concat(_landscape(run, losses, colour), distance, columns=2), run.step.values
    )


LEAST = 1e-9
"""Distance below which nothing is drawn."""


def _landscape(
    run: xr.Dataset, losses: Callable[[np.ndarray[Any, Any]], Mapping[str, np.ndarray[Any, Any]]],
    colour: alt.Color,
) -> alt.LayerChart:  # fmt: skip
    """Draw the runs where they are."""
    across = np.linspace(-1, 1.9, 117)
    curves = losses(across)
    mean = next(iter(curves))
    lines = xr.DataArray(list(curves.values()), {"of": list(curves), "x": across}, ("of", "x"))
    x = alt.X(**figures.axis("x", "x", domain=(-1, 1.9)))
    y = alt.Y(**figures.axis("value", "loss", domain=(0, 0.8)))
    drawn = alt.Chart(alt.Data(values=figures.table(value=lines.where(lines <= 0.8))))
    shades = alt.Color("of:N", title="loss of", sort=None,
                       scale=alt.Scale(range=[figures.INK, "#8d99a5", "#c3cbd3"]))  # fmt: skip
    still = run.descent.isel(eps=-1, drop=True).expand_dims("one", -1)
    dots, square = (
        explorable.states("step", over, x=place, value=place.copy(data=losses(place.values)[mean]))
        for over, place in (("walker", run.place), ("one", still.assign_coords(one=[0])))
    )
    return alt.layer(
        drawn.mark_line().encode(x=x, y=y, color=shades),
        dots.mark_circle(size=120, opacity=0.8, clip=True).encode(x=x, y=y, color=colour),
        square.mark_square(size=90, color=figures.INK, opacity=1).encode(x=x, y=y),
    ).properties(
        title="three runs from each start; square, gradient descent", width=330, height=230
    ).resolve_scale(color="independent")  # fmt: skip


def step_size(
    between: tuple[float, float], run: xr.Dataset, control: xr.Dataset | None
) -> alt.TopLevelMixin:
    """Threshold of every seed; rules where the mean square and almost every run turn unstable."""
    return figures.statistic(
        run.threshold, title="step size at which half escape", low=between[0], high=between[1]
    )


def restarts(run: xr.Dataset, control: xr.Dataset | None) -> alt.TopLevelMixin:
    """Cells by their place in units of the bounds, the control beside."""
    return _cells(run, control, "minibatches", "all samples (control)")


def planned(run: xr.Dataset, control: xr.Dataset | None) -> alt.TopLevelMixin:
    """Planned step sizes and batch sizes likewise, the control beside."""
    return _cells(run, control, "as planned", "too large a step (control)")


def _cells(run: xr.Dataset, control: xr.Dataset | None, *titles: str) -> alt.TopLevelMixin:
    charts = []
    for part, title in zip((run, control), titles, strict=True):
        if part is None:
            continue
        across, up = part.in_sharpness, part.in_nonuniformity
        rows = figures.table(share=part.escaped, across=across + 0 * up, up=up + 0 * across)
        dots = (
            alt.Chart(alt.Data(values=rows))
            .mark_circle(size=45, opacity=0.8, stroke=figures.INK, strokeWidth=0.3)
            .encode(
                x=alt.X(**figures.axis("across", "sharpness / (2 / step size)", "log")),
                y=alt.Y(**figures.axis("up", "non-uniformity / its bound", "log")),
                color=alt.Color("share:Q", title="share that escapes",
                                scale=alt.Scale(scheme="viridis", domain=[0, 1])),
            )
        )  # fmt: skip
        charts.append((dots + _box(rows)).properties(title=title))
    return alt.hconcat(*charts)


def growth(run: xr.Dataset, control: xr.Dataset | None) -> alt.TopLevelMixin:
    """Mean loss of the first seeds with the prediction."""
    words: dict[str, Any] = {"title": "mean loss", "x_title": "updates", "scale": "log"}
    some = run.isel(seed=slice(4)).rename(seed="start")
    # Beyond a loss of 1 the linear theory says nothing.
    says = some.predicted_loss.where(some.predicted_loss < 1)
    chart = figures.measured(some.loss, "step", colour="start", **words)
    return chart + figures.predicted(says, "step", detail="start", **words)


def landing(run: xr.Dataset, control: xr.Dataset | None) -> alt.TopLevelMixin:
    """Loss after the restart and the ratios of curvature."""
    words: dict[str, Any] = {"title": "loss", "x_title": "updates", "scale": "log",
                             "x_scale": "log"}  # fmt: skip
    parts = [run] if control is None else [run, control]
    names = ["minibatches", "all samples (control)"][: len(parts)]
    losses = xr.concat([part.loss for part in parts], xr.Variable("training", names), join="outer")
    ratio = xr.concat(
        [part.sharper for part in parts], xr.Variable("training", names), join="outer"
    )
    left = figures.measured(losses, "step", colour="training", **words)
    right = figures.statistic(ratio, title="sharpness after / before", category="training")
    return alt.hconcat(left, right)


def diagram(run: xr.Dataset, control: xr.Dataset | None) -> alt.TopLevelMixin:
    """The plane of sharpness and non-uniformity, a panel a step size."""
    charts = []
    for lr in run.lr.values.tolist():
        part = run.sel(lr=lr)
        rows = figures.table(across=part.sharpness, up=part.nonuniformity)
        dots = (
            alt.Chart(alt.Data(values=rows))
            .mark_circle(size=45, opacity=0.8)
            .encode(
                x=alt.X(**figures.axis("across", "sharpness", "log")),
                y=alt.Y(**figures.axis("up", "non-uniformity", "log")),
                color=alt.Color("batch:N", title="batch", sort=None,
                                scale=alt.Scale(range=figures.PALETTE)),
            )
        )  # fmt: skip
        # All samples are bounded by nothing, and in units of that have 0.
        bound = (part.nonuniformity / part.in_nonuniformity).median("seed")
        bounds = figures.table(up=bound.where(np.isfinite(bound)))
        lines = (
            alt.Chart(alt.Data(values=bounds))
            .mark_rule(strokeDash=[5, 3])
            .encode(y=alt.Y("up:Q"), color="batch:N")
        )
        edge = alt.Chart(alt.Data(values=[{"across": 2 / lr}]))
        edge = edge.mark_rule(strokeDash=[5, 3], color=figures.INK).encode(x="across:Q")
        charts.append((dots + lines + edge).properties(title=f"step size {lr:g}", width=230))
    return alt.hconcat(*charts)


def _box(rows: list[dict[str, Any]]) -> alt.LayerChart:
    """Dashed lines at the rectangle's sides, and the curve that is exact in one dimension."""
    words = {"strokeDash": [5, 3], "color": figures.INK}
    side = alt.Chart(alt.Data(values=[{"one": 1.0}])).mark_rule(**words)
    least = min(row["across"] for row in rows)
    across = np.geomspace(least, 0.999, 200) if least < 0.999 else np.array([])
    # In units of the rectangle's sides: s = sqrt(4 a (1 - a)).
    arc = [{"across": float(a), "arc": float(np.sqrt(4 * a * (1 - a)))} for a in across]
    curve = alt.Chart(alt.Data(values=arc)).mark_line(color=figures.INK, strokeWidth=1)
    return alt.layer(
        side.encode(x="one:Q"), side.encode(y="one:Q"), curve.encode(x="across:Q", y="arc:Q")
    )

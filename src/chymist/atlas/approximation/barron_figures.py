"""Figures of `barron-approximation`."""

from __future__ import annotations

from typing import Any

import altair as alt
import numpy as np
import xarray as xr

from chymist import figures

LOGS: dict[str, Any] = {"scale": "log", "x_scale": "log"}
ERROR = "squared error / |f|²"


def drawn(run: xr.Dataset, control: xr.Dataset | None) -> alt.TopLevelMixin:
    """Error of means of drawn neurons over m by dimension, c/m dashed; beside it the control."""
    words = LOGS | {"title": ERROR, "x_title": "neurons m"}
    parts = [(run.sel(measure=m), f"drawn on the {m}") for m in run.measure.values.tolist()]
    if control is not None:
        parts.append((control.sel(measure="sphere"), "one-sided (control)"))
    charts = []
    for part, name in parts:
        chart = figures.measured(part.error, "m", colour="dimension", colour_title="d", **words)
        if "control" not in name:
            chart += figures.predicted(part.predicted_error, "m", detail="dimension", **words)
        charts.append(chart.properties(title=name, width=230))
    return alt.hconcat(*charts).resolve_scale(y="shared")


def fixed(run: xr.Dataset, control: xr.Dataset | None) -> alt.TopLevelMixin:
    """Error of fixed features over m by dimension, a panel a target; the control's last."""
    words = LOGS | {"title": ERROR, "x_title": "neurons m", "points": True}
    parts = [(run.sel(k=k), f"kink of codimension {k}") for k in run.k.values.tolist()]
    if control is not None:
        parts.append((control.isel(k=0), "smooth target (control)"))
    return alt.hconcat(*(
        figures.measured(part.error, "m", colour="dimension", colour_title="d", **words)
        .properties(title=name, width=230) for part, name in parts
    )).resolve_scale(y="shared")  # fmt: skip


def exponents(run: xr.Dataset, control: xr.Dataset | None) -> alt.TopLevelMixin:
    """Exponents over 1/(d-1), theory dashed; what lies outside the range of validity is hollow."""
    x = {"inverse": 1 / (run.dimension - 1.0)}
    words: dict[str, Any] = {"title": "exponent of m", "x_title": "1/(d - 1)"}
    base = run.predicted_exponent.assign_coords(x).swap_dims(dimension="inverse")
    layers: list[Any] = [figures.predicted(base, "inverse", detail="k", **words)]
    late = run.late.where(run.exponent.isnull())
    for array, filled in ((run.exponent, True), (late, False)):
        rows = figures.table(
            mid=array.median("seed"), low=array.min("seed"), high=array.max("seed"),
            inverse=1 / (array.dimension - 1.0))
        colour = alt.Color("k:N", title="codimension", scale=alt.Scale(range=figures.PALETTE))
        chart = alt.Chart(alt.Data(values=rows)).encode(
            x=alt.X(**figures.axis("inverse", words["x_title"])), color=colour)
        layers.append(chart.mark_rule(opacity=0.5).encode(
            y=alt.Y(**figures.axis("low", words["title"])), y2="high:Q"))
        layers.append(chart.mark_point(filled=filled, size=60).encode(
            y=alt.Y(**figures.axis("mid", words["title"]))))
    return alt.layer(*layers)


def norms(run: xr.Dataset, control: xr.Dataset | None) -> alt.TopLevelMixin:
    """Squared kernel norm over m by dimension, of one neuron, and of the smooth target."""
    words = LOGS | {"title": "m Σ a² / |f|²", "x_title": "neurons m"}
    parts = [(run.isel(k=0), f"codimension {int(run.k[0])}")]
    if control is not None:
        parts.append((control.isel(k=0), "smooth target (control)"))
    return alt.hconcat(*(
        figures.measured(part.norm, "m", colour="dimension", colour_title="d", **words)
        .properties(title=name) for part, name in parts
    )).resolve_scale(y="shared")  # fmt: skip


def trained(run: xr.Dataset, control: xr.Dataset | None) -> alt.TopLevelMixin:
    """Error over the dimension by m, polygons dashed; beside it outer weights alone."""
    words = LOGS | {"title": ERROR, "x_title": "dimension d"}
    parts = [(run, "all weights trained")]
    if control is not None:
        parts.append((control, "outer weights alone (control)"))
    charts = []
    for part, name in parts:
        chart = figures.measured(part.error, "dimension", colour="m", points=True, **words)
        theory = part.predicted_error
        chart += figures.predicted(theory, "dimension", detail="m", **words)
        charts.append(chart.properties(title=name))
    return alt.hconcat(*charts).resolve_scale(y="shared")


def samples(run: xr.Dataset, control: xr.Dataset | None) -> alt.TopLevelMixin:
    """Error of fixed and of trained neurons over m; beside it the control."""
    words = LOGS | {"title": "held-out error / variance", "x_title": "neurons m"}
    parts = [(run, "inner weights trained")]
    if control is not None:
        parts.append((control, "outer weights alone (control)"))
    return alt.hconcat(*(
        figures.measured(part.error, "m", colour="inner", points=True, **words)
        .properties(title=name, width=230) for part, name in parts
    )).resolve_scale(y="shared")  # fmt: skip


def sample_paths(run: xr.Dataset, control: xr.Dataset | None) -> alt.TopLevelMixin:
    """Path norms over m, of fixed and of trained neurons."""
    return figures.measured(run.path_norm, "m", colour="inner", points=True,
                            title="path norm Σ |a||(w, b)|", x_title="neurons m", **LOGS)


def path(run: xr.Dataset, control: xr.Dataset | None) -> alt.TopLevelMixin:
    """Path norms over the dimension by m; the Barron norm and three times it as rules."""
    chart = figures.measured(
        run.path_norm, "dimension", colour="m", points=True, x_scale="log",
        title="path norm Σ |a||w|", x_title="dimension d", domain=(0, max(
            3.2, float(np.nanmax(run.path_norm)))))
    return chart + figures.threshold(1, "Barron norm") + figures.threshold(3, "three times")

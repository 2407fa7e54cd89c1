"""The drawings of the study `ntk-regime`."""

from __future__ import annotations

from typing import Any

import altair as alt
import numpy as np
import xarray as xr

from chymist import figures

LOGARITHMIC: dict[str, Any] = {"scale": "log", "x_scale": "log"}
THROW_SHOWN = 40
"""First updates, in which a thrown network rises and lands."""
EXPONENTS = {
    "first weights": {"relu": -0.5, "smooth": -0.5},
    "kernel at the start": {"relu": -0.5, "smooth": -0.5},
    "kernel drift": {"relu": -0.75, "smooth": -1.0},
    "outputs, linearised": {"relu": -0.75, "smooth": -1.0},
}


def exponents(run: xr.Dataset, control: xr.Dataset | None) -> alt.TopLevelMixin:
    """Four panels against width, a predicted slope through the widest, the control grey."""
    here, there = _against_width(run), None if control is None else _against_width(control)
    panels = [
        _panel(name, values, None if there is None else there.get(name))
        for name, values in here.items()
    ]
    rows = [alt.hconcat(*panels[i : i + 2]) for i in range(0, len(panels), 2)]
    return alt.vconcat(*rows)


def losses(run: xr.Dataset, control: xr.Dataset | None) -> alt.TopLevelMixin:
    """Loss of the narrowest and the widest networks, those of linearised models dashed."""
    charts = []
    for activation in run.activation.values.tolist():
        part = run.sel(activation=activation)
        part = part.isel(width=sorted({0, part.sizes["width"] - 1}))
        words = LOGARITHMIC | {"title": "half the mean squared error", "x_title": "updates"}
        theory = part.predicted_loss.sel(theory="at the start")
        charts.append(
            (
                figures.measured(
                    part.loss, "step", colour="width", colour_title="neurons", **words
                )
                + figures.predicted(theory, "step", detail="width", **words)
            ).properties(title=activation)
        )
    return alt.hconcat(*charts)


def _against_width(run: xr.Dataset) -> dict[str, xr.DataArray]:
    inside = ["sample", "other"]
    apart = ((run.kernel - run.predicted_kernel) ** 2).sum(inside)
    found = run.output - run.predicted_output.sel(theory="at the start", drop=True)
    return {
        "first weights": run.first_weights,
        "kernel at the start": np.sqrt(apart / (run.predicted_kernel**2).sum(inside)),
        "kernel drift": run.kernel_drift,
        "outputs, linearised": np.sqrt((found**2).mean("sample")).max("step"),
    }


def _panel(name: str, values: xr.DataArray, control: xr.DataArray | None) -> alt.LayerChart:
    words = LOGARITHMIC | {"title": "relative distance", "x_title": "neurons"}
    slopes = [
        EXPONENTS[name]["relu" if a == "relu" else "smooth"]
        for a in values.activation.values.tolist()
    ]
    slope = xr.DataArray(slopes, coords={"activation": values.activation.values.tolist()})
    last = values.isel(width=-1, drop=True).median("seed")
    line = last * (values.width / values.width[-1]) ** slope
    chart = figures.measured(values, "width", colour="activation", points=True, **words)
    chart = chart + figures.predicted(line, "width", detail="activation", **words)
    if control is not None:
        rows = figures.table(value=control.median("seed"))
        chart = chart + alt.Chart(alt.Data(values=rows)).mark_line(
            color=figures.MUTED, opacity=0.6
        ).encode(
            x=alt.X(**figures.axis("width", "neurons", "log")),
            y=alt.Y(**figures.axis("value", "relative distance", "log")),
            detail="activation:N",
        )
    return chart.properties(title=name, width=270, height=180)


def layers(run: xr.Dataset, control: xr.Dataset | None) -> alt.TopLevelMixin:
    """Movement of each layer against width, the control beside it."""
    words = LOGARITHMIC | {"title": "movement / size", "x_title": "neurons a layer"}
    charts = [
        figures.measured(
            part.movement, "deep", colour="layer", points=True, **words
        ).properties(title=name)
        for name, part in (("tangent scaling", run), ("mean-field scaling (control)", control))
        if part is not None
    ]
    return alt.hconcat(*charts)


def alphas(run: xr.Dataset, control: xr.Dataset | None) -> alt.TopLevelMixin:
    """Movement and held-out error against alpha; linearised models dashed."""
    words = LOGARITHMIC | {"x_title": "factor before the network"}
    everywhere = run.predicted_test_error * xr.ones_like(run.alpha, dtype=float)
    charts = [
        figures.measured(found, "alpha", title=title, points=True, **words)
        + figures.predicted(theory, "alpha", title=title, **words)
        for found, theory, title in (
            (run.movement, run.predicted_movement, "movement of the weights / size"),
            (run.test_error, everywhere, "relative error on held-out points"),
        )
    ]
    return alt.hconcat(*charts)


def catapult(run: xr.Dataset, control: xr.Dataset | None) -> alt.TopLevelMixin:
    """Losses at the second step size of the widest and the narrowest networks, and the control."""
    charts = []
    for name, part in (("", run), (" (control)", control)):
        if part is None:
            continue
        at = part.isel(throw=min(1, part.sizes["throw"] - 1))
        at = at.isel(thrown=sorted({0, at.sizes["thrown"] - 1}), step=slice(THROW_SHOWN))
        words: dict[str, Any] = {
            "scale": "log", "title": "half the mean squared error", "x_title": "updates",
        }  # fmt: skip
        theory = at.predicted_loss.mean("seed")
        theory = theory.where(theory < float(at.loss.max()))
        chart = figures.measured(
            at.loss, "step", colour="thrown", colour_title="neurons", **words
        ) + figures.predicted(
            theory.where(theory > float(at.loss.min())), "step", detail="thrown", **words
        )
        times = f"step {float(at['throw']):g} / largest eigenvalue{name}"
        charts.append(chart.properties(title=times))
    return alt.hconcat(*charts)


def surprises(run: xr.Dataset, control: xr.Dataset | None) -> alt.TopLevelMixin:
    """One dot a seed and activation."""
    apart = ((run.wide_kernel - run.predicted_wide_kernel) ** 2).mean("pair")
    apart = np.sqrt(apart / (run.standard_error**2).mean("pair"))
    return figures.statistic(
        apart, category="activation", title="deviation [standard errors]", low=0.5, high=1.5
    )

"""The drawings of the study `ntk-regime`."""

from __future__ import annotations

from typing import Any

import altair as alt
import numpy as np
import xarray as xr

from chymist import figures

LOGARITHMIC: dict[str, Any] = {"scale": "log", "x_scale": "log"}
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

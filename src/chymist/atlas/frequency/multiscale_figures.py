"""The drawings of the study `multiscale-network`."""

from __future__ import annotations

from typing import Any

import altair as alt
import xarray as xr

from chymist import figures

ERROR: dict[str, Any] = {"scale": "log", "domain": (1e-3, 3.0), "title": "relative error"}


def errors(over: str, title: str, run: xr.Dataset, control: xr.Dataset | None) -> alt.TopLevelMixin:
    """Error over updates, a colour a network (or activation); the control beside it."""
    charts = [_errors(run, over).properties(title="measured")]
    if control is not None:
        charts.append(_errors(control, over).properties(title=title))
    return alt.hconcat(*charts).resolve_scale(y="shared")


def by_equation(run: xr.Dataset, control: xr.Dataset | None) -> alt.TopLevelMixin:
    """Error over updates, a panel an equation."""
    return alt.concat(
        *(
            _errors(run.sel(equation=name), "network").properties(title=name, width=230, height=170)
            for name in run.equation.values.tolist()
        ),
        columns=3,
    ).resolve_scale(y="shared")


def bands(run: xr.Dataset, control: xr.Dataset | None) -> alt.TopLevelMixin:
    """Amplitude of each network's contribution by frequency; theory beside it."""
    run = _first(run, "scale", "seed", "band")
    shown = run.isel(band=slice(0, 48))
    panels = [("measured", _above(shown.amplitude))]
    if "predicted_amplitude" in run:
        panels.append(("theory, infinite width", _above(shown.predicted_amplitude)))
    return alt.hconcat(*(
        figures.measured(
            part.assign_coords(scale=[f"{s:.3g}" for s in part.scale.values.tolist()]), "band",
            colour="scale", colour_title="scale s", title="amplitude of what was learnt",
            x_title="frequency, half-waves per unit", scale="log", domain=(1e-3, 1.0),
        ).properties(title=name)
        for name, part in panels
    ))  # fmt: skip


def centres(run: xr.Dataset, control: xr.Dataset | None) -> alt.TopLevelMixin:
    """Mean frequency of each network's contribution against its scale; theory dashed."""
    run = _first(run, "scale", "seed", "band")
    words: dict[str, Any] = {"scale": "log", "x_scale": "log", "x_title": "scale s",
                             "title": "mean frequency of the contribution"}  # fmt: skip
    chart = figures.measured(run.centre, "scale", points=True, **words)
    if "predicted_centre" in run:
        chart += figures.predicted(run.predicted_centre, "scale", **words)
    return chart


def reach(run: xr.Dataset, control: xr.Dataset | None) -> alt.TopLevelMixin:
    """Highest frequency within reach against the largest scale; theory dashed, control beside."""
    charts = [_reach(run, "measured")]
    if control is not None:
        charts.append(_reach(control, "inputs compressed (control)"))
    return alt.hconcat(*charts).resolve_scale(y="shared")


def frequencies(run: xr.Dataset, control: xr.Dataset | None) -> alt.TopLevelMixin:
    """Error by frequency, a colour a largest scale; the rule is where it counts as failed."""
    run = _first(run, "largest", "mu", "seed")
    chart = figures.measured(
        run.error, "mu", colour="largest", colour_title="largest scale", points=True,
        x_scale="log", x_title="frequency mu", **ERROR,
    )  # fmt: skip
    return chart + figures.threshold(0.3, "out of reach")


def _errors(run: xr.Dataset, over: str) -> alt.LayerChart:
    run = _first(run, over, "seed", "step")
    return figures.measured(
        run.error, "step", colour=over, x_title="updates", **ERROR
    )  # fmt: skip


def _reach(run: xr.Dataset, title: str) -> alt.LayerChart:
    run = _first(run, "largest", "seed")
    words: dict[str, Any] = {"scale": "log", "x_scale": "log", "x_title": "largest scale",
                             "title": "highest frequency within reach"}  # fmt: skip
    chart = figures.measured(run.reach, "largest", points=True, **words)
    if "predicted_reach" in run:
        chart += figures.predicted(run.predicted_reach, "largest", **words)
    return chart.properties(title=title)


def _above(amplitude: xr.DataArray) -> xr.DataArray:
    return amplitude.clip(1e-3, 1.0)


def _first(run: xr.Dataset, *dims: str) -> xr.Dataset:
    """Take the first place along every other dimension, a swept parameter's for one."""
    return run.isel({d: 0 for d in run.dims if d not in dims})

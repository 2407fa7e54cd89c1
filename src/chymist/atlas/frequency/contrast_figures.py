"""The drawings of the study `jacobi-contrast`."""

from __future__ import annotations

from typing import Any

import altair as alt
import xarray as xr

from chymist import figures

SHOWN = (1e-3, 2.0)


def factors(run: xr.Dataset, control: xr.Dataset | None) -> alt.TopLevelMixin:
    """Factor of a sweep by mode for each omega, theory dashed; the control beside it."""
    charts = [_factors(_only(run, "omega", "seed", "mode"), "Jacobi")]
    if control is not None:
        charts.append(_factors(_only(control, "omega", "seed", "mode"), "Gauss-Seidel (control)"))
    return alt.hconcat(*charts).resolve_scale(y="shared")


def plane(run: xr.Dataset, control: xr.Dataset | None) -> alt.TopLevelMixin:
    """Map of the factor over both wave numbers, for each omega."""
    run = _only(run, "omega", "seed", "mode", "mode_y")
    return alt.hconcat(*(
        figures.heat_map(
            run.factor.sel(omega=omega), "mode", "mode_y", title="factor", x_title="k",
            y_title="l", domain=(0, 1), width=220, height=220,
        ).properties(title=f"omega = {omega:.3g}")
        for omega in run.omega.values.tolist()
    ))  # fmt: skip


def errors(run: xr.Dataset, control: xr.Dataset | None) -> alt.TopLevelMixin:
    """Error of each mode over sweeps or updates, one panel a solver; theory dashed for Jacobi."""
    run = _only(run, "solver", "seed", "mode", "step")
    words: dict[str, Any] = {"scale": "log", "x_scale": "log", "domain": SHOWN,
                             "title": "relative error"}  # fmt: skip
    panels = []
    for name in run.solver.values.tolist():
        x_title = "sweeps" if name in ("Jacobi", "Gauss-Seidel") else "updates"
        part = figures.measured(
            _visible(run.error.sel(solver=name)), "step", colour="mode", colour_title="mode k",
            x_title=x_title, **words,
        )  # fmt: skip
        if name == "Jacobi":
            theory = _visible(run.predicted_jacobi.mean("seed"))
            part = part + figures.predicted(theory, "step", detail="mode", x_title=x_title, **words)
        panels.append(part.properties(title=name, width=210, height=170))
    return alt.concat(*panels, columns=3)


def times(run: xr.Dataset, control: xr.Dataset | None) -> alt.TopLevelMixin:
    """Sweeps or updates until each mode is done, by solver."""
    run = _only(run, "solver", "seed", "mode")
    return figures.measured(
        run.time, "mode", colour="solver", colour_title="solver", points=True, scale="log",
        x_scale="log", title="sweeps or updates until done", x_title="mode k",
    )  # fmt: skip


def sweeps(run: xr.Dataset, control: xr.Dataset | None) -> alt.TopLevelMixin:
    """Sweeps that are left at each switch; dashed, by theory; the rule: from zero."""
    run = _only(run, "switch", "seed")
    words: dict[str, Any] = {"scale": "log", "x_scale": "log", "x_title": "updates of the network",
                             "title": "Jacobi sweeps left"}  # fmt: skip
    return (
        figures.measured(run.sweeps, "switch", points=True, **words)
        + figures.predicted(run.predicted_sweeps, "switch", **words)
        + figures.threshold(float(run.sweeps_alone.mean()), "Jacobi from zero")
    )


def work(run: xr.Dataset, control: xr.Dataset | None) -> alt.TopLevelMixin:
    """Operations of the hybrid by switch, of Jacobi and V-cycles alone; the control beside it."""
    charts = [_cost(run, "work", "operations", "low modes")]
    if control is not None:
        charts.append(_cost(control, "work", "operations", "high modes (control)"))
    return alt.hconcat(*charts)


def seconds(run: xr.Dataset, control: xr.Dataset | None) -> alt.TopLevelMixin:
    """The same in seconds of the processor, of which no claim makes use."""
    return _cost(run, "seconds", "seconds of the processor", "low modes")


def _cost(run: xr.Dataset, name: str, title: str, heading: str) -> alt.LayerChart:
    run = _only(run, "switch", "seed")
    words: dict[str, Any] = {"scale": "log", "x_scale": "log", "x_title": "updates of the network",
                             "title": title}  # fmt: skip
    chart = figures.measured(run[name], "switch", points=True, **words)
    if name == "work" and "predicted_sweeps" in run:
        sweep = run.work_alone / run.sweeps_alone
        chart += figures.predicted(run.operations + sweep * run.predicted_sweeps, "switch", **words)
    for other, label in (("alone", "Jacobi from zero"), ("cycles", "V-cycles")):
        chart += figures.threshold(float(run[f"{name}_{other}"].mean()), label)
    return chart.properties(title=heading)


def _factors(run: xr.Dataset, title: str) -> alt.LayerChart:
    words: dict[str, Any] = {"title": "factor of a sweep", "x_title": "mode k", "domain": (0, 1)}
    chart = figures.measured(run.factor, "mode", colour="omega", colour_title="omega", **words)
    if "predicted_factor" in run:
        chart += figures.predicted(run.predicted_factor, "mode", detail="omega", **words)
    return chart.properties(title=title)


def _visible(error: xr.DataArray) -> xr.DataArray:
    return error.where(error >= SHOWN[0]).clip(max=SHOWN[1])


def _only(run: xr.Dataset, *dims: str) -> xr.Dataset:
    """Take the first place along every other dimension, a swept parameter's for one."""
    return run.isel({d: 0 for d in run.dims if d not in (*dims, "k", "l")})

"""The drawings of the study `frequency-principle`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import altair as alt
import numpy as np
import xarray as xr

from chymist import explorable, figures

LOGARITHMIC: dict[str, Any] = {"scale": "log", "x_scale": "log"}
SHOWN = (1e-3, 2.0)
MOST_CURVES = 8


def errors(
    run: xr.Dataset, control: xr.Dataset | None, titles: tuple[str, str] | None = None
) -> alt.TopLevelMixin:
    """Error of each frequency against updates, theory dashed, the control beside it.

    Of several networks or losses the first is shown, which is the title unless `titles` are given.
    """
    parts = [part for part in (run, control) if part is not None]
    names = titles or (_first_name(run), f"{_first_name(parts[-1])} (control)")
    charts = [_curves(part, name) for part, name in zip(parts, names, strict=False)]
    return alt.hconcat(*charts).resolve_scale(x="shared")


def course(run: xr.Dataset, control: xr.Dataset | None) -> alt.TopLevelMixin:
    """What the first network of the first seed returns, its spectrum, and errors, step by step."""
    run = _only(run, "band", "step", "frame", "sample").dropna("frame", how="all", subset=["drawn"])
    peaks = run.band.values
    shown = run.dropna("step", how="all", subset=["error"])
    function = _function(run).properties(title="function", width=300, height=190)
    spectrum = _spectrum(run, int(peaks[-1])).properties(title="spectrum", width=210, height=190)
    words = LOGARITHMIC | {"title": "relative error", "x_title": "updates", "domain": SHOWN}
    history = figures.measured(
        _visible(shown.error), "step", colour="band", colour_title="frequency k", **words
    )
    cursor = explorable.cursor("updates", "log", least=1)
    history = (history + cursor).properties(title="errors", width=230, height=190)
    chart = alt.concat(function, spectrum, history, columns=3)
    return explorable.through(chart.resolve_scale(color="independent"), run.frame.values)


def _function(run: xr.Dataset) -> alt.LayerChart:
    x = alt.X(**figures.axis("sample", "x"))
    ends = float(abs(run.target).max()) * 1.25
    height = figures.axis("y", "f(x)", domain=(-ends, ends))
    goal = alt.Chart(alt.Data(values=figures.table(y=run.target)))
    drawn = explorable.states("frame", "sample", y=run.drawn)
    return alt.layer(
        goal.mark_line(color="#b9c3cc", strokeWidth=5).encode(x=x, y=alt.Y(**height)),
        drawn.mark_line(color=figures.PALETTE[0], strokeWidth=2).encode(x=x, y=alt.Y(**height)),
    )


def _spectrum(run: xr.Dataset, highest: int) -> alt.LayerChart:
    """Amplitudes of the first frequencies: bars the network's, grey the signal's."""
    sizes = [abs(np.fft.rfft(v.values)) * 2 / v.sizes["sample"] for v in (run.target, run.drawn)]
    k = np.arange(min(highest + 4, sizes[0].shape[-1]))
    goal = xr.DataArray(sizes[0][k], {"k": k}, ("k",))
    drawn = xr.DataArray(sizes[1][:, k], {"frame": run.frame, "k": k}, ("frame", "k"))
    x = alt.X("k:O", title="frequency k", axis=alt.Axis(labelAngle=0, labelOverlap=True))
    height = figures.axis("size", "amplitude", domain=(0, 1.25 * float(goal.max())))
    ticks = alt.Chart(alt.Data(values=figures.table(size=goal)))
    bars = explorable.states("frame", "k", size=drawn)
    return alt.layer(
        ticks.mark_bar(color="#dbe1e6").encode(x=x, y=alt.Y(**height)),
        bars.mark_bar(color=figures.PALETTE[0], width={"band": 0.45}).encode(
            x=x, y=alt.Y(**height)
        ),
    )


def order(
    statistic: Callable[[xr.Dataset], xr.DataArray], edge: float,
    run: xr.Dataset, control: xr.Dataset | None,
) -> alt.TopLevelMixin:  # fmt: skip
    """One dot a seed and network, the control's below; `edge` bounds the claim's region."""
    values = [statistic(run)]
    if control is not None:
        names = [f"{name}, control" for name in control.variant.values]
        values.append(statistic(control).assign_coords(variant=names))
    return figures.statistic(
        xr.concat(values, "variant", join="outer"), category="variant",
        title="D, logarithm of the ratio of areas", low=edge,
    )  # fmt: skip


def times(run: xr.Dataset, control: xr.Dataset | None) -> alt.TopLevelMixin:
    """Updates until each frequency is learnt, theory dashed."""
    run = _only(run, "k", "s", "seed")
    words = LOGARITHMIC | {"title": "updates until learnt", "x_title": "frequency k"}
    return figures.measured(
        run.time_to_learn, "k", colour="s", colour_title="exponent s", points=True, **words
    ) + figures.predicted(run.predicted_time_to_learn, "k", detail="s", **words)


def heat(run: xr.Dataset, control: xr.Dataset | None) -> alt.TopLevelMixin:
    """Error over updates and frequencies, a map for each s, the predicted time in white."""
    run = _only(run, "k", "s", "seed", "step")
    return alt.vconcat(*(_map(run.sel(s=s)) for s in run.s.values)).resolve_scale(x="independent")


def _only(run: xr.Dataset, *dims: str) -> xr.Dataset:
    """Take the first place along every other dimension, a swept parameter's for one."""
    return run.isel({d: 0 for d in run.dims if d not in dims})


def _first_name(run: xr.Dataset) -> str:
    return str(run.variant.values[0]) if "variant" in run.dims else f"s = {run.s.values[0]:g}"


def _curves(run: xr.Dataset, title: str) -> alt.LayerChart:
    dim = "k" if "k" in run.dims else "band"
    run = _only(run, dim, "seed", "step").dropna("step", how="all", subset=["error"])
    last = run.sizes[dim] - 1
    run = run.isel({dim: sorted({*np.linspace(0, last, MOST_CURVES).round().astype(int)})})
    words = LOGARITHMIC | {"title": "relative error", "x_title": "updates", "domain": SHOWN}
    chart = figures.measured(
        _visible(run.error), "step", colour=dim, colour_title="frequency k", **words
    )
    if "predicted_error" in run:
        theory = _visible(run.predicted_error.mean("seed"))
        chart = chart + figures.predicted(theory, "step", detail=dim, **words)
    return chart.properties(title=title)


def _visible(error: xr.DataArray) -> xr.DataArray:
    return error.where(error >= SHOWN[0]).clip(max=SHOWN[1])


def _map(run: xr.Dataset) -> alt.LayerChart:
    run = run.dropna("step", how="all", subset=["error"])
    time = run.predicted_time_to_learn.mean("seed")
    cell = run.step.sel(step=time.fillna(0), method="nearest").drop_vars("step")
    contour = alt.Chart(alt.Data(values=figures.table(step=cell.where(time <= run.step.max()))))
    cells = figures.heat_map(
        run.error, "step", "k", title="relative error", x_title="updates",
        y_title="frequency k", domain=(0, 1), width=420, height=110,
    )  # fmt: skip
    ticks = contour.mark_tick(color="white", thickness=3, size=18, opacity=1)
    return alt.layer(cells, ticks.encode(x="step:O", y="k:O")).properties(
        title=f"s = {float(run.s):g}"
    )

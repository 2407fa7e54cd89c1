"""The drawings of the study `ricci-flow`."""

from __future__ import annotations

from typing import Any

import altair as alt
import numpy as np
import xarray as xr

from chymist import figures

BINS = 30


def values(run: xr.Dataset, control: xr.Dataset | None) -> alt.TopLevelMixin:
    """Measured curvature of each kind of edge as a dot, its closed form as a stroke."""
    rows = figures.table(value=run.highest.median("seed"), exact=run.predicted_highest)
    base = alt.Chart(alt.Data(values=rows)).encode(
        y=alt.Y("kind:N", sort=None, title="graph, degrees of the ends"))
    title = "kappa / (1 - alpha)"
    dots = base.mark_circle(size=90, opacity=0.5).encode(x=alt.X("value:Q", title=title))
    strokes = base.mark_tick(size=16, thickness=1.5, color=figures.INK).encode(x="exact:Q")
    return alt.layer(dots, strokes).properties(width=360)


def idleness(run: xr.Dataset, control: xr.Dataset | None) -> alt.TopLevelMixin:
    """Kappa against alpha of three edges of the first seed, and kappa / (1 - alpha)."""
    first = run.curvature.isel(seed=[0])
    words: dict[str, Any] = {"colour": "sample", "colour_title": "edge", "x_title": "idleness"}
    left = figures.measured(first, "alpha", title="kappa", **words)
    ratio = first / (1 - run.alpha)
    return left | figures.measured(ratio, "alpha", title="kappa / (1 - alpha)", **words)


def neck(run: xr.Dataset, control: xr.Dataset | None) -> alt.TopLevelMixin:
    """ln(bridge / interior) and the bridge's curvature over time, theory dashed."""
    # At first the bridge's curvature is near -2: beside that no limit could be told from 0.
    late = run.sel(time=run.time >= 1)
    charts = [_ratio(run, "with a neck")]
    if control is not None:
        charts.append(_ratio(control, "without (control)", theory=False))
    words: dict[str, Any] = {"title": "curvature of the bridge", "x_title": "time"}
    bridge = figures.measured(late.bridge, "time", colour="k", **words)
    theory = figures.predicted(late.predicted_bridge, "time", detail="k", **words)
    ratios = (chart.properties(width=190) for chart in charts)
    last = (bridge + theory).properties(title="from time 1 on", width=230)
    return alt.hconcat(alt.hconcat(*ratios).resolve_scale(y="shared"), last)


def smoothing(run: xr.Dataset, control: xr.Dataset | None) -> alt.TopLevelMixin:
    """Spread of the curvature over steps by graph, the control's beside it."""
    parts = [(run, "p = 0")] + ([(control, "p = 2 (control)")] if control is not None else [])
    return alt.hconcat(*(
        figures.measured(
            part.spread, "step", colour="graph", scale="log", x_title="step",
            title="standard deviation of kappa",
        ).properties(title=name)
        for part, name in parts
    )).resolve_scale(y="shared")  # fmt: skip


def blocks(run: xr.Dataset, control: xr.Dataset | None) -> alt.TopLevelMixin:
    """AUC of edges and ARI of blocks against the signal ratio, by way."""
    charts = []
    for name, title in (("auc", "AUC, edges between blocks"), ("ari", "ARI of the blocks")):
        array = run[name].assign_coords(p_out=run.signal.values).rename(p_out="signal")
        array = array.sortby("signal")
        array = array.dropna("way", how="all")
        curve = figures.measured(
            array, "signal", title=title, x_title="signal ratio", colour="way", points=True)
        rule = alt.Chart(alt.Data(values=[{"signal": 1.0}])).mark_rule(
            strokeDash=[2, 2], color=figures.MUTED).encode(x="signal:Q")
        charts.append(alt.layer(curve, rule))
    return alt.hconcat(*charts)


def known(run: xr.Dataset, control: xr.Dataset | None) -> alt.TopLevelMixin:
    """ARI over steps by exponent, a panel for each graph and cut."""
    rows = []
    for graph in run.graph.values.tolist():
        row = []
        for cut in run.cut.values.tolist():
            array = run.ari.sel(graph=graph, cut=cut, drop=True)
            row.append(figures.measured(
                array, "after", title="ARI", x_title="steps", colour="exponent", points=True,
                domain=(-0.1, 1)).properties(title=f"{graph}: {cut} cut", width=240, height=150))
        rows.append(alt.hconcat(*row))
    return alt.vconcat(*rows)


def histogram(run: xr.Dataset, control: xr.Dataset | None) -> alt.TopLevelMixin:
    """Edges by curvature, before and after the flow."""
    charts = []
    low, high = (float(f(run.curvature)) for f in (np.nanmin, np.nanmax))
    edges = np.linspace(low - 1e-6, high + 1e-6, BINS + 1)
    for i, when in enumerate(run.when.values.tolist()):
        found = run.curvature.sel(when=when).values
        counts = np.histogram(found[np.isfinite(found)], edges)[0].tolist()
        rows = [
            {"low": a, "high": b, "edges": n, "none": 0}
            for a, b, n in zip(edges[:-1].tolist(), edges[1:].tolist(), counts, strict=True)
        ]
        bars = alt.Chart(alt.Data(values=rows)).mark_rect(color=figures.PALETTE[i]).encode(
            x=alt.X("low:Q", title="curvature", scale=alt.Scale(domain=[low, high])), x2="high:Q",
            y=alt.Y("edges:Q", title="edges"), y2="none:Q")
        charts.append(bars.properties(title=f"{when} the flow"))
    return alt.hconcat(*charts)


def quality(run: xr.Dataset, control: xr.Dataset | None) -> alt.TopLevelMixin:
    """One dot a seed: modularity of the best cut; the title says how it fits known groups."""
    parts = [run.quality]
    if control is not None:
        parts.append(control.quality.assign_coords(of=[f"{o}, control" for o in run.of.values]))
    chart = figures.statistic(
        xr.concat(parts, "of", join="outer"), category="of", title="modularity of the best cut")
    ari, nmi = run.agreement.values.tolist()
    known = f"; with its known groups ARI {ari:.3f}, NMI {nmi:.3f}" if np.isfinite(ari) else ""
    return chart.properties(title=f"{run.attrs.get('name', 'the graph')}{known}")


def _ratio(run: xr.Dataset, name: str, theory: bool = True) -> alt.LayerChart:
    words: dict[str, Any] = {"title": "ln(bridge / interior edge)", "x_title": "time"}
    chart = figures.measured(run.ratio, "time", colour="k", **words)
    if not theory:
        return chart.properties(title=name)
    # The predicted rate says the slope alone: its line ends where the measured one does.
    end = run.ratio.isel(time=-1, drop=True).median("seed")
    late = run.time[run.time >= run.time[-1] / 2]
    line = end + run.predicted_slope * (late - run.time[-1])
    late_line = figures.predicted(line, "time", detail="k", **words)
    return (chart + late_line).properties(title=name)

"""The drawings of the study `transformer-initialisation`."""

from __future__ import annotations

from typing import Any

import altair as alt
import xarray as xr

from chymist import figures


def participation(run: xr.Dataset, control: xr.Dataset | None) -> alt.TopLevelMixin:
    """Participation over head widths, with and without division, the control's narrow heads too."""
    parts = [run] if control is None else [control.isel(seed=slice(0, run.sizes["seed"])), run]
    joined = xr.concat(
        [part[["participation", "predicted_participation"]] for part in parts], "head",
        join="outer", combine_attrs="override",
    )  # fmt: skip
    joined = joined.assign_coords(power=["none", "by sqrt(d)"])
    words: dict[str, Any] = {"x_title": "width d of the head", "x_scale": "log", "domain": (0, 1)}
    measured = figures.measured(
        joined.participation, "head", colour="power", colour_title="division",
        title="participation Y", points=True, **words,
    )  # fmt: skip
    return measured + figures.predicted(
        joined.predicted_participation, "head", detail="power", title="participation Y", **words
    )


def share(run: xr.Dataset, control: xr.Dataset | None) -> alt.TopLevelMixin:
    """What is left of the input, on a logarithmic scale."""
    return _stream(run, "gain", "share of the input", "log")


def variance(run: xr.Dataset, control: xr.Dataset | None) -> alt.TopLevelMixin:
    """Variance of the stream under Pre-Norm."""
    return _stream(run.sel(norm=["pre"]), "variance", "variance of the stream", "linear")


def cosine(run: xr.Dataset, control: xr.Dataset | None) -> alt.TopLevelMixin:
    """Mean cosine between tokens."""
    return _stream(run, "cosine", "cosine between tokens", "linear")


def step(run: xr.Dataset, control: xr.Dataset | None) -> alt.TopLevelMixin:
    """Change by one step over depth, for both rules."""
    titles = {"descent": "gradient descent", "sign": "Adam's first step"}
    charts = [
        figures.measured(
            run.change.sel(rule=rule, drop=True), "depth", colour="norm", title="change of outputs",
            x_title="blocks", scale="log", x_scale="log", points=True,
        ).properties(title=title)
        for rule, title in titles.items()
    ]  # fmt: skip
    return alt.hconcat(*charts)


def widths(run: xr.Dataset, control: xr.Dataset | None) -> alt.TopLevelMixin:
    """Change by five steps over width."""
    return figures.measured(
        run.change, "width", colour="form", title="change of outputs", x_title="width",
        scale="log", x_scale="log", points=True,
    )  # fmt: skip


def accuracy(run: xr.Dataset, control: xr.Dataset | None) -> alt.TopLevelMixin:
    """One dot a seed: accuracy at the best step size, the control's below."""
    values = [run.accuracy.max("lr")]
    if control is not None:
        best = control.accuracy.max("lr")
        values.append(best.assign_coords(start=[f"{s}, control" for s in best.start.values]))
    return figures.statistic(
        xr.concat(values, "start", join="outer"), category="start",
        title="accuracy at the best step size",
    )  # fmt: skip


def curves(run: xr.Dataset, control: xr.Dataset | None) -> alt.TopLevelMixin:
    """Loss curves under Adam: the two of the treatment coincide, the control's part."""
    charts = []
    for part, title in ((run, "step sizes matched"), (control, "one step size (control)")):
        if part is not None:
            charts.append(
                figures.measured(
                    part.loss.sel(rule="adam", drop=True), "step", colour="start", title="loss",
                    x_title="updates",
                ).properties(title=title)
            )  # fmt: skip
    return alt.hconcat(*charts).resolve_scale(y="shared")


def _stream(
    run: xr.Dataset, name: str, title: str, scale: figures.Scale
) -> alt.TopLevelMixin:
    words: dict[str, Any] = {"title": title, "x_title": "residuals", "scale": scale}
    return figures.measured(run[name], "residual", colour="norm", **words) + figures.predicted(
        run[f"predicted_{name}"], "residual", detail="norm", **words
    )

"""The drawings of the study `integer-complexity`."""

from __future__ import annotations

from typing import Any

import altair as alt
import numpy as np
import xarray as xr

from chymist import figures

AGAINST_NUMBERS: dict[str, Any] = {"title": "ones", "x_title": "n", "x_scale": "log"}


def numbers(run: xr.Dataset, control: xr.Dataset | None) -> alt.TopLevelMixin:
    """Ones of each number as a dot, its bounds as lines."""
    run = _last(run)
    most = max(100, int(run.n.max()))
    return _bounds(10 ** np.linspace(0, np.log10(most) + 0.2, 40)) + figures.scatter(
        run.ones, "n", **AGAINST_NUMBERS
    )


def around(run: xr.Dataset, control: xr.Dataset | None) -> alt.TopLevelMixin:
    """The ones of the prime and its neighbours, with all summands and with ones alone."""
    parts = [("all summands", run), ("1 alone (control)", control)]
    columns = [
        _around(_last(part), title) for title, part in parts if part is not None
    ]  # fmt: skip
    return alt.hconcat(*columns).resolve_scale(y="shared")


def _around(run: xr.Dataset, title: str) -> alt.LayerChart:
    first = int(run.n[0])
    offset = run.n - int(run.n[12])
    rows = figures.table(value=run.near.assign_coords(n=offset.values))
    guess = figures.table(value=(run.near.shift(n=1) + 1).assign_coords(n=offset.values))
    x = alt.X("n:O", title=f"n - {first + 12}", axis=alt.Axis(labelAngle=0))
    y = alt.Y("value:Q", title="ones", scale=alt.Scale(zero=False))
    base = alt.Chart(alt.Data(values=rows)).encode(x=x, y=y)
    rule = alt.Chart(alt.Data(values=guess)).mark_tick(color=figures.INK, thickness=1.5, size=12)
    dots = base.mark_circle(size=70, color=figures.PALETTE[0], opacity=1)
    prime = alt.Chart(alt.Data(values=[r for r in rows if r["n"] == 0]))
    ring = prime.mark_point(size=220, color=figures.PALETTE[1], strokeWidth=2)
    return alt.layer(rule.encode(x=x, y=y), dots, ring.encode(x=x, y=y)).properties(title=title)


def complexities(run: xr.Dataset, control: xr.Dataset | None) -> alt.TopLevelMixin:
    """Shares of numbers by size and ones, the bounds, and the records."""
    run = _last(run)
    ends = np.append(run.number_bin.values[1:], int(run.largest.max()) + 1)
    share = run.share.where(run.share > 0).rename(number_bin="from")
    end = xr.DataArray(ends, dims="from", coords={"from": share["from"]})
    x = alt.X("from:Q", title="n", scale=alt.Scale(type="log", nice=False))
    y = alt.Y("ones:Q", title="ones", scale=alt.Scale(nice=False))
    colour = alt.Scale(type="log", scheme=figures.SEQUENTIAL, domain=[1e-6, 1], clamp=True)
    cells = (
        alt.Chart(alt.Data(values=_cells(share, end)))
        .mark_rect()
        .encode(x=x, x2="to:Q", y=y, y2="above:Q", color=alt.Color(
            "share:Q", title="share", scale=colour, legend=alt.Legend(format=".0e")))
    )  # fmt: skip
    last = float(ends[-1])
    least = run.least.where(run.least > 0)
    dots = alt.Chart(alt.Data(values=figures.table(least=least))).mark_circle(
        size=16, color=figures.PALETTE[1], opacity=1
    )
    records = dots.encode(x=alt.X("least:Q"), y=alt.Y("ones:Q"))
    return alt.layer(
        cells, *_bounds(10 ** np.linspace(0, np.log10(last), 40)).layer, records
    ).properties(width=520, height=320)


def _cells(share: xr.DataArray, end: xr.DataArray) -> list[dict[str, Any]]:
    rows = figures.table(share=share, to=end.broadcast_like(share))
    return [{**r, "ones": r["ones"] - 0.5, "above": r["ones"] + 0.5} for r in rows]


def _bounds(n: np.ndarray) -> alt.LayerChart:
    lines = []
    for base, label in ((3, "3 log3 n"), (2, "3 log2 n")):
        bound = xr.DataArray(3 * np.log(n) / np.log(base), dims="n", coords={"n": n})
        lines.append(figures.predicted(bound, "n", label=label, **AGAINST_NUMBERS))
    return alt.layer(*lines)


def defects(run: xr.Dataset, control: xr.Dataset | None) -> alt.TopLevelMixin:
    """How many numbers have so many ones beyond the lower bound; its mean ratio by size."""
    run = _last(run)
    share = run.defects / run.defects.sum()
    bars = (
        alt.Chart(alt.Data(values=figures.table(value=share.where(share > 0))))
        .mark_bar(color=figures.PALETTE[0])
        .encode(
            x=alt.X("defect:Q", title="ones beyond 3 log3 n", bin="binned"),
            x2="end:Q",
            y=alt.Y("value:Q", title="share of the numbers"),
        )
        .transform_calculate(end="datum.defect + 0.25")
    )
    mean = figures.measured(
        run.ratio.sel(number_bin=slice(100, None)), "number_bin", x_scale="log", x_title="n",
        title="mean of f(n) / (3 log3 n)", domain=(1.1, 1.15),
    )  # fmt: skip
    return alt.hconcat(bars, mean)


def trials(run: xr.Dataset, control: xr.Dataset | None) -> alt.TopLevelMixin:
    """Trials of a summand by number, and the slope of their curve from point to point."""
    run = _last(run)
    tried = run.tried.where(run.tried > 0).dropna("number")
    each = tried / tried.number
    words: dict[str, Any] = {"x_title": "numbers in the table", "x_scale": "log"}
    curve = figures.measured(
        each, "number", title="trials for each number", scale="log", **words
    )  # fmt: skip
    if (tried > 10).sum() < 3:
        return curve
    # Slopes over a factor of two: of less they would show the steps of the bound.
    tried, each = tried[tried > 10], each[tried > 10]
    x = np.log(tried.number.values.astype(float))
    keep = np.unique(abs(x[:, None] - np.arange(x[0], x[-1], np.log(2))).argmin(0))
    x, y = x[keep], np.log(each.values[keep])
    middle = np.exp((x[1:] + x[:-1]) / 2)
    slope = xr.DataArray(np.diff(y) / np.diff(x), dims="number", coords={"number": middle})
    exponent = figures.scatter(slope, "number", title="local exponent", edges=(0.2302, 0.2229),
                               **words)  # fmt: skip
    return alt.hconcat(curve, exponent)


def _last(run: xr.Dataset) -> xr.Dataset:
    """Take the largest table, and the first of whatever else was swept."""
    own = {"n", "ones", "number", "number_bin", "defect", "rank", "summand", "way"}
    run = run.isel(up_to=-1) if "up_to" in run.dims else run
    return run.isel({d: 0 for d in run.dims if d not in own})

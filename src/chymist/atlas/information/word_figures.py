"""The drawings of the study `minimum-entropy-words`."""

from __future__ import annotations

from typing import Any

import altair as alt
import numpy as np
import xarray as xr

from chymist import figures

SHOWN = 12
"""Sweeps that are drawn."""
ARMS = ("text", "shuffled (control)")


def code_lengths(run: xr.Dataset, control: xr.Dataset | None) -> alt.TopLevelMixin:
    """One dot a block and code, the control's beneath."""
    rows = []
    for arm, data in zip(ARMS, (run, control), strict=True):
        if data is not None:
            rows += [{**row, "arm": arm} for row in figures.table(bits=data.bits)]
    kinds = alt.Scale(domain=list(ARMS), range=figures.PALETTE[:2])
    return (
        alt.Chart(alt.Data(values=rows))
        .mark_circle(size=60, opacity=0.7)
        .encode(
            x=alt.X("bits:Q", title="bits a letter", scale=alt.Scale(zero=False)),
            y=alt.Y("code:N", title=None, sort=["letters", "known words", "words found"]),
            yOffset=alt.YOffset("arm:N", sort=list(ARMS)),
            color=alt.Color("arm:N", title=None, scale=kinds),
        )
        .properties(width=360, height=150)
    )


def boundaries(run: xr.Dataset, control: xr.Dataset | None) -> alt.TopLevelMixin:
    """Recall against precision; below the diagonal words are cut too seldom."""
    precision, recall = (
        run.score.sel(measure=f"boundary {m}", drop=True) for m in ("precision", "recall")
    )
    rows = figures.table(precision=precision, recall=recall)
    words = {"scale": alt.Scale(domain=[0.4, 1])}
    dots = (
        alt.Chart(alt.Data(values=rows))
        .mark_circle(size=60, opacity=0.7, clip=True)
        .encode(
            x=alt.X("precision:Q", title="precision of boundaries", **words),
            y=alt.Y("recall:Q", title="recall of boundaries", **words),
            color=alt.Color("cut:N", title=None, scale=alt.Scale(range=figures.PALETTE)),
        )
        .properties(width=260, height=260)
    )
    ends = alt.Data(values=[{"a": 0.4, "b": 0.4}, {"a": 1, "b": 1}])
    diagonal = alt.Chart(ends).mark_line(strokeDash=[2, 2], color=figures.MUTED)
    return alt.layer(diagonal.encode(x=alt.X("a:Q", **words), y=alt.Y("b:Q", **words)), dots)


def sweeps(run: xr.Dataset, control: xr.Dataset | None) -> alt.TopLevelMixin:
    """Description length by sweep, with what the known words and the letters need."""
    chart: Any = figures.measured(
        run.sweep_bits.isel(sweep=slice(SHOWN)), "sweep", title="bits a letter",
        x_title="sweep", points=True, domain=_span(run),
    )  # fmt: skip
    for code in ("known words", "letters"):
        level = float(run.bits.sel(code=code).mean())
        if np.isfinite(level):
            chart = chart + figures.threshold(level, code)
    return chart.properties(width=360)


def merging(run: xr.Dataset, control: xr.Dataset | None) -> alt.TopLevelMixin:
    """Bits of the tokens against kinds of token, each rule a line a block."""
    panels = [_merging(run, "by saved bits, by count", "saved bits")]
    if control is not None:
        panels.append(_merging(control, "random, by count (control)", "random"))
    return alt.hconcat(*panels).resolve_scale(y="shared", color="independent")


def drawn(run: xr.Dataset, control: xr.Dataset | None) -> alt.TopLevelMixin:
    """One dot a text."""
    arms = [run.drawn_score.sel(measure="boundary f1", drop=True).expand_dims(arm=["drawn words"])]
    if control is not None:
        shuffled = control.drawn_score.sel(measure="boundary f1", drop=True)
        arms.append(shuffled.expand_dims(arm=["shuffled"]))
    return figures.statistic(
        xr.concat(arms, "arm", join="outer"), category="arm", title="boundary F1", low=0.99
    )


def arithmetic(run: xr.Dataset, control: xr.Dataset | None) -> alt.TopLevelMixin:
    """The first block's saving against its first order, and the bits along merges."""
    one = run.isel(seed=0, drop=True)
    rows = figures.table(gain=one.gain, change=-one.change, exact=-one.predicted_change)
    axes = [figures.axis("gain", "first-order saving (bits)"),
            figures.axis("change", "saving found by a recount (bits)")]  # fmt: skip
    colour = alt.Color("rule:N", title="merged by", scale=alt.Scale(range=figures.PALETTE))
    base = alt.Chart(alt.Data(values=rows))
    dots = base.mark_circle(size=25, opacity=0.6).encode(
        x=alt.X(**axes[0]), y=alt.Y(**axes[1]), color=colour
    )
    exact = base.mark_point(size=60, strokeWidth=0.7, color=figures.INK).encode(
        x="gain:Q", y="exact:Q"
    )
    curves = figures.measured(
        run.bits_a_letter, "merge", title="bits a letter of the tokens", x_title="merges",
        colour="rule", colour_title="merged by", domain=_ends(run.bits_a_letter),
    )  # fmt: skip
    left = (exact + dots).properties(title="rings: predicted from counts", width=260)
    return alt.hconcat(left, curves.properties(width=260))


def _merging(run: xr.Dataset, title: str, first: str) -> alt.Chart:
    rows = figures.table(bits=run.bits_of_tokens)
    for row in rows:
        row["rule"] = first if row["rule"] == "gain" else "count"
    span = {"scale": alt.Scale(zero=False)}
    return (
        alt.Chart(alt.Data(values=rows))
        .mark_line(strokeWidth=1.5)
        .encode(
            x=alt.X("beyond:Q", title="kinds of token beyond letters", **span),
            y=alt.Y("bits:Q", title="bits a letter of the tokens", **span),
            color=alt.Color("rule:N", title="merged by", sort=None,
                            scale=alt.Scale(range=figures.PALETTE)),
            detail="seed:N",
        )
        .properties(title=title, width=270)
    )  # fmt: skip


def _span(run: xr.Dataset) -> tuple[float, float]:
    low, high = _ends(run.sweep_bits)
    return min(low, float(run.bits.min())), max(high, float(run.bits.max()) * 1.02)


def _ends(values: xr.DataArray) -> tuple[float, float]:
    return float(values.min()) * 0.98, float(values.max()) * 1.02

"""The readings of a chart as small figures: every quantity over the steps, or over the layers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
import numpy as np

from chymist.figures import INK, MUTED, PALETTE, SEQUENTIAL, axis, themed
from chymist.report.checkup import ordered, spaced

MAX_POINTS = 120
"""Steps of a curve."""
MAX_COLUMNS = 32
"""Steps of a heat map."""
FEW = 6
"""Layers that are drawn as curves of their own; more become a heat map."""
SPAN = 50
"""Largest over smallest from which an axis is logarithmic."""
ENDINGS = ("_threshold", "_critical", "_limit")
BESIDE = {
    "attention_critical": "attention_logit_std",
    "preconditioned_threshold": "preconditioned_sharpness",
}
"""Thresholds that are not named after what they bound."""

Record = Mapping[str, Any]


@dataclass(frozen=True)
class Reading:
    """A quantity drawn: its name, what the figure shows in words, and the specification."""

    name: str
    caption: str
    spec: dict[str, Any]
    tall: bool


def drawn(record: Record) -> Iterator[Reading]:
    """Draw each quantity that has a course over steps, then those with values of many layers."""
    yield from sorted(_all(record), key=lambda one: one.tall)


def _all(record: Record) -> Iterator[Reading]:
    chart = record["chart"]
    bounds = thresholds(chart["readings"])
    for name, series in chart["readings"].items():
        if name in bounds.values() or not any(_finite(series)):
            continue
        bound = chart["readings"].get(bounds.get(name, ""), [])
        levels = _levels(name, series, record["findings"])
        layers = ordered(chart, {layer for r in series for layer in r["values"] if layer})
        steps = len({r["step"] for r in series})
        if steps > 1 and (not layers or len(layers) <= FEW):
            yield _course(name, series, ["", *layers], bound, levels)
        elif steps > 1:
            yield _map(name, series, layers)
        elif len({str(v) for n, v in series[0]["values"].items() if n}) > 1:
            yield _profile(name, series[0], layers, bound, levels)


def thresholds(readings: Record) -> dict[str, str]:
    """Return, by quantity, the quantity that is its threshold."""
    found = {}
    for name in readings:
        stem = next((name.removesuffix(e) for e in ENDINGS if name.endswith(e)), name)
        of = BESIDE.get(name, stem)
        if stem != name and of in readings:
            found[of] = name
    return found


def _levels(name: str, series: Sequence[Record], findings: Sequence[Record]) -> list[float]:
    """Return thresholds of findings whose number is one of the quantity's readings."""
    found = set()
    for finding in findings:
        for reading in series:
            if reading["step"] != finding["step"]:
                continue
            value = reading["values"].get(finding["layer"])
            if value is not None and str(value) == str(finding["value"]):
                found.add(float(finding["threshold"]))
    return [level for level in found if math.isfinite(level)]


def _course(
    name: str, series: Sequence[Record], layers: Sequence[str], bound: Sequence[Record],
    levels: Sequence[float],
) -> Reading:  # fmt: skip
    names = {"": "whole network", **labels([layer for layer in layers if layer])}
    rows = [
        {"step": r["step"], "layer": names[layer], **_ends(r, layer)}
        for r in _thinned(series, MAX_POINTS)
        for layer in layers
        if layer in r["values"] and math.isfinite(float(r["values"][layer]))
    ]
    limits = [
        {"step": r["step"], "bound": float(next(iter(r["values"].values())))}
        for r in _thinned(bound, MAX_POINTS)
        if r["values"]
    ]
    if levels and not limits:
        limits = [{"step": s, "bound": v} for v in levels for s in _span(series)]
    shown = [row["value"] for row in rows] + [row["bound"] for row in limits]
    scale = _scale(shown)
    x = alt.X(**axis("step", "step"))
    y = alt.Y(**axis("value", "", scale))
    several = len({row["layer"] for row in rows}) > 1
    colour: dict[str, Any] = (
        {"color": alt.Color("layer:N", title=None, sort=None, scale=alt.Scale(range=PALETTE))}
        if several
        else {}
    )
    base = alt.Chart(alt.NamedData(name="rows"))
    parts: list[Any] = []
    spread = any(row["low"] < row["high"] for row in rows)
    if spread and not (scale == "log" and min(row["low"] for row in rows) <= 0):
        low = alt.Y(**axis("low", "", scale))
        parts.append(base.mark_area(opacity=0.18).encode(x=x, y=low, y2="high:Q", **colour))
    parts.append(base.mark_line(strokeWidth=1.8, point=len(rows) < 30).encode(x=x, y=y, **colour))
    caption = spaced(name)
    if limits:
        places = alt.Chart(alt.NamedData(name="limits"))
        places = places.mark_line(strokeDash=[5, 3], color=INK, strokeWidth=1.3)
        if bound:
            parts.append(places.encode(x=x, y=alt.Y(**axis("bound", "", scale))))
        else:
            bounded = alt.Y(**axis("bound", "", scale))
            parts.append(places.encode(x=x, y=bounded, detail="bound:N"))
        caption += "; dashed, the threshold"
    lost = _lost(series)
    if lost is not None:
        rule = alt.Chart(alt.NamedData(name="lost")).mark_rule(color=PALETTE[1])
        parts.append(rule.encode(x=alt.X(**axis("step", "step"))))
        caption += f"; not finite from step {lost} on"
    chart = alt.layer(*parts).properties(width=300, height=170)
    return _reading(
        name, caption, chart, {"rows": rows, "limits": limits, "lost": [{"step": lost}]}
    )


def _map(name: str, series: Sequence[Record], layers: Sequence[str]) -> Reading:
    names = labels(layers)
    rows = [
        {"step": r["step"], "layer": names[layer], "value": float(r["values"][layer])}
        for r in _thinned(series, MAX_COLUMNS)
        for layer in layers
        if layer in r["values"] and math.isfinite(float(r["values"][layer]))
    ]
    order = list(names.values())
    caption = f"{spaced(name)}, by layer from the input on"
    scale = _scale([row["value"] for row in rows])
    positive = [row for row in rows if row["value"] > 0]
    if len(positive) < len(rows) and min(row["value"] for row in rows) == 0:
        scale = _scale([row["value"] for row in positive])
        if scale == "log":
            rows, caption = positive, f"{caption}; zero where blank"
    # A few extreme values would take all colours from the others.
    span = np.quantile([row["value"] for row in rows], [0.02, 0.98]).tolist()
    bounded = {"domain": span, "clamp": True} if span[0] < span[1] else {}
    colour = alt.Scale(scheme=SEQUENTIAL, type=scale, **bounded)
    chart = (
        alt.Chart(alt.NamedData(name="rows"))
        .mark_rect()
        .encode(
            x=alt.X("step:O", title="step", axis=alt.Axis(labelOverlap=True, labelAngle=0)),
            y=alt.Y("layer:N", title=None, sort=order, axis=alt.Axis(labelOverlap=True)),
            color=alt.Color("value:Q", title=None, scale=colour),
        )
        .properties(width=270, height=max(120, min(340, 11 * len(layers))))
    )
    return _reading(name, caption, chart, {"rows": rows}, tall=True)


def _profile(
    name: str, reading: Record, layers: Sequence[str], bound: Sequence[Record],
    levels: Sequence[float],
) -> Reading:  # fmt: skip
    own = bound[0]["values"] if bound else {}
    rows: list[dict[str, Any]] = []
    names = labels(layers)
    for layer in layers:
        value = float(reading["values"].get(layer, math.nan))
        limit = float(own[layer]) if layer in own else levels[0] if levels else math.nan
        if math.isfinite(value):
            rows.append({"layer": names[layer], "value": value, "bound": limit})
    limited = [row for row in rows if math.isfinite(row["bound"])]
    rows = [{n: v for n, v in row.items() if n != "bound"} for row in rows]
    scale = _scale([row["value"] for row in rows] + [row["bound"] for row in limited])
    y = alt.Y("layer:N", title=None, sort=None, axis=alt.Axis(grid=True, labelOverlap=True))
    dots = alt.Chart(alt.NamedData(name="rows")).mark_circle(size=50, opacity=0.9, color=PALETTE[0])
    parts: list[Any] = [dots.encode(x=alt.X(**axis("value", "", scale)), y=y)]
    caption = f"{spaced(name)}, by layer from the input on"
    if limited:
        ticks = alt.Chart(alt.NamedData(name="limits"))
        ticks = ticks.mark_tick(color=INK, thickness=1.6, size=12)
        parts.append(ticks.encode(x=alt.X(**axis("bound", "", scale)), y=y))
        caption += "; the dashes are thresholds"
    height = max(60, min(420, 16 * len(rows)))
    chart = alt.layer(*parts).properties(width=260, height=height)
    return _reading(name, caption, chart, {"rows": rows, "limits": limited}, tall=height > 200)


def _reading(
    name: str, caption: str, chart: Any, data: dict[str, list[dict[str, Any]]], *,
    tall: bool = False,
) -> Reading:  # fmt: skip
    spec = themed(chart)
    # Beside the chart: within it every row would be checked against Vega-Lite's schema.
    spec["datasets"] = data
    spec["config"]["axis"] |= {"labelFontSize": 10, "titleFontSize": 11, "labelLimit": 170}
    spec["config"]["legend"] |= {"orient": "bottom", "columns": 2, "labelLimit": 170}
    spec["config"]["view"]["stroke"] = None
    spec["config"]["rule"] = {"color": MUTED}
    return Reading(name, caption, spec, tall)


def _ends(reading: Record, layer: str) -> dict[str, float]:
    value = float(reading["values"][layer])
    error = float(reading["errors"].get(layer, 0.0))
    error = error if math.isfinite(error) else 0.0
    return {"value": value, "low": value - error, "high": value + error}


def _thinned(series: Sequence[Record], most: int) -> list[Record]:
    if len(series) <= most:
        return list(series)
    last = len(series) - 1
    return [series[i] for i in sorted({round(k * last / (most - 1)) for k in range(most)})]


def _scale(values: Sequence[float]) -> Any:
    positive = [v for v in values if v > 0]
    if values and len(positive) == len(values) and max(values) >= SPAN * min(values):
        return "log"
    return "linear"


def _span(series: Sequence[Record]) -> tuple[int, int]:
    return series[0]["step"], series[-1]["step"]


def _lost(series: Sequence[Record]) -> int | None:
    """Return the first step at which a value is not finite."""
    for reading in series:
        if not all(math.isfinite(float(v)) for v in reading["values"].values()):
            return int(reading["step"])
    return None


def _finite(series: Sequence[Record]) -> Iterator[bool]:
    yield from (math.isfinite(float(v)) for r in series for v in r["values"].values())


def labels(layers: Sequence[str], most: int = 24) -> dict[str, str]:
    """Leave out the beginning that all names share, shorten what is long, and keep them apart.

    >>> labels(["body.layers.0", "body.layers.1"])
    {'body.layers.0': '0', 'body.layers.1': '1'}
    >>> labels(["q" * 20, "k" * 20, "q" * 20 + "2"], 8)
    {'qqqqqqqqqqqqqqqqqqqq': 'qqq…qqqq', 'kkkkkkkkkkkkkkkkkkkk': 'kkk…kkkk', \
'qqqqqqqqqqqqqqqqqqqq2': 'qqq…qqq2'}
    """
    parts = [layer.split(".") for layer in layers]
    shared = 0
    while len(parts) > 1 and len({tuple(p[: shared + 1]) for p in parts}) == 1:
        if min(map(len, parts)) <= shared + 1:
            break
        shared += 1
    found: dict[str, str] = {}
    for layer, words in zip(layers, parts, strict=True):
        short = ".".join(words[shared:])
        if len(short) > most:
            short = f"{short[: most // 2 - 1]}…{short[-(most // 2) :]}"
        found[layer] = f"{short} ({len(found)})" if short in found.values() else short
    return found

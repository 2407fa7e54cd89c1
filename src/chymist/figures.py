"""The figures' common language: measured bands over seeds, theory overlaid, one theme.

Each function takes named arrays and returns an Altair chart to be layered (`+`), placed side by
side (`|`) or stacked (`&`). Measurement is a solid line with a ribbon over seeds, theory a dashed
dark line, a threshold a dotted rule. Curves are thinned, so that a figure stays small.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import Any, Literal

import altair as alt
import numpy as np
import xarray as xr

from chymist.rendering import render as render

INK = "#1b2733"
MUTED = "#5c6b7a"
# Each colour has a contrast of at least 3 : 1 with white.
PALETTE = ["#1f5fa8", "#c8501e", "#2d8a5f", "#8a4fa3", "#a67c00", "#2b8fa3", "#a83250", "#6b6b6b"]
SEQUENTIAL = "viridis"
MAX_POINTS = 90
Scale = Literal["linear", "log", "symlog"]
_EXPONENT = "round(log(datum.value) / LN10)"
_DIGITS = "['⁰','¹','²','³','⁴','⁵','⁶','⁷','⁸','⁹']"
# Ticks between decades, and those near one, keep the label that they have.
_DECADE = (
    f"datum.label == '' || abs({_EXPONENT}) < 4"
    f" || abs(log(datum.value) / LN10 - {_EXPONENT}) > 1e-6 ? datum.label"
    f" : '10' + ({_EXPONENT} < 0 ? '⁻' : '')"
    f" + (abs({_EXPONENT}) > 9 ? {_DIGITS}[floor(abs({_EXPONENT}) / 10)] : '')"
    f" + {_DIGITS}[abs({_EXPONENT}) % 10]"
)


def thin(array: xr.DataArray, x: str, points: int = MAX_POINTS) -> xr.DataArray:
    """Keep about `points` of the coordinate x, evenly on a logarithmic scale of their places."""
    n = array.sizes[x]
    if n <= points:
        return array
    keep = sorted({0, *(round(i) for i in np.geomspace(1, n - 1, points))})
    return array.isel({x: keep})


def table(**columns: xr.DataArray) -> list[dict[str, Any]]:
    """Return arrays that share dimensions as rows for a chart; rows with a missing value drop."""
    frame = xr.Dataset({n: a.reset_coords(drop=True) for n, a in columns.items()}).to_dataframe()
    frame = frame.reset_index().dropna()
    rows: list[dict[str, Any]] = frame.to_dict("records")
    return [{k: plain(v) for k, v in row.items()} for row in rows]


def axis(
    field: str, title: str, scale: Scale = "linear", domain: Sequence[float] | None = None
) -> dict[str, Any]:
    """Keyword arguments of a quantitative Altair axis."""
    options: dict[str, Any] = {"type": scale}
    if domain is not None:
        options["domain"] = list(domain)
    if scale != "linear":
        options["nice"] = False
    return {"shorthand": f"{field}:Q", "title": title, "scale": alt.Scale(**options)}


def measured(
    array: xr.DataArray,
    x: str,
    *,
    title: str,
    x_title: str,
    colour: str | None = None,
    colour_title: str = "",
    scale: Scale = "linear",
    x_scale: Scale = "linear",
    domain: Sequence[float] | None = None,
    points: bool = False,
) -> alt.LayerChart:
    """Draw the median over seeds with a ribbon from the smallest to the largest seed.

    What has no seeds is drawn as a line alone.
    `colour` names the dimension that tells the curves apart. On a logarithmic scale, values that
    are not positive are left out.
    """
    array = thin(array, x)
    if x_scale == "log":
        array = array.where(array[x] > 0)
    if scale == "log":
        array = array.where(array > 0)
    if "seed" not in array.dims:
        array = array.expand_dims("seed")
    rows = table(mid=array.median("seed"), low=array.min("seed"), high=array.max("seed"))
    base = alt.Chart(alt.Data(values=rows))
    encoding: dict[str, Any] = {"x": alt.X(**axis(x, x_title, x_scale))}
    if colour:
        encoding["color"] = alt.Color(
            f"{colour}:N",
            title=colour_title or colour,
            sort=None,
            scale=alt.Scale(range=PALETTE),
        )
    fixed = {} if colour else {"color": PALETTE[0]}
    ribbon = base.mark_area(opacity=0.18, **fixed).encode(
        y=alt.Y(**axis("low", title, scale, domain)), y2="high:Q", **encoding
    )
    line = base.mark_line(strokeWidth=2, point=points, **fixed).encode(
        y=alt.Y(**axis("mid", title, scale, domain)), **encoding
    )
    return alt.layer(ribbon, line)


def predicted(
    array: xr.DataArray,
    x: str,
    *,
    detail: str | None = None,
    label: str = "theory",
    x_scale: Scale = "linear",
    scale: Scale = "linear",
    title: str = "",
    x_title: str = "",
    domain: Sequence[float] | None = None,
) -> alt.Chart:
    """Draw theory as dashed dark lines (the mean over seeds, where it depends on the start)."""
    array = thin(array, x)
    if "seed" in array.dims:
        array = array.mean("seed")
    if x_scale == "log":
        array = array.where(array[x] > 0)
    if scale == "log":
        array = array.where(array > 0)
    encoding: dict[str, Any] = {"detail": f"{detail}:N"} if detail else {}
    rows = [{**row, "theory": label} for row in table(value=array)]
    return (
        alt.Chart(alt.Data(values=rows))
        .mark_line(strokeDash=[5, 3], color=INK, strokeWidth=1.3)
        .encode(
            x=alt.X(**axis(x, x_title, x_scale)),
            y=alt.Y(**axis("value", title, scale, domain)),
            **encoding,
        )
    )


def threshold(value: float, label: str) -> alt.LayerChart:
    """Draw a dotted horizontal rule with its label."""
    data = alt.Data(values=[{"y": value, "label": label}])
    rule = alt.Chart(data).mark_rule(strokeDash=[2, 2], color=MUTED).encode(y="y:Q")
    text = (
        alt.Chart(data)
        .mark_text(align="left", baseline="bottom", dx=4, color=MUTED)
        .encode(y="y:Q", x=alt.value(0), text="label:N")
    )
    return alt.layer(rule, text)


def heat_map(
    array: xr.DataArray,
    x: str,
    y: str,
    *,
    title: str,
    x_title: str,
    y_title: str,
    domain: tuple[float, float] | None = None,
    width: int = 360,
    height: int = 200,
) -> alt.Chart:
    """Draw values over two dimensions as coloured cells, x and y as ordered categories."""
    if "seed" in array.dims:
        array = array.median("seed")
    scale = alt.Scale(scheme=SEQUENTIAL, **({"domain": list(domain)} if domain else {}))
    return (
        alt.Chart(alt.Data(values=table(value=thin(array, x, 60))))
        .mark_rect()
        .encode(
            x=alt.X(f"{x}:O", title=x_title, axis=alt.Axis(labelOverlap=True)),
            y=alt.Y(f"{y}:O", title=y_title, sort="descending"),
            color=alt.Color("value:Q", title=title, scale=scale),
        )
        .properties(width=width, height=height)
    )


def statistic(
    array: xr.DataArray,
    *,
    title: str,
    category: str | None = None,
    category_title: str = "",
    low: float | None = None,
    high: float | None = None,
    width: int = 260,
) -> alt.LayerChart:
    """Draw one dot a seed along a horizontal axis, the region's edges as dotted rules."""
    rows = table(value=array)
    y = alt.Y(f"{category}:N", title=category_title, sort=None) if category else alt.value(30)
    dots = (
        alt.Chart(alt.Data(values=rows))
        .mark_circle(size=55, opacity=0.65, color=PALETTE[0])
        .encode(x=alt.X("value:Q", title=title, scale=alt.Scale(zero=False)), y=y)
        .properties(width=width)
    )
    layers: list[alt.Chart] = [dots]
    for edge in (low, high):
        if edge is not None:
            layers.append(
                alt.Chart(alt.Data(values=[{"value": edge}]))
                .mark_rule(strokeDash=[2, 2], color=MUTED)
                .encode(x="value:Q")
            )
    return alt.layer(*layers)


def scatter(
    array: xr.DataArray,
    x: str,
    *,
    title: str,
    x_title: str,
    x_scale: Scale = "linear",
    edges: Sequence[float] = (),
) -> alt.LayerChart:
    """Draw values against a coordinate as dots, and edges as dotted horizontal rules."""
    rows = table(value=array, **{x: array[x]})
    dots = (
        alt.Chart(alt.Data(values=rows))
        .mark_circle(size=45, opacity=0.8, color=PALETTE[0])
        .encode(
            x=alt.X(**axis(x, x_title, x_scale)),
            y=alt.Y("value:Q", title=title, scale=alt.Scale(zero=False)),
        )
    )
    rules = [
        alt.Chart(alt.Data(values=[{"value": edge}]))
        .mark_rule(strokeDash=[2, 2], color=MUTED)
        .encode(y="value:Q")
        for edge in edges
    ]
    return alt.layer(dots, *rules)


def phases(
    array: xr.DataArray,
    inside: xr.DataArray,
    x: str,
    y: str,
    *,
    title: str,
    titles: tuple[str, str],
    scales: tuple[Scale, Scale] = ("linear", "linear"),
) -> alt.Chart:
    """Draw values over two coordinates as colour: dots `inside` a region, crosses elsewhere."""
    columns = {x: array[x], y: array[y], "where": inside.copy(data=_words(inside))}
    rows = table(value=array, **columns)
    # A few extreme values would take all colours from those near the border.
    span = [float(q) for q in np.nanquantile(array.values, [0.05, 0.95])]
    colours = alt.Scale(scheme=SEQUENTIAL, domain=span, clamp=True)
    return (
        alt.Chart(alt.Data(values=rows))
        .mark_point(size=70, filled=True, opacity=0.95)
        .encode(
            x=alt.X(**axis(x, titles[0], scales[0])),
            y=alt.Y(**axis(y, titles[1], scales[1])),
            color=alt.Color("value:Q", title=title, scale=colours),
            shape=alt.Shape(
                "where:N",
                title="region",
                scale=alt.Scale(domain=["inside", "outside"], range=["circle", "cross"]),
            ),
        )
    )


def _words(inside: xr.DataArray) -> np.ndarray[Any, Any]:
    return np.where(inside.values, "inside", "outside")


def image_strip(
    images: xr.DataArray, row: str, column: str, *, column_title: str, size: int = 84
) -> alt.Chart:
    """Lay pictures (row, column, height, width[, channel]) with values in [0, 1] out as a table."""
    cells = []
    for i, row_name in enumerate(images[row].values.tolist()):
        for j, column_name in enumerate(images[column].values.tolist()):
            picture = np.asarray(images.isel({row: i, column: j}))
            cells.append(
                {"row": str(row_name), "column": str(column_name), "url": data_url(picture)}
            )
    rows, columns = images.sizes[row], images.sizes[column]
    return (
        alt.Chart(alt.Data(values=cells))
        .mark_image(width=size, height=size)
        .encode(
            x=alt.X(
                "column:N",
                sort=None,
                title=column_title,
                axis=alt.Axis(orient="top", labelAngle=0, domain=False, ticks=False),
            ),
            y=alt.Y("row:N", sort=None, title=None, axis=alt.Axis(domain=False, ticks=False)),
            url="url:N",
        )
        .properties(width=columns * (size + 4), height=rows * (size + 4))
    )


def data_url(picture: np.ndarray[Any, Any], kind: Literal["png", "jpeg"] = "png") -> str:
    """Encode a picture with values in [0, 1] as a PNG, or smaller as a JPEG, in a data URL."""
    from PIL import Image

    values = np.round(255 * np.clip(np.nan_to_num(picture), 0, 1)).astype(np.uint8)
    stream = io.BytesIO()
    # A single channel is grey; Pillow wants no dimension for it.
    Image.fromarray(values[..., 0] if values.shape[-1] == 1 else values).save(
        stream, format=kind, optimize=True
    )
    return f"data:image/{kind};base64," + base64.b64encode(stream.getvalue()).decode("ascii")


def themed(chart: alt.TopLevelMixin) -> dict[str, Any]:
    """Return the Vega-Lite specification of a chart under chymist's theme."""
    spec: dict[str, Any] = chart.to_dict()
    # A family whose name has a digit must be quoted, or PNG and PDF come out without any text.
    font = "'Source Sans 3', 'Source Sans Pro', 'Segoe UI', Helvetica, Arial, sans-serif"
    _decades(spec)
    spec["config"] = {
        "font": font,
        "background": "white",
        "mark": {"color": PALETTE[0]},
        "view": {"stroke": None, "continuousWidth": 330, "continuousHeight": 220},
        "axis": {
            "labelColor": MUTED,
            "titleColor": INK,
            "gridColor": "#e6eaee",
            "domainColor": "#9aa7b3",
            "tickColor": "#9aa7b3",
            "titleFontWeight": 500,
            "labelFontSize": 11,
            "titleFontSize": 12,
        },
        "legend": {
            "labelColor": INK,
            "titleColor": INK,
            "titleFontWeight": 500,
            "labelFontSize": 11,
            "titleFontSize": 12,
            "symbolOpacity": 1,
        },
        "title": {"anchor": "start", "color": INK, "fontSize": 13, "fontWeight": 600},
        "range": {"category": PALETTE},
    }
    return spec


def _decades(node: Any) -> None:
    """Label logarithmic axes with powers of ten, unless the chart says otherwise."""
    children = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    for child in children:
        _decades(child)
    if not isinstance(node, dict):
        return
    for channel in ("x", "y"):
        definition = node.get("encoding", {}).get(channel)
        if isinstance(definition, dict) and (definition.get("scale") or {}).get("type") == "log":
            axis = definition.setdefault("axis", {})
            if isinstance(axis, dict) and not {"format", "labelExpr"} & set(axis):
                axis["labelExpr"] = _DECADE


def plain(value: Any) -> Any:
    """Return a number of an array as JSON has it, with five digits."""
    if isinstance(value, np.generic):
        value = value.item()
    return float(f"{value:.5g}") if isinstance(value, float) else value

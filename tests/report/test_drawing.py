from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ET
from typing import Any

import altair as alt
import numpy as np
import pytest
import xarray as xr
from PIL import Image

from chymist import figures as draw
from chymist.report.drawing import inlined

ATTACK = "</text></svg><script>alert(1)</script>"


def test_text_in_a_specification_is_text() -> None:
    rows = [{"x": 1, "y": 2, "c": ATTACK}, {"x": 2, "y": 3, "c": "b"}]
    chart = (
        alt.Chart(alt.Data(values=rows), title=ATTACK, description=ATTACK)
        .mark_line(point=True)
        .encode(x=alt.X("x:Q", title=ATTACK), y="y:Q", color="c:N", tooltip="c:N")
    )
    element = str(inlined(draw.themed(chart), "f1-", ATTACK, 10**6).element)
    assert "<script" not in element
    assert element.count("&lt;script&gt;") >= 3
    root = ET.fromstring(element)
    assert root.get("aria-label") == ATTACK
    assert ATTACK in [e.text for e in root.iter("text")]


def test_identifiers_carry_the_prefix_where_they_are_used(figures: dict[str, Any]) -> None:
    for name in ("heat", "clipped"):
        element = str(inlined(figures[name], "f7-", name, 10**6).element)
        defined = set(re.findall(r'\bid="([^"]*)"', element))
        used = set(re.findall(r"url\(#([^)]*)\)", element))
        assert used
        assert used <= defined
        assert all(i.startswith("f7-") for i in defined)


def test_the_drawing_survives_its_cleaning(figures: dict[str, Any]) -> None:
    raw = ET.fromstring(draw.render(figures["curves"], "svg"))
    drawing = inlined(figures["curves"], "f1-", "curves", 10**6)
    kept = ET.fromstring(str(drawing.element))
    space = "{http://www.w3.org/2000/svg}"
    assert [e.text for e in kept.iter("text")] == [e.text for e in raw.iter(f"{space}text")]
    strokes = [e.get("stroke") for e in kept.iter("path") if e.get("stroke")]
    assert strokes == [e.get("stroke") for e in raw.iter(f"{space}path") if e.get("stroke")]
    assert kept.get("viewBox") == raw.get("viewBox")
    assert drawing.width == float(raw.get("width", "0"))
    assert len(str(drawing.element)) < 0.6 * len(draw.render(figures["curves"], "svg"))


def test_pictures_inside_stay_and_are_data(figures: dict[str, Any]) -> None:
    root = ET.fromstring(str(inlined(figures["images"], "f1-", "images", 10**6).element))
    places = [image.get("href", "") for image in root.iter("image")]
    assert len(places) == 6
    assert all(place.startswith("data:image/png;base64,") for place in places)


def test_a_large_drawing_becomes_a_picture(figures: dict[str, Any]) -> None:
    element = str(inlined(figures["curves"], "f1-", 'a "caption"', 1000).element)
    assert element.startswith('<img src="data:image/png;base64,')
    assert 'alt="a &#34;caption&#34;"' in element


def test_a_picture_has_its_labels() -> None:
    rows = [{"x": 1, "y": 2}, {"x": 2, "y": 1}]
    chart = alt.Chart(alt.Data(values=rows)).mark_line().encode(x="x:Q", y="y:Q")
    with Image.open(io.BytesIO(draw.render(draw.themed(chart), "png"))) as image:
        below = np.asarray(image.convert("L"))[-30:]
    assert (below < 200).sum() > 20


def test_a_specification_cannot_fetch() -> None:
    chart = alt.Chart(alt.Data(url="http://127.0.0.1:9/x.csv")).mark_point().encode(x="x:Q")
    with pytest.raises(ValueError, match="not allowed"):
        inlined(draw.themed(chart), "f1-", "fetch", 10**6)


def test_logarithmic_axes_are_labelled_with_powers_of_ten() -> None:
    curve = xr.DataArray([[1.0, 1e-5, 1e-12]], dims=("seed", "k"), coords={"k": [1, 10, 100_000]})
    chart = draw.measured(curve, "k", title="y", x_title="k", scale="log", x_scale="log")
    svg = draw.render(draw.themed(chart), "svg").decode()
    labels = re.findall(r">([^<>]+)</text>", svg)
    assert "10⁻¹²" in labels
    assert "10⁵" in labels
    assert "100" in labels
    assert not [label for label in labels if "e-" in label]

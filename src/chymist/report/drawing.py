"""Figures inside a page: SVG that shares its document with other SVG, or a picture if too large."""

from __future__ import annotations

import base64
import io
import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from chymist.rendering import render

_ELEMENTS = {
    "svg",
    "g",
    "path",
    "rect",
    "circle",
    "ellipse",
    "line",
    "polyline",
    "polygon",
    "text",
    "tspan",
    "image",
    "defs",
    "clipPath",
    "linearGradient",
    "radialGradient",
    "stop",
}
_ATTRIBUTES = {
    "viewBox", "id", "d", "x", "y", "x1", "y1", "x2", "y2", "cx", "cy", "r", "rx", "ry", "dx", "dy",
    "width", "height", "points", "transform", "fill", "fill-opacity", "fill-rule", "stroke",
    "stroke-width", "stroke-opacity", "stroke-dasharray", "stroke-dashoffset", "stroke-linecap",
    "stroke-linejoin", "stroke-miterlimit", "opacity", "clip-path", "text-anchor", "font-size",
    "font-weight", "font-style", "dominant-baseline", "offset", "stop-color", "stop-opacity",
    "preserveAspectRatio", "gradientUnits", "href",
}  # fmt: skip
_LONG = re.compile(r"-?\d+\.\d{3,}(?![\de])")


@dataclass(frozen=True)
class Drawing:
    """A figure's element and its natural width [px]."""

    element: Markup
    width: float


def inlined(spec: Mapping[str, Any], prefix: str, label: str, limit: int) -> Drawing:
    """Render a Vega-Lite specification as an element for a page.

    Identifiers in the SVG get `prefix`, since all figures of a page share one name space. An SVG
    of more than `limit` bytes becomes a PNG, reduced until it fits.

    Raises:
        ValueError: the specification cannot be rendered.
    """
    root, width, _ = _drawn(spec, prefix)
    for name in ("width", "height"):
        root.attrib.pop(name, None)
    root.set("role", "img")
    root.set("aria-label", label)
    text = ET.tostring(root, encoding="unicode")
    if len(text.encode()) <= limit:
        return Drawing(Markup(text), width)  # noqa: S704  serialised, from allowed names only
    data = base64.b64encode(_picture(render(dict(spec), "png"), limit * 3 // 4)).decode("ascii")
    picture = Markup('<img src="data:image/png;base64,{}" alt="{}">')
    return Drawing(picture.format(data, label), width)


def standalone(spec: Mapping[str, Any], limit: int) -> str:
    """Render a Vega-Lite specification as an SVG file of at most `limit` bytes.

    A larger one holds a picture of itself, reduced until it fits.

    Raises:
        ValueError: the specification cannot be rendered, or not in so few bytes.
    """
    root, width, height = _drawn(spec, "")
    root.attrib |= {
        "xmlns": "http://www.w3.org/2000/svg",
        "width": f"{width:g}",
        "height": f"{height:g}",
        "font-family": "sans-serif",
    }
    text = ET.tostring(root, encoding="unicode")
    if len(text.encode()) > limit:
        for child in list(root):
            root.remove(child)
        picture = _picture(render(dict(spec), "png"), (limit - 1000) * 3 // 4)
        data = base64.b64encode(picture).decode("ascii")
        size = {"width": f"{width:g}", "height": f"{height:g}"}
        ET.SubElement(root, "image", {**size, "href": f"data:image/png;base64,{data}"})
        text = ET.tostring(root, encoding="unicode")
    if len(text.encode()) > limit:
        raise ValueError(f"the figure takes more than {limit} bytes")
    return text + "\n"


def _drawn(spec: Mapping[str, Any], prefix: str) -> tuple[ET.Element, float, float]:
    """Render and clean; return the element with its natural width and height [px]."""
    root = ET.fromstring(render(dict(spec), "svg"))  # noqa: S314  the renderer's own text
    width, height = float(root.get("width", "480")), float(root.get("height", "320"))
    _clean(root, prefix)
    return root, width, height


def _picture(png: bytes, limit: int) -> bytes:
    """Take colours, then resolution, from a picture until it fits; never below a fifth."""
    from PIL import Image

    colours, share = 256, 1.0
    smaller = png
    while len(smaller) > limit and share > 0.2:
        with Image.open(io.BytesIO(png)) as image:
            size = (round(image.width * share), round(image.height * share))
            reduced = image.convert("RGB").resize(size, Image.Resampling.LANCZOS)
        stream = io.BytesIO()
        reduced.quantize(colours).save(stream, format="PNG", optimize=True)
        smaller = stream.getvalue()
        colours, share = 64, share * 0.7
    return smaller


def _clean(element: ET.Element, prefix: str) -> None:
    """Keep what draws; name nothing outside this figure and nothing outside the page."""
    element.tag = element.tag.rpartition("}")[2]
    attributes = {name.rpartition("}")[2]: value for name, value in element.attrib.items()}
    element.attrib.clear()
    for name, value in attributes.items():
        if name not in _ATTRIBUTES or (name, value) == ("opacity", "1"):
            continue
        if name == "href" and not value.startswith("data:image/"):
            continue
        if name == "id":
            value = prefix + value
        if "url(" in value:
            value = re.sub(r"""url\(\s*["']?#([^)"']+)["']?\s*\)""", rf"url(#{prefix}\1)", value)
            if not value.startswith(f"url(#{prefix}"):
                continue
        if name == "d" or (name == "transform" and "scale" not in value and "matrix" not in value):
            value = _LONG.sub(lambda m: f"{float(m[0]):.2f}".rstrip("0").rstrip("."), value)
        element.set(name, value)
    for child in list(element):
        if child.tag.rpartition("}")[2] not in _ELEMENTS or _unseen(child):
            element.remove(child)
        else:
            _clean(child, prefix)


def _unseen(element: ET.Element) -> bool:
    return element.get("display") == "none" or (
        element.get("class") == "background"
        and not element.get("fill")
        and not element.get("stroke")
    )

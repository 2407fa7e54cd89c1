"""Figures that answer a reader: values under the pointer, and zoom, added to a specification.

Where lines come first in a view the nearest point of the first of them is read; else the mark under
the pointer. Views whose axes are numbers can be moved and zoomed, with Ctrl so that the wheel still
scrolls the page. A specification may be a stranger's: what is unusual in it stays as it is.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from itertools import count
from typing import Any

from chymist.figures import INK

JOINED = ("concat", "hconcat", "vconcat")
MARKS = ("point", "circle", "square", "bar", "rect", "tick")
CHANNELS = ("x", "y", "color", "detail", "shape", "size")
FORMAT = ".4~g"
LONGEST = "60"
"""Letters of a text that is read."""
WHEEL = "wheel![event.ctrlKey || event.metaKey]"
SEEDS = {"low": "smallest of the seeds", "high": "largest of the seeds"}
DEPTH = 20
"""Views within views, beyond which a specification is left as it is."""

Spec = dict[str, Any]


def interactive(spec: Mapping[str, Any]) -> Spec:
    """Return a specification with values to read and views to zoom; the given one stays."""
    made = copy.deepcopy(dict(spec))
    numbers = count(1)
    for view in _views(made):
        _read(view, next(numbers))
        _zoom(view, next(numbers))
    made["config"] = {**_dict(made.get("config")), "customFormatTypes": True}
    return made


def _views(spec: Spec, depth: int = DEPTH) -> Iterator[Spec]:
    """Yield the views that stand side by side, each a unit or units in layers."""
    parts = [p for name in JOINED for p in _list(spec.get(name))]
    if "mark" in spec or "layer" in spec:
        yield spec
    for part in parts if depth else ():
        yield from _views(part, depth - 1)


def _units(view: Spec, above: Mapping[str, Any], depth: int = DEPTH) -> Iterator[tuple[Spec, Spec]]:
    """Yield every unit of a view, and a copy of it that has all it inherits."""
    own = dict(above)
    if "data" in view:
        own["data"] = view["data"]
    own["transform"] = [*_list(above.get("transform")), *_list(view.get("transform"))]
    own["encoding"] = {**_dict(above.get("encoding")), **_dict(view.get("encoding"))}
    if "mark" in view:
        yield view, {**own, "mark": view["mark"]}
    for layer in _list(view.get("layer")) if depth else ():
        yield from _units(layer, own, depth - 1)


def _read(view: Spec, number: int) -> None:
    units = list(_units(view, {}))
    first = next((whole for _, whole in units if _kind(whole) in ("line", *MARKS)), None)
    line = first if first and _kind(first) == "line" and _is_plane(first) else None
    if line is None:
        for unit, whole in units:
            if _kind(whole) in MARKS:
                unit.setdefault("encoding", {})["tooltip"] = _tooltip(whole)
        return
    if "layer" not in view:
        inner = {n: view.pop(n) for n in ("mark", "encoding", "params") if n in view}
        view["layer"] = [inner]
        line = {n: v for n, v in line.items() if n not in ("data", "transform")}
    elif not line["transform"]:
        del line["transform"]
    name = f"near_{number}"
    seen = {"condition": {"param": name, "empty": False, "value": 1}, "value": 0}
    tooltip = _tooltip(line)
    # Without the line's colour, which would get a legend of its own.
    kept = {n: e for n, e in line["encoding"].items() if n in ("x", "y")}
    clip = bool(_dict(line["mark"]).get("clip"))
    line["mark"] = {"type": "point", "filled": True, "size": 60, "color": INK, "clip": clip}
    line["encoding"] = {**kept, "opacity": seen, "tooltip": tooltip}
    select = {"type": "point", "on": "pointerover", "nearest": True, "clear": "pointerout"}
    line["params"] = [{"name": name, "select": select}]
    view["layer"].append(line)


def _zoom(view: Spec, number: int) -> None:
    units = list(_units(view, {}))
    first = next((unit for unit, whole in units if _is_plane(whole)), None)
    if first is None or any(_kind(whole) in ("image", "rect") for _, whole in units):
        return
    name = f"zoom_{number}"
    across = next(whole for _, whole in units if _is_plane(whole))["encoding"]["x"]["field"]
    # A dot on the edge of the view is whole until the view is moved.
    moved = {"expr": f"isArray({name}[{json.dumps(across)}])"}
    for unit, whole in units:
        kind = _kind(whole)
        if kind != "text":
            mark = unit["mark"] if isinstance(unit["mark"], dict) else {"type": kind}
            unit["mark"] = {**mark, "clip": mark.get("clip") or moved}
    bound = {"type": "interval", "zoom": WHEEL}
    param = {"name": name, "select": bound, "bind": "scales"}
    first["params"] = [*_list(first.get("params")), param]


def _tooltip(unit: Spec) -> list[Spec]:
    """Return the fields that a unit shows, by what its axes and legends call them."""
    encoding = unit["encoding"]
    shown, seen = [], set()
    for channel in CHANNELS:
        found = _dict(encoding.get(channel))
        field = found.get("field")
        if isinstance(field, str) and field not in seen:
            seen.add(field)
            shown.append(_entry(field, found.get("type"), found.get("title") or field))
    rows = _list(_dict(unit.get("data")).get("values"))
    for field, title in SEEDS.items() if rows and "mid" in seen else ():
        if field in rows[0]:
            shown.append(_entry(field, "quantitative", title))
    return shown


def _entry(field: str, kind: Any, title: Any) -> Spec:
    entry = {"field": field, "type": kind or "nominal", "title": title}
    if kind == "quantitative":
        return {**entry, "format": FORMAT}
    # Text without a format is looked for in the wrong place where the nearest point is read.
    return {**entry, "formatType": "truncate", "format": LONGEST}


def _is_plane(unit: Spec) -> bool:
    """Tell whether a unit places its marks by two numbers."""
    axes = (_dict(unit["encoding"].get(n)) for n in ("x", "y"))
    return all(isinstance(a.get("field"), str) and a.get("type") == "quantitative" for a in axes)


def _kind(unit: Spec) -> Any:
    mark = unit["mark"]
    return mark.get("type") if isinstance(mark, dict) else mark


def _list(found: Any) -> list[Any]:
    return [x for x in found if isinstance(x, dict)] if isinstance(found, list) else []


def _dict(found: Any) -> dict[str, Any]:
    return found if isinstance(found, dict) else {}

"""Figures with a time: a chart of one recorded state of a training, and the steps it can show.

What depends on the time keeps only the rows of the step that the parameter `at` has. Pages with a
script give that parameter a slider; wherever there is none, the chart shows the last state. The
steps stand in the specification's `usermeta`, so that whoever has the specification has them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
import numpy as np
import xarray as xr

from chymist.figures import INK, Scale, axis, plain

AT = "at"
MOST_STEPS = 500


@dataclass(frozen=True)
class Course:
    """The steps that a figure can show, rising, and what they count."""

    steps: tuple[float, ...]
    title: str


def through(chart: Any, steps: Sequence[Any], title: str = "updates") -> Any:
    """Return a chart whose states a reader can go through: at these steps, the last one first."""
    places = [plain(step) for step in np.asarray(steps).tolist()]
    moved = chart.add_params(alt.param(name=AT, value=places[-1]))
    return moved.properties(usermeta={"course": {"steps": places, "title": title}})


def course(spec: Mapping[str, Any]) -> Course | None:
    """Return the steps of a specification; None if it has none, or such as no chart has.

    >>> course({"usermeta": {"course": {"steps": [0, 10], "title": "updates"}}})
    Course(steps=(0, 10), title='updates')
    """
    kept = spec.get("usermeta")
    found = kept.get("course") if isinstance(kept, Mapping) else None
    if not isinstance(found, Mapping):
        return None
    steps, title = found.get("steps"), found.get("title")
    if not isinstance(steps, list) or not isinstance(title, str):
        return None
    numbers = all(type(s) in (int, float) and math.isfinite(s) for s in steps)
    if not numbers or not 2 <= len(steps) <= MOST_STEPS or sorted(set(steps)) != steps:
        return None
    return Course(tuple(steps), title)


def states(along: str, over: str, **columns: xr.DataArray) -> alt.Chart:
    """Return a chart of curves over one dimension, one row of data a curve and state.

    A row has the values of a whole curve, with four digits, so that a state costs a few bytes a
    point; they are laid out for the state that is shown. Fields: the names of `columns`, `over`,
    and the other dimensions.
    """
    data = xr.broadcast(xr.Dataset({n: a.reset_coords(drop=True) for n, a in columns.items()}))[0]
    others = [str(d) for d in data.dims if d != over]
    rows = []
    for place in np.ndindex(*(data.sizes[d] for d in others)):
        one = data.isel(dict(zip(others, place, strict=True)))
        row: dict[str, Any] = {d: plain(one[d].values[()]) for d in others}
        rows.append(row | {name: _short(one[name].values) for name in columns})
    places = json.dumps([plain(v) for v in data[over].values.tolist()])
    return (
        alt.Chart(alt.Data(values=rows))
        .transform_filter(f"datum.{along} == {AT}")
        .transform_calculate(**{over: places})
        .transform_flatten([over, *columns])
    )


def cursor(x_title: str, x_scale: Scale = "linear", least: float = 0) -> alt.Chart:
    """Draw a vertical rule at the step that is shown, for a layer under curves over the steps.

    On a logarithmic scale `least` is where step 0 stands.
    """
    return (
        alt.Chart(alt.Data(values=[{}]))
        .transform_calculate(now=f"max({AT}, {least})")
        .mark_rule(color=INK, strokeWidth=1.5)
        .encode(x=alt.X(**axis("now", x_title, x_scale)))
    )


def _short(values: np.ndarray[Any, Any]) -> list[float | None]:
    return [float(f"{v:.4g}") if math.isfinite(v) else None for v in values.astype(float)]

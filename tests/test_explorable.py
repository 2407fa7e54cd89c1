"""A chart with a time: what it holds, what it shows, and what is no such chart."""

import json

import altair as alt
import numpy as np
import pytest
import xarray as xr
from vl_convert import vegalite_to_vega

from chymist import explorable, figures
from chymist.rendering import render

X = np.linspace(-1, 1, 5)
STEPS = [0, 3, 20]
CURVES = xr.DataArray(
    [[[t * x + c for x in X] for t in STEPS] for c in (0.0, 0.123456)],
    {"of": ["a", "b"], "frame": STEPS, "x": X},
    ("of", "frame", "x"),
)


def chart():
    lines = explorable.states("frame", "x", y=CURVES).mark_line().encode(x="x:Q", y="y:Q")
    shown = explorable.cursor("updates", "log", least=1)
    return explorable.through(alt.concat(lines.encode(color="of:N"), shown), STEPS)


def test_a_state_is_a_row_of_four_digits_and_the_last_one_is_shown():
    spec = figures.themed(chart())
    rows = spec["concat"][0]["data"]["values"]
    assert len(rows) == 6 and rows[-1]["y"] == [-19.88, -9.877, 0.1235, 10.12, 20.12]
    assert explorable.course(spec) == explorable.Course((0, 3, 20), "updates")
    assert [p for p in spec["params"] if p["name"] == "at"] == [{"name": "at", "value": 20}]
    compiled = json.dumps(vegalite_to_vega(spec))
    assert "datum.frame == at" in compiled


@pytest.mark.parametrize("step", STEPS)
def test_what_is_drawn_is_the_state_that_is_asked_for(step):
    spec = figures.themed(chart())
    next(p for p in spec["params"] if p["name"] == "at")["value"] = step
    spec["concat"][0]["encoding"]["y"]["scale"] = {"domain": [-20, 20]}
    drawn = render(spec, "svg").decode()
    spec["concat"][0]["data"]["values"] = [
        {"frame": step, "of": str(of), "y": CURVES.sel(of=of, frame=step).values.tolist()}
        for of in CURVES.of.values
    ]
    alone = render(spec, "svg").decode()
    assert drawn.count("mark-line") == alone.count("mark-line") == 2
    assert len(drawn) == pytest.approx(len(alone), rel=0.02)


@pytest.mark.parametrize(
    "found",
    [None, [], {"steps": [1]}, {"steps": [1, 2]}, {"steps": [2, 1], "title": "updates"},
     {"steps": [1, 1], "title": "updates"}, {"steps": [1, "2"], "title": "updates"},
     {"steps": [1, float("nan")], "title": "updates"}, {"steps": [1, 2], "title": 3},
     {"steps": list(range(10_000)), "title": "updates"}],
)  # fmt: skip
def test_what_is_no_course_is_none(found):
    assert explorable.course({"usermeta": {"course": found}}) is None


def test_what_is_not_finite_is_left_out():
    curve = xr.DataArray([[1.0, np.nan]], {"frame": [0], "x": [0, 1]}, ("frame", "x"))
    made = explorable.states("frame", "x", y=curve).mark_line().to_dict()
    assert made["data"]["values"] == [{"frame": 0, "y": [1.0, None]}]

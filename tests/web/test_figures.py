"""Figures that answer: what is added to a specification, and what is done with it in a browser."""

import copy
import json

import altair as alt
import numpy as np
import pytest
import xarray as xr
from vl_convert import vegalite_to_vega

from chymist import figures
from chymist.rendering import render
from chymist.web.interaction import interactive

pytestmark = pytest.mark.slow

SEEDS = xr.DataArray(
    np.arange(1.0, 13).reshape(2, 2, 3),
    {"lr": [0.1, 0.2], "seed": [0, 1], "step": [1, 2, 3]},
    ("lr", "seed", "step"),
)


def measured(**words):
    return figures.measured(SEEDS, "step", title="loss", x_title="updates", colour="lr", **words)


def test_lines_are_read_at_the_nearest_point_with_the_range_of_seeds():
    spec = figures.themed(alt.hconcat(measured(), measured(scale="log")))
    before = copy.deepcopy(spec)
    made = interactive(spec)
    assert spec == before
    near = made["hconcat"][0]["layer"][-1]
    assert [t["title"] for t in near["encoding"]["tooltip"]] == [
        "updates", "loss", "lr", "smallest of the seeds", "largest of the seeds",
    ]  # fmt: skip
    compiled = json.dumps(vegalite_to_vega(made))
    assert compiled.count("voronoi") >= 2
    # Each field is looked for where the nearest point has it.
    assert "truncate(datum.datum[" in compiled
    names = [p["name"] for view in made["hconcat"] for unit in view["layer"]
             for p in unit.get("params", [])]  # fmt: skip
    assert len(names) == len(set(names)) == 4
    spec["hconcat"][0]["layer"][1]["mark"]["clip"] = True
    assert interactive(spec)["hconcat"][0]["layer"][-1]["mark"]["clip"] is True
    # The still picture is the same: nothing is near anything, and nothing is moved.
    assert render(made, "svg").count(b"mark-line") == render(spec, "svg").count(b"mark-line")


def test_dots_and_cells_are_read_themselves():
    dots = figures.themed(figures.scatter(SEEDS.isel(lr=0), "step", title="loss", x_title="t"))
    made = interactive(dots)["layer"][0]
    assert [t["field"] for t in made["encoding"]["tooltip"]] == ["step", "value"]
    words = {"title": "loss", "x_title": "t", "y_title": "lr"}
    cells = interactive(figures.themed(figures.heat_map(SEEDS, "step", "lr", **words)))
    assert [t["title"] for t in cells["encoding"]["tooltip"]] == ["t", "lr", "loss"]
    assert "params" not in cells


@pytest.mark.parametrize("spec", [{}, {"mark": "line"}, {"layer": 3}, {"hconcat": [1, {}]},
    {"mark": "line", "encoding": []}, {"layer": [{"mark": {"type": 1}, "encoding": {"x": 2}}]}],
)  # fmt: skip
def test_what_is_unusual_stays(spec):
    assert {n: v for n, v in interactive(spec).items() if n != "config"} == {
        n: v for n, v in spec.items() if n != "config"
    } or "encoding" in json.dumps(interactive(spec))


def test_only_what_a_run_or_the_evidence_has_is_handed_out(laboratory):
    sealed, begun = laboratory.house.sealed, laboratory.house.begun
    answer = laboratory("GET", f"/runs/{sealed}/figures/means.json")
    assert answer.status == 200 and "tooltip" in answer.text
    for target in (
        f"/runs/{sealed}/figures/other.json",
        f"/runs/{begun}/figures/means.json",
        "/evidence/sgd-escape/quick/other.json",
        "/evidence/sgd-escape/nosuch/course.json",
        "/evidence/nosuch/quick/course.json",
    ):
        assert laboratory("GET", target).status == 404


@pytest.fixture
def page(browser, served):
    """A page of the served atlas; nothing may be asked for elsewhere, and no script may fail."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    opened, asked, wrong = context.new_page(), [], []
    context.on("request", lambda request: asked.append(request.url))
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.on("console", lambda said: wrong.append(said.text))
    opened.goto(served.address)
    opened.wait_for_url(f"{served.base}/")
    yield opened
    assert not [url for url in asked if not url.startswith((f"{served.base}/", "data:"))]
    assert not [words for words in wrong if "status of 404" not in words]
    context.close()


def test_a_slider_goes_through_a_training_and_the_address_says_where_it_stands(page, served):
    page.goto(f"{served.base}/studies/sgd-escape")
    figure = page.locator("figure", has=page.locator("[data-course]"))
    figure.scroll_into_view_if_needed()
    live = figure.locator(".alive svg")
    live.wait_for(timeout=60_000)
    slider, last = figure.get_by_role("slider"), live.inner_html()
    slider.focus()
    slider.press("Home")
    figure.locator("output", has_text="0").wait_for()
    page.wait_for_url("**/studies/sgd-escape?at-course=0")
    for _ in range(3):
        slider.press("ArrowRight")
    page.wait_for_url("**/studies/sgd-escape?at-course=3")
    assert slider.get_attribute("aria-valuetext") == "3 updates"
    moved = live.inner_html()
    assert moved != last
    page.reload()
    live.wait_for(timeout=60_000)
    page.wait_for_function("() => !document.querySelector('.alive').hidden")
    assert figure.locator("output").inner_text() == "3"
    assert live.inner_html() == moved
    figure.get_by_role("button", name="Play").click()
    page.wait_for_function("() => Number(document.querySelector('output').textContent) > 6")
    figure.get_by_role("button", name="Play").click()
    assert figure.get_by_role("button", name="Play").get_attribute("aria-pressed") == "false"


def test_values_are_read_and_a_view_is_zoomed_where_the_pointer_is(page, served):
    # Shown smaller than it is drawn, so that places on the screen and in the picture differ.
    page.set_viewport_size({"width": 390, "height": 800})
    page.goto(f"{served.base}/studies/sgd-escape")
    assert page.locator(".alive").count() == 0
    figure = page.locator("figure").first
    figure.get_by_role("button", name="Read values").click()
    live = figure.locator(".alive svg")
    live.wait_for(timeout=60_000)
    live.scroll_into_view_if_needed()
    dot = live.locator(".mark-symbol.role-mark path").first
    before = dot.bounding_box()
    middle = (before["x"] + before["width"] / 2, before["y"] + before["height"] / 2)
    page.mouse.move(*middle)
    page.locator("#vg-tooltip-element.visible", has_text="share that escapes").wait_for()
    page.keyboard.down("Control")
    page.mouse.wheel(0, -300)
    page.keyboard.up("Control")
    page.wait_for_timeout(300)
    after = dot.bounding_box()
    # What is under the pointer stays there.
    assert abs(after["x"] - before["x"]) < 3 and abs(after["y"] - before["y"]) < 3
    assert live.inner_html().count("clip-path") > 0

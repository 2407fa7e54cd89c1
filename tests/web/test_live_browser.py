"""A run that is watched in a real browser: what is drawn of it while it is computed."""

import io
import re

import numpy as np
import pytest
from PIL import Image
from web_server import Serving

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A server with a study that trains."""
    server = Serving(tmp_path_factory.mktemp("live") / "lab", studies=("fit.py",))
    yield server
    assert "Traceback" not in server.end()


@pytest.fixture
def page(browser, served):
    """A page of it; no script may fail, and nothing may be asked for elsewhere."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(40_000)
    opened = context.new_page()
    asked, wrong = [], []
    context.on("request", lambda request: asked.append(request.url))
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.goto(served.address)
    opened.wait_for_url(f"{served.base}/")
    yield opened
    assert not wrong
    assert all(url.startswith((f"{served.base}/", "data:")) for url in asked)
    context.close()


def points(page):
    """Return how many points the curves of a page have."""
    paths = page.locator(".panels > figure > svg path.curve").all()
    return sum(len(re.findall("[ML]", path.get_attribute("d"))) for path in paths)


def test_points_come_before_the_verdict_and_reloading_keeps_them(page, served, soon):
    page.goto(f"{served.base}/studies/fit")
    page.get_by_text("7 parameters").click()
    page.locator("#p-rounds").fill("12")
    page.locator("#p-pause").fill("0.6")
    page.get_by_role("button", name="Run it").click()
    drawn = page.locator(".panels > figure")
    drawn.first.wait_for()
    assert [f.locator("figcaption").inner_text() for f in drawn.all()] == [
        "training loss over all samples",
        "ends",
    ]
    assert "newest value" in drawn.first.locator("svg[role=img]").get_attribute("aria-label")
    page.locator(".frames img").nth(3).wait_for()
    assert page.locator(".overall").count() == 0
    soon(lambda: points(page) > 100)
    rounds = page.locator(".frames th[scope=row]").count()
    page.reload()
    page.locator(".panels > figure").first.wait_for()
    # What came before the page was loaded is there again, and goes on.
    assert page.locator(".frames th[scope=row]").count() >= rounds
    before = points(page)
    assert before > 100
    soon(lambda: points(page) > before)
    page.set_viewport_size({"width": 360, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.get_by_role("button", name="Stop it").click()
    page.get_by_text("chunks are kept").wait_for()


def test_a_sweep_is_asked_for_in_the_form_and_a_bad_value_is_named(page, served):
    page.goto(f"{served.base}/studies/fit")
    page.get_by_text("7 parameters").click()
    page.locator("#p-steps").fill("5, many")
    page.get_by_role("button", name="Run it").click()
    page.locator("#h-steps .wrong", has_text="steps cannot be 'many'").wait_for()
    page.locator("#p-steps").fill("5, 10")
    page.get_by_role("button", name="Run it").click()
    page.locator("#downloads").wait_for()
    page.get_by_text("Open in Python").click()
    assert "Lab(" in page.locator("#downloads pre").inner_text()
    assert "--sweep steps=5,10" in page.content()


def test_a_picture_of_ones_own_fills_in_as_networks_draw_it(page, served):
    page.goto(f"{served.base}/studies/image-memorisation")
    picture = io.BytesIO()
    x = np.linspace(0, 255, 64)
    Image.fromarray(np.add.outer(x, x[::-1]).astype(np.uint8) // 2 * 2).save(picture, "PNG")
    file = {"name": "mine.png", "mimeType": "image/png", "buffer": picture.getvalue()}
    page.get_by_label("Your own file").set_input_files(file)
    page.locator("summary").first.click()
    for name, value in (("width", "4"), ("frequencies", "4"), ("steps", "3000")):
        page.locator(f"#p-{name}").fill(value)
    page.locator("#p-network").fill("none")
    page.get_by_role("button", name="Run it").click()
    frame = page.locator(".frames img")
    frame.nth(1).wait_for()
    assert frame.first.get_attribute("src").startswith("data:image/png;base64,")
    assert re.fullmatch(r"none.* after \d+ updates", frame.first.get_attribute("alt"))
    assert frame.first.evaluate("image => image.naturalWidth") == 64
    page.get_by_role("button", name="Stop it").click()
    page.get_by_text("chunks are kept").wait_for()

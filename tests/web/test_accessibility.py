"""What a reader meets who does not see the pages, sees them with little contrast, or has no mouse.

axe-core looks at every kind of page in a real browser; the kinds come from the table of routes.
"""

from importlib import resources

import pytest
from web_server import ROOT, STUDIES, at

import chymist
from chymist.doctor.chart import Chart, Reading
from chymist.doctor.checkup import Checkup
from chymist.doctor.finding import Finding
from chymist.languages import LANGUAGES
from chymist.web.app import routes
from chymist.web.choices import COOKIES
from chymist.web.site import build

pytestmark = pytest.mark.slow

AXE = resources.files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")
BAD = ("serious", "critical")
CONTROLS = "a[href], button, input:not([type=hidden]), select, summary, [tabindex='0']"


@pytest.fixture(scope="module")
def runs(served):
    """A finished, an unfinished, a failed and a watched run in the server's lab."""
    from chymist.lab import runner

    sealed = chymist.run(STUDIES / "tiny.py", lab=served.lab)
    chymist.run(STUDIES / "tiny.py", lab=served.lab, centre=1.2)
    file = str(STUDIES / "pair.py")
    begun = runner.plan(chymist.find(file), lab=served.lab, name=file)
    chart = Chart(
        {"watch": {"steps": 20, "elapsed": 3.5, "spent": 0.1}, "layers": {"0": {}, "2": {}}}
    )
    for step in (0, 20):
        chart.add("sharpness", Reading(step, {"": 15.0 + step, "0": 1.0 + step, "2": 2.0}))
    says = ("The step is too long.", "It follows from theory.", "Take a shorter step.")
    found = Finding(
        "step-size", "critical", says[0], 35.0, 20.0, "2 / lr", says[1], says[2], "condensation"
    )
    watched = Checkup((found,), chart).keep(served.lab, "mine")
    return {"sealed": sealed.id, "begun": begun.name, "watched": watched.id}


@pytest.fixture(scope="module")
def pages(served, runs):
    """An address of every kind of page: of every route that answers with one, and in each state."""
    kinds = {
        at(route.path, run)
        for route in routes()
        if "GET" in route.methods
        and not route.path.endswith(("/events", "}.svg", "}.json", "file}", "/early"))
        for run in runs.values()
    }
    more = ("/?q=nosuch", "/studies/frequency-principle", "/studies/tiny", "/studies/tiny/compare")
    return sorted({*kinds, *more, "/runs?verdict=refuted", "/nosuch"})


@pytest.fixture
def opened(browser, served):
    """Open the server in a language; return the page."""
    contexts = []

    def open_in(language):
        size = {"width": 1280, "height": 900}
        # A page that scrolls softly is not where it is going to be yet.
        context = browser.new_context(viewport=size, reduced_motion="reduce")
        context.set_default_timeout(20_000)
        contexts.append(context)
        page = context.new_page()
        page.goto(served.address)
        page.wait_for_url(f"{served.base}/")
        page.goto(f"{served.base}/?lang={language}")
        assert COOKIES["lang"] in {cookie["name"] for cookie in context.cookies()}
        return page

    yield open_in
    for context in contexts:
        context.close()


def wrong(page):
    """Return what axe-core objects to: everything in light, and contrast in the dark."""
    page.evaluate(AXE)
    found = []
    for theme, only in (("light", None), ("dark", ["color-contrast"])):
        page.evaluate("theme => document.documentElement.dataset.theme = theme", theme)
        options = {"resultTypes": ["violations"]}
        if only:
            options["runOnly"] = {"type": "rule", "values": only}
        told = page.evaluate("options => axe.run(document, options)", options)
        found += [
            (theme, one["impact"], one["id"], node["html"][:200], node["failureSummary"][:300])
            for one in told["violations"]
            for node in one["nodes"]
            if one["impact"] in BAD
        ]
    return found


@pytest.mark.parametrize("language", LANGUAGES)
def test_axe_objects_to_no_page(language, opened, pages, served):
    page = opened(language)
    said = {}
    for path in pages:
        page.goto(served.base + path)
        page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
        if found := wrong(page):
            said[path] = found
    assert said == {}
    page.goto(f"{served.base}/studies/tiny")
    page.locator("summary").first.click()
    page.locator("#p-centre").fill("eleven")
    page.locator("button.main").click()
    page.locator("[aria-invalid]").wait_for()
    assert wrong(page) == []


def test_axe_objects_to_no_file(browser, runs, served, tmp_path):
    build(tmp_path / "site", ROOT / "docs" / "evidence")
    report = served.lab / "runs" / runs["sealed"] / "report.html"
    files = [report, *(tmp_path / "site" / name for name in ("index.html", "zh/index.html"))]
    files += [tmp_path / "site" / lang / "studies/frequency-principle.html" for lang in ("", "zh")]
    context = browser.new_context()
    page = context.new_page()
    for file in files:
        page.goto(file.as_uri())
        assert wrong(page) == [], file
    context.close()


@pytest.mark.parametrize("path", ["/", "/studies/tiny", "/runs", "sealed", "begun"])
def test_every_control_is_reached_by_keyboard_in_order_and_shows_it(path, opened, runs, served):
    page = opened("en")
    page.goto(f"{served.base}/runs/{runs[path]}" if path in runs else served.base + path)
    page.evaluate(
        "selector => [...document.querySelectorAll(selector)].filter(e => e.checkVisibility())"
        ".forEach((e, i) => e.dataset.place = i)",
        CONTROLS,
    )
    expected = page.locator("[data-place]").count()
    seen = []
    for _ in range(expected):
        page.keyboard.press("Tab")
        told = page.evaluate(
            """() => {
                const e = document.activeElement, box = e.getBoundingClientRect();
                const ring = (one) => one && getComputedStyle(one).outlineStyle !== 'none';
                return {place: Number(e.dataset.place), what: e.outerHTML.slice(0, 120),
                        ring: ring(e) || ring(e.closest('.card')),
                        seen: box.width > 0 && box.bottom > 0 && box.top < innerHeight};
            }"""
        )
        assert told["ring"] and told["seen"], told
        seen.append(told["place"])
    assert seen == list(range(expected))
    assert expected > 8

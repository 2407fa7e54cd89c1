"""The static site: the same pages, from files alone."""

import json
import re

import pytest
from web_server import ROOT

from chymist import catalogue
from chymist.cli import execute
from chymist.errors import UsageError
from chymist.web.site import LIST, build

EVIDENCE = ROOT / "docs" / "evidence"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site") / "atlas"
    build(folder, EVIDENCE)
    return folder


def test_every_study_has_its_page_and_every_link_leads_somewhere(site):
    pages = sorted(site.rglob("*.html"))
    for folder in (site, site / "zh"):
        names = {page.name for page in folder.glob("studies/*.html")}
        assert {f"{entry.slug}.html" for entry in catalogue.entries()} <= names
    for page in pages:
        text = page.read_text()
        for link in re.findall(r'(?:href|src)="([^"]+)"', text):
            if link.startswith(("https://", "data:")):
                continue
            place, _, anchor = link.partition("#")
            target = (page.parent / place).resolve() if place else page
            assert site.resolve() in target.parents and target.is_file(), (page, link)
            if anchor:
                assert f'id="{anchor}"' in target.read_text(), (page, link)


def test_nothing_is_sent_and_nothing_loaded_from_elsewhere(site):
    for page in site.rglob("*.html"):
        text = page.read_text()
        assert "<form" not in text
        assert not re.search(r'<script(?![^>]* src=| type="application/json")', text), page
        loads = re.findall(r"<(?:link|img|script)[^>]* (?:src|href|data-library)=\"([^\"]+)", text)
        assert loads and not [one for one in loads if re.match(r"[a-z]+:(?!,)|/", one)]


def test_evidence_shows(site):
    text = (site / "studies" / "frequency-principle.html").read_text()
    record = json.loads((EVIDENCE / "frequency-principle.json").read_text())["presets"]["quick"]
    assert "Committed evidence, preset quick" in text and record["made"] in text
    assert text.count("<figure") == len(record["figures"])


def test_a_page_that_is_a_file_goes_through_a_training(site, browser):
    context = browser.new_context(viewport={"width": 390, "height": 800})
    page, asked, wrong = context.new_page(), [], []
    context.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda said: wrong.append(said.text))
    page.goto((site / "studies" / "sgd-escape.html").as_uri() + "?at-course=20")
    figure = page.locator("figure", has=page.locator("[data-course]"))
    figure.scroll_into_view_if_needed()
    figure.locator(".alive svg").wait_for(timeout=60_000)
    assert figure.locator("output").inner_text() == "20"
    before = figure.locator(".alive svg").inner_html()
    figure.locator("input").press("ArrowRight")
    figure.locator("output", has_text="21").wait_for()
    page.wait_for_url("**/sgd-escape.html?at-course=21")
    assert figure.locator(".alive svg").inner_html() != before
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert not wrong and all(u.startswith((site.as_uri(), "data:")) for u in asked)
    context.close()


def test_a_site_is_replaced_and_nothing_else_is(site, tmp_path, refused):
    old = json.loads((site / LIST).read_text())
    (site / "mine.html").write_text("mine")
    (site / "studies" / "gone.html").write_text("old")
    (site / LIST).write_text(json.dumps({**old, "files": [*old["files"], "studies/gone.html"]}))
    build(site, EVIDENCE)
    assert (site / "mine.html").read_text() == "mine"
    assert not (site / "studies" / "gone.html").exists()
    (site / "mine.html").unlink()
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "a.txt").write_text("a")
    line = refused("atlas", "build", tmp_path / "letters")
    assert "holds something else" in line and "empty folder" in line
    assert [p.name for p in (tmp_path / "letters").iterdir()] == ["a.txt"]


def test_a_list_that_leads_out_is_not_followed(site, tmp_path):
    folder = tmp_path / "site"
    folder.mkdir()
    (tmp_path / "secret.html").write_text("mine")
    names = ["../secret.html"]
    (folder / LIST).write_text(json.dumps({"site": "chymist atlas", "files": names}))
    with pytest.raises(UsageError):
        build(folder, EVIDENCE)
    assert (tmp_path / "secret.html").is_file()


def test_the_verb_prints_the_first_page(tmp_path, capsys):
    assert execute(["atlas", "build", str(tmp_path / "out"), "--evidence", str(EVIDENCE)]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "out" / "index.html")


def test_the_site_in_a_browser_asks_for_its_own_files_alone(site, browser):
    context = browser.new_context(viewport={"width": 360, "height": 800})
    page, asked, wrong = context.new_page(), [], []
    context.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda said: wrong.append(said.text))
    page.goto((site / "index.html").as_uri())
    page.get_by_role("link", name="Networks learn low frequencies first").click()
    page.get_by_role("heading", name="Networks learn low frequencies first").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert page.evaluate("getComputedStyle(document.body).margin") == "0px"  # the sheet is there
    page.get_by_role("button", name="Dark").click()
    page.get_by_role("link", name="中文").click()
    page.get_by_role("heading", name="网络先学低频").wait_for()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 24, 29)"
    assert not wrong
    assert len(asked) > 4 and all(u.startswith((site.as_uri(), "data:")) for u in asked)
    context.close()

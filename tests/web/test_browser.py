"""The pages in a real browser: what a reader does, and that nothing is asked of other machines."""

import re

import pytest

from chymist import catalogue

pytestmark = pytest.mark.slow


@pytest.fixture
def page(browser, served):
    """A page of the served atlas; nothing may be asked for elsewhere, and no script may fail."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(20_000)
    opened = context.new_page()
    asked, wrong = [], []
    context.on("request", lambda request: asked.append(request.url))
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
    enter(opened, served)
    yield opened
    elsewhere = [url for url in asked if not url.startswith((f"{served.base}/", "data:"))]
    assert not elsewhere and len(asked) > 3
    assert not [words for words in wrong if "status of 4" not in words]
    context.close()


def enter(page, served):
    page.goto(served.address)
    page.wait_for_url(f"{served.base}/")


def test_a_study_is_found_run_and_its_verdict_appears(page, served):
    page.get_by_label("Search").fill("draws mean")
    page.get_by_role("button", name="Show").click()
    page.get_by_role("link", name="Draws have a mean").click()
    page.get_by_text("4 parameters").click()
    page.get_by_label("centre").fill("0.9")
    page.get_by_role("button", name="Run it").click()
    # Nobody loads the page again: it does when the run is finished.
    page.get_by_text("The claim is supported.").wait_for()
    assert re.fullmatch(rf"{served.base}/runs/[0-9a-z]{{26}}", page.url)
    page.get_by_text("changed from 1", exact=True).wait_for()
    page.get_by_text("Downloads").last.click()
    with page.expect_download() as download:
        page.get_by_role("link", name="verdicts.json").click()
    assert download.value.suggested_filename.startswith("tiny-")
    page.get_by_role("link", name="Lab").click()
    page.get_by_role("link", name="Draws have a mean").wait_for()


def test_a_bad_parameter_is_named_beside_its_field(page, served):
    page.goto(f"{served.base}/studies/tiny")
    page.get_by_text("4 parameters").click()
    page.get_by_label("centre").fill("eleven")
    page.get_by_role("button", name="Run it").click()
    field = page.get_by_label("centre")
    assert field.input_value() == "eleven"
    assert field.get_attribute("aria-invalid") == "true"
    told = page.locator(f"#{field.get_attribute('aria-describedby')}").inner_text()
    assert told.startswith("centre cannot be 'eleven': allowed: number from -10 to 10")


def test_a_bad_file_is_named_beside_its_field(page, served):
    page.goto(f"{served.base}/studies/tiny")
    file = {"name": "mine.csv", "mimeType": "text/csv", "buffer": b"x,y\n1,one\n"}
    page.get_by_label("Your own file").set_input_files(file)
    page.get_by_role("button", name="Run it").click()
    page.locator("#h-file .wrong", has_text="row 2: 'one' is not a number").wait_for()


def test_a_run_is_followed_reloaded_and_stopped(page, served):
    page.goto(f"{served.base}/studies/pair")
    page.get_by_text("4 parameters").click()
    page.get_by_label("width").fill("4")
    page.get_by_label("pause").fill("0.7")
    page.get_by_role("button", name="Run it").click()
    page.locator("[data-count]", has_text=re.compile("[1-3] of 4")).wait_for()
    assert re.search(r"about \d+ s left", page.locator("[data-left]").inner_text())
    page.reload()
    page.locator("[data-doing]", has_text=re.compile(r"waiting, \d+ of 70")).wait_for()
    page.get_by_role("button", name="Stop it").click()
    page.get_by_text(re.compile(r"Stopped: [1-3] of 4 chunks are kept\.")).wait_for()
    page.get_by_role("button", name="Resume").wait_for()


def test_closing_the_page_and_ending_the_server_lose_nothing(page, served):
    page.goto(f"{served.base}/studies/pair")
    page.get_by_text("4 parameters").click()
    page.get_by_label("width").fill("4")
    page.get_by_label("pause").fill("0.7")
    page.get_by_role("button", name="Run it").click()
    page.locator("[data-count]", has_text=re.compile("[1-3] of 4")).wait_for()
    run = page.url
    page.goto("about:blank")
    assert "Traceback" not in served.end()
    served.start()
    enter(page, served)
    page.goto(run)
    page.get_by_text(re.compile(r"Unfinished: [1-3] of 4 chunks are kept\.")).wait_for()
    page.get_by_role("button", name="Resume").click()
    page.get_by_text("All 2 claims are supported.").wait_for()


@pytest.mark.parametrize("width", [360, 1280])
def test_no_page_is_wider_than_the_screen(page, served, width):
    page.set_viewport_size({"width": width, "height": 800})
    studies = [f"/studies/{entry.slug}" for entry in catalogue.entries()]
    studies = studies if width < 1000 else studies[:2]
    for path in ("/", *studies, "/runs", "/nosuch"):
        page.goto(served.base + path, wait_until="domcontentloaded")
        if path.startswith("/studies"):
            page.locator("summary").first.click()
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path


def test_everything_is_reached_by_keyboard_and_has_a_name(page, served):
    for path in ("/", "/studies/tiny", "/runs"):
        page.goto(served.base + path)
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
        page.keyboard.press("Enter")
        page.wait_for_url("**#main")
        nameless = page.evaluate(
            "[...document.querySelectorAll('a, button, input:not([type=hidden]), select')]"
            ".filter((e) => !(e.textContent.trim() || e.getAttribute('aria-label')"
            " || (e.labels && e.labels.length))).map((e) => e.outerHTML)"
        )
        assert not nameless
        assert page.locator("h1").count() == 1


def test_language_and_theme_are_chosen_in_place_and_kept(page, served):
    page.goto(f"{served.base}/runs?study=tiny")
    page.get_by_role("link", name="中文").click()
    page.get_by_role("heading", name="实验室").wait_for()
    assert page.url == f"{served.base}/runs?study=tiny"
    page.get_by_role("button", name="深色").click()
    assert background(page) == DARK  # at once
    page.get_by_role("link", name="图谱").click()
    page.get_by_role("heading", name="图谱").wait_for()
    # The server knows, so nothing flashes: the page comes in its theme.
    assert re.search('<html lang="zh-Hans" data-theme="dark">', source(page))
    page.get_by_role("button", name="跟随系统").click()
    page.reload()
    assert background(page) == LIGHT
    page.get_by_role("link", name="English").click()
    page.get_by_role("heading", name="The atlas").wait_for()


def test_a_run_is_followed_in_chinese(page, served):
    page.goto(f"{served.base}/studies/pair?lang=zh&preset=quick")
    page.get_by_text("4 个参数").click()
    page.get_by_label("pause").fill("0.7")
    page.get_by_role("button", name="运行").click()
    page.locator("[data-doing]", has_text=re.compile(r"第 \d+ 步，共 70 步")).wait_for()
    assert re.search(r"大约还需 \d+ 秒", page.locator("[data-left]").inner_text())
    page.get_by_role("button", name="停止").click()
    page.get_by_text(re.compile("已停止：")).wait_for()


def test_choices_work_without_script(browser, served):
    context = browser.new_context(java_script_enabled=False, locale="zh-CN")
    page = context.new_page()
    page.goto(served.address)
    page.wait_for_url(f"{served.base}/")
    page.goto(f"{served.base}/?q=mean")
    page.get_by_role("button", name="深色").click()
    page.locator('html[data-theme="dark"]').wait_for()
    assert page.url == f"{served.base}/?q=mean"
    page.get_by_role("link", name="English").click()
    page.get_by_role("heading", name="The atlas").wait_for()
    context.close()


LIGHT, DARK = "rgb(253, 252, 250)", "rgb(20, 24, 29)"


def background(page):
    return page.evaluate("getComputedStyle(document.body).backgroundColor")


def source(page):
    return page.context.request.get(page.url).text()

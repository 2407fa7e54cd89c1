"""Two languages: every text of the pages is translated, and no English is left unmarked."""

import re
import string
from html import unescape

import pytest
import web_texts as texts
from page_text import unmarked
from web_server import RIGHT

from chymist import catalogue, languages
from chymist.doctor.chart import Chart, Reading
from chymist.doctor.checkup import Checkup
from chymist.doctor.finding import Finding

OTHERS = [code for code in languages.LANGUAGES if code != languages.SOURCE]
HOW = "write its translation into src/chymist/messages.{}.toml"


@pytest.fixture(scope="module")
def watched(laboratory):
    """The page of a watched training with a finding."""
    chart = Chart({"watch": {"steps": 20, "elapsed": 3.5, "spent": 0.1}, "loss": "MSE"})
    for step in (0, 20):
        chart.add("sharpness", Reading(step, {"": 15.0 + step, "0": 1.0, "2": 2.0}))
    words = ("It is large.", "It follows.", "Take less.")
    found = Finding("step-size", "critical", words[0], 35.0, 20.0, "2 / lr", *words[1:], "swift")
    return Checkup((found,), chart).keep(laboratory.house.reading.lab.folder, "adam").id


@pytest.mark.parametrize("language", OTHERS)
def test_every_text_has_a_translation_and_every_translation_a_text(language):
    said = {*texts.marked(), *texts.words(), *texts.atlas()}
    tables = languages.catalogue(language)
    known = [text for name in ("pages", "words", "atlas") for text in tables[name]]
    assert said - {*known} == set(), HOW.format(language)
    assert {*known} - said == set(), "nobody says this any more"
    assert len(known) == len({*known})


@pytest.mark.parametrize("language", OTHERS)
def test_every_refusal_and_range_has_a_translation(language):
    refusals, ranges = {*texts.refusals()}, {*texts.ranges()}
    lines = languages.catalogue(language)["lines"]
    with languages.speaking(language):
        told = [line.replace("{}", "x1") for line in refusals]
        told += [line for line in ranges if re.search("[a-z]{3}", line)]
        assert [line for line in told if not languages.is_said(line)] == []
    patterns = [re.compile(".+".join(map(re.escape, key.split("{}")))) for key in lines]
    every = [*told, *texts.hints(), *texts.regions()]
    for key, pattern in zip(lines, patterns, strict=True):
        assert any(pattern.fullmatch(part) for line in every for part in texts.parts(line)), key


@pytest.mark.parametrize("language", OTHERS)
def test_translations_keep_values_and_markup(language):
    tables = languages.catalogue(language)
    for name in ("pages", "words", "atlas"):
        for text, translation in tables[name].items():
            given = {**dict.fromkeys(re.findall(r"%\((\w+)\)s", text), "1"), "month": "2"}
            if given.keys() - {"month"}:
                translation % given
            assert sorted(re.findall("<[^>]+>", text)) <= sorted(re.findall("<[^>]+>", translation))
    for line, translation in tables["lines"].items():
        places = {name for _, name, _, _ in string.Formatter().parse(translation) if name}
        assert places == {str(i) for i in range(line.count("{}"))}, line


@pytest.mark.parametrize("language", OTHERS)
def test_no_english_is_left_unmarked(language, laboratory, watched):
    house = laboratory.house
    slugs = [entry.slug for entry in catalogue.entries()]
    pages = {
        *("/", "/?q=nosuch", "/runs", "/runs?verdict=refuted", "/runs?page=x", "/nosuch"),
        *(f"/studies/{slug}" for slug in [*slugs, "nosuch"]),
        *("/studies/tiny", "/studies/tiny/compare", "/studies/pair/compare"),
        *(f"/runs/{run}" for run in (house.sealed, house.begun, watched, "0" * 26)),
        *(f"/runs/{house.begun}/early", f"/runs/{house.sealed}/nosuch.txt"),
    }
    left, shelf = {}, [house.shelf.study(own) for own in ("tiny", "pair")]
    for page in sorted(pages):
        text = laboratory("GET", page, spoken(language)).text
        if not page.endswith("/early"):
            assert f'<html lang="{languages.TAGS[language]}"' in text, page
        if english := unmarked(text, shelf):
            left[page] = english
    assert left == {}


def test_a_wrong_form_is_told_of_in_the_readers_language(laboratory):
    answer = laboratory("POST", "/studies/tiny/runs", spoken("zh"), b"preset=quick&centre=x")
    assert answer.status == 422 and "centre 不能是 'x'：允许 -10 到 10 的数" in unescape(
        answer.text
    )
    assert unmarked(answer.text, [laboratory.house.shelf.study("tiny")]) == []


def test_a_first_visit_goes_by_the_browser_and_a_choice_is_kept(laboratory):
    def language(headers):
        return re.search('<html lang="([^"]+)"', laboratory("GET", "/runs", headers).text)[1]

    asks = ("accept-language", "zh-CN,zh;q=0.9,en;q=0.8")
    assert language(RIGHT) == "en" and language([*RIGHT, asks]) == "zh-Hans"
    answer = laboratory("GET", "/runs?study=tiny&lang=zh&page=1", RIGHT)
    assert answer.status == 303
    assert answer.header("location") == "/runs?study=tiny&page=1"
    kept = answer.header("set-cookie")
    assert kept == ("chymist-language=zh; HttpOnly; Max-Age=31536000; Path=/; SameSite=strict")
    assert language([*RIGHT, ("cookie", "chymist-language=zh")]) == "zh-Hans"
    assert language([*RIGHT, asks, ("cookie", "chymist-language=en")]) == "en"
    assert language([*RIGHT, ("cookie", "chymist-language=xx")]) == "en"


def test_a_choice_leads_nowhere_else(laboratory):
    for target in ("//evil.example/?lang=zh", "/\\evil.example?lang=zh", "/%2f/evil?theme=dark"):
        answer = laboratory("GET", target)
        assert answer.status == 303
        assert re.match(r"/[^/\\]", answer.header("location")), target
    assert laboratory("GET", "/?lang=zh", [RIGHT[0]]).status == 401
    for ignored in ("/?lang=xx", "/?theme=pink", "/?lang="):
        assert laboratory("GET", ignored).status == 200


def test_refusals_before_the_pages_speak_too(laboratory):
    zh = [("accept-language", "zh")]
    assert "请打开 chymist serve" in laboratory("GET", "/", [RIGHT[0], *zh]).text
    assert "只应答 127.0.0.1" in laboratory("GET", "/", [("host", "evil.example"), *zh]).text


def test_stories_are_told_in_the_readers_language(laboratory):
    story = catalogue.story(catalogue.find("frequency-principle"), "zh").splitlines()[0]
    text = laboratory("GET", "/studies/frequency-principle", spoken("zh")).text
    assert story.strip("# ") in text and "网络先学低频" in text
    # A story that has no translation is English, and says so.
    text = laboratory("GET", "/studies/ricci-flow", spoken("zh")).text
    assert re.search(r'<h2>来龙去脉</h2>\s*<div lang="en">', text)


def spoken(language):
    return [*RIGHT, ("cookie", f"chymist-language={language}")]

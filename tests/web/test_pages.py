"""What the pages say."""

import html
import io
import json
import re
import time
import zipfile

import pytest
from web_server import ROOT, Asker

from chymist import catalogue
from chymist.doctor.chart import Chart, Reading
from chymist.doctor.checkup import Checkup
from chymist.doctor.finding import Finding
from chymist.lab import Lab
from chymist.web import reading
from chymist.web.downloads import WATCHED
from chymist.web.house import House
from chymist.web.pages import asset
from chymist.web.queue import Queue
from chymist.web.shelf import Shelf

COLOURS = {
    name: (light, dark or light)
    for name, light, dark in re.findall(
        r"--([a-z-]+): (?:light-dark\()?(#[0-9a-f]{6})(?:, (#[0-9a-f]{6})\))?;",
        asset("report.css").decode(),
    )
}
PAIRS = [
    *((text, ground) for text in ("ink", "soft", "link") for ground in ("paper", "raised")),
    *(("good", "good-tint"), ("bad", "bad-tint"), ("open", "open-tint"), ("bad", "paper")),
    *(("paper", "link"), ("paper", "ink"), ("bad", "raised")),
]


def test_every_study_is_on_the_first_page_with_its_verdict(laboratory):
    text = laboratory("GET", "/").text
    for entry in catalogue.entries():
        assert f'href="/studies/{entry.slug}"' in text
    assert "your run" in text  # of the study that the lab has a run of


def test_the_first_page_searches_and_filters(laboratory):
    def slugs(query):
        return set(re.findall(r'href="/studies/([a-z-]+)"', laboratory("GET", f"/?{query}").text))

    every = slugs("")
    assert slugs("q=photograph") == {"image-memorisation"}
    assert slugs("q=PHOTOGRAPH+detail") == {"image-memorisation"}
    assert slugs("q=nosuchword") == set()
    assert slugs("family=numbers") == {"integer-complexity", "tiny", "pair"}
    parts = [slugs(f"verdict={v}") for v in ("supported", "refuted", "inconclusive", "none")]
    assert set().union(*parts) == every and sum(map(len, parts)) == len(every)
    assert "tiny" in parts[0] and "pair" in parts[3]


@pytest.mark.parametrize("slug", [entry.slug for entry in catalogue.entries()])
def test_a_study_shows_question_formulas_form_evidence_and_references(slug, laboratory):
    study = catalogue.find(slug)
    answer = laboratory("GET", f"/studies/{slug}")
    assert answer.status == 200
    text = answer.text
    assert "<math" in text and 'class="unread"' not in text
    for name in study.params.model_fields:
        assert f'name="{name}"' in text
    assert "Committed evidence" in text
    for source in set(re.findall(r'src="(/evidence/[^"]+)"', text)):
        assert laboratory("GET", source).header("content-type") == "image/svg+xml"
    anchors = re.findall(r'\sid="([^"]+)"', text)
    assert len(anchors) == len(set(anchors))
    assert set(re.findall(r'href="#([^"]+)"', text)) <= set(anchors)


def test_a_finished_run_shows_its_report_and_an_unfinished_one_how_far_it_is(laboratory):
    sealed = laboratory("GET", f"/runs/{laboratory.house.sealed}").text
    for words in (
        "The mean is near one.",
        "Provenance",
        "<svg",
        "run.zip",
        "notebook.ipynb",
        "Log",
    ):
        assert words in sealed
    begun = laboratory("GET", f"/runs/{laboratory.house.begun}").text
    assert "0 of 8 chunks" in begun and "Resume" in begun


def test_the_page_of_a_finished_run_is_drawn_once(laboratory):
    target = f"/runs/{laboratory.house.sealed}"
    laboratory("GET", target)
    begun = time.perf_counter()
    laboratory("GET", target)
    assert time.perf_counter() - begun < 0.25


def test_a_damaged_run_is_named_on_its_page(laboratory):
    folder = laboratory.house.reading.lab.runs_folder / laboratory.house.sealed
    path = folder / "verdicts.json"
    content = path.read_bytes()
    path.write_bytes(content.replace(b"supported", b"refuted  "))
    try:
        answer = laboratory("GET", f"/runs/{laboratory.house.sealed}/report.html")
        assert answer.status == 409
        assert "verdicts.json was altered" in answer.text
    finally:
        path.write_bytes(content)


def test_the_lab_is_paged_and_refuses_what_is_no_page(laboratory):
    assert laboratory.house.sealed[-4:] in laboratory("GET", "/runs").text
    assert laboratory("GET", "/runs?page=7").status == 200
    for query in ("page=0", "page=-1", "page=x", "page=٣", "sort=nosuch", "sort=id;drop"):
        answer = laboratory("GET", f"/runs?{query}")
        assert answer.status == 422 and "Traceback" not in answer.text
    assert laboratory("GET", "/runs?study=nosuch").status == 200
    assert laboratory("GET", "/runs?verdict=%27%20OR%201").text.count("<tbody>") == 0


@pytest.mark.parametrize("scheme", range(2))
@pytest.mark.parametrize(("text", "ground"), PAIRS)
def test_contrast_is_at_least_that_of_wcag_aa(scheme, text, ground):
    shades = (luminance(COLOURS[name][scheme]) for name in (text, ground))
    high, low = sorted(shades, reverse=True)
    assert (high + 0.05) / (low + 0.05) >= 4.5


def executed(notebook):
    """Run the cells of a notebook, one after the other, and return the names they bind."""
    space = {}
    cells = [c["source"] for c in json.loads(notebook)["cells"] if c["cell_type"] == "code"]
    assert len(cells) == 4
    for source in cells:
        exec(compile(source, "notebook", "exec"), space)
    return space


def test_a_notebook_opens_the_run_that_its_page_offers(laboratory):
    run = laboratory.house.sealed
    space = executed(laboratory("GET", f"/runs/{run}/notebook.ipynb").body)
    assert space["run"].id == run and space["run"].sealed
    page = html.unescape(laboratory("GET", f"/runs/{run}").text)
    snippet = page.partition('aria-label="Python that opens this run">')[2].partition("</pre>")[0]
    found = {}
    exec(snippet, found)
    assert found["run"].id == run


def luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_a_watched_training_is_listed_shown_and_no_run_of_a_study(tmp_path):
    chart = Chart({"watch": {"steps": 20, "elapsed": 3.5, "spent": 0.1}})
    for step in (0, 20):
        chart.add("sharpness", Reading(step, {"": 15.0 + step}))
    evil = "<script>alert(1)</script>"
    said = Finding("step-size", "critical", evil, 35.0, 20.0, "2 / lr", evil, evil, "condensation")
    kept = Checkup((said,), chart).keep(tmp_path, "condensation")
    read = reading.Reading(Lab(tmp_path), ROOT / "docs" / "evidence")
    asker = Asker(House(Shelf([]), read, Queue(0), threads=1))
    try:
        listed = asker("GET", "/runs").text
        assert kept.id[-4:] in listed and "(watched)" in listed and "critical" in listed
        shown = asker("GET", f"/runs/{kept.id}")
        assert shown.status == 200 and "<svg" in shown.text
        assert "2.9 %" in shown.text and "checkup.css" in shown.text
        assert evil not in shown.text and "<style>" not in shown.text
        assert kept.id not in asker("GET", "/studies/condensation").text
        assert "your run" not in asker("GET", "/").text
        assert kept.id not in asker("GET", "/studies/condensation/compare").text
        answer = asker("GET", f"/runs/{kept.id}/early")
        assert answer.status == 422 and "watched training" in answer.text
        taken = {name: asker("GET", f"/runs/{kept.id}/{name}") for name in WATCHED}
        assert all(got.status == 200 for got in taken.values())
        assert all(f'/{name}"' in shown.text for name in WATCHED)
        disposition = taken["chart.json"].header("content-disposition")
        assert f'attachment; filename="condensation-{kept.id}-chart.json"' in disposition
        assert json.loads(taken["chart.json"].body)["readings"]["sharpness"][1]["step"] == 20
        assert "<style>" in taken["report.html"].text and evil not in taken["report.html"].text
        with zipfile.ZipFile(io.BytesIO(taken["run.zip"].body)) as archive:
            assert set(archive.namelist()) == {f"{kept.id}/run.json", f"{kept.id}/checkup.json"}
        assert asker("GET", f"/runs/{kept.id}/verdicts.json").status == 404
        space = executed(taken["notebook.ipynb"].body)
        assert space["checkup"].findings[0].severity == "critical"
    finally:
        asker.close()

"""A checkup told: lines for a terminal, and a page that needs nothing but itself."""

import math
import re
from html.parser import HTMLParser

import pytest

from chymist.doctor.chart import Chart, Reading
from chymist.doctor.checkup import Checkup
from chymist.doctor.finding import Finding
from chymist.report import checkup as told
from chymist.report import readings
from chymist.report.gauge import gauge

LAYERS = [f"body.{i}.linear" for i in range(8)]


def finding(severity="critical", **changes):
    said = {
        "rule": "step-size", "severity": severity, "says": "the step is too long", "value": 90.0,
        "threshold": 20.0, "formula": "2 / lr", "why": "It grows.", "remedy": "lr=0.02",
        "study": "edge-of-stability",
    }  # fmt: skip
    return Finding(**{**said, **changes})


def chart():
    facts = {
        "parameters": 1234, "trained": 1000, "loss": "cross_entropy", "data": {"samples": 16},
        "layers": {name: {"type": "Linear", "shape": [4, 4]} for name in LAYERS},
        "optimizer": {"rule": "SGD", "groups": 1, "lr": 0.1, "momentum": 0.9},
    }  # fmt: skip
    made = Chart(facts)
    for step in (0, 10, 20, 30):
        made.add("sharpness", Reading(step, {"": 15.0 + step}, {"": 0.5}))
        made.add("sharpness_threshold", Reading(step, {"": 20.0}))
        made.add("loss", Reading(step, {"": 1.0 if step < 20 else math.nan}))
        made.add("update_ratio", Reading(step, {n: 1e-3 * i for i, n in enumerate(LAYERS, 1)}))
    made.add("moments", Reading(0, {n: 1.5**i for i, n in enumerate(reversed(LAYERS))}))
    return made


def record(*findings, of=None):
    return Checkup(findings, chart() if of is None else of).as_json()


def test_a_healthy_training_is_told_plainly():
    lines = told.text(record()).splitlines()
    assert lines[0] == "✓ healthy: nothing above a note (no findings)"
    assert lines[1] == (
        "1,234 parameters (1,000 trained) · batch of 16 · loss cross_entropy · "
        "SGD(lr=0.1, momentum=0.9)"
    )
    assert "nothing above a note (1 note)" in told.text(record(finding("note")))
    assert told.text(record()) == str(Checkup.from_json(record()))


def test_what_could_not_be_measured_is_not_called_healthy():
    found = Checkup.of(Chart(off={"sharpness": "RuntimeError: no memory"}))
    assert (found.verdict, found.exit_code) == ("unmeasured", 3)
    shown = str(found)
    assert "switched off: sharpness: RuntimeError: no memory" in shown
    assert "nothing could be measured" in shown and "healthy" not in shown


def test_a_finding_says_number_threshold_remedy_and_study():
    shown = told.text(record(finding(error=1.5, unit="1/step size")), width=120)
    assert "✗ critical  the step is too long" in shown
    assert "measured 90 ± 1.5 1/step size, threshold 20 = 2 / lr" in shown
    assert "remedy: lr=0.02" in shown
    assert "edge-of-stability (chymist run edge-of-stability)" in shown
    assert "1 critical; mend the first one first" in shown


def test_a_finding_whose_study_is_not_built_is_marked():
    shown = told.text(record(finding(study="maximal-update")), width=120)
    assert "maximal-update (provisional: the study is not in the atlas yet)" in shown
    assert "chymist run maximal-update" not in shown


def test_what_follows_from_another_finding_says_so_instead_of_a_remedy():
    shown = told.text(record(finding(), finding("note", rule="stuck", because="step-size")))
    assert "follows from step-size" in shown
    assert shown.count("remedy") == 1


def test_layers_of_one_rule_are_told_together():
    several = [finding("warning", layer=name) for name in LAYERS]
    shown = told.text(record(*several), width=200)
    assert shown.count("the step is too long") == 1
    assert "layer body.0.linear (also body.1.linear" in shown and "and 1 more)" in shown
    assert "1 warning; mend" in shown


def test_the_table_has_every_reading_in_the_order_of_the_network():
    shown = told.table(record())
    assert re.search(r"sharpness +15 +45 +0 to 30", shown)
    assert re.search(r"loss +1 +nan +0 to 30", shown)
    rows = [line.split()[0] for line in shown.splitlines() if line.startswith("body.")]
    assert rows == LAYERS
    assert "0.008 → 0.008" in shown and "17.09" in shown


def test_lines_keep_to_the_width_and_command_no_terminal():
    odd = finding(says="a\x1b[2Jb" * 30, layer="x\x9by")
    for line in told.text(record(odd), width=60).splitlines():
        assert len(line) <= 60 and line.isprintable()


class Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.ids, self.links, self.text = [], [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        values = dict(attrs)
        self.ids += [values["id"]] if "id" in values else []
        self.links += [values[n] for n in ("href", "src") if n in values]

    def handle_data(self, data):
        self.text += data


def test_the_page_is_one_file_without_script():
    page = told.page(record(finding(error=1.0), finding("note", rule="stuck", because="step-size")))
    seen = Page(page)
    assert "script" not in seen.tags and "link" not in seen.tags
    assert all(link.startswith(("#", "data:image/")) for link in seen.links)
    assert len(seen.ids) == len(set(seen.ids))
    assert {link[1:] for link in seen.links if link.startswith("#")} <= set(seen.ids)
    assert "default-src 'none'" in page and not re.search(r"\son\w+=", page)
    for words in ("Measured 90 ± 1", "lr=0.02", "chymist run edge-of-stability"):
        assert words in seen.text, words
    for words in ("docs/atlas/edge-of-stability.md", "Training at the edge of stability."):
        assert words in seen.text, words
    assert seen.tags.count("article") == 2
    assert "Sharpness; dashed, the threshold." in seen.text
    assert "Loss; not finite from step 20 on." in seen.text


def test_the_page_treats_all_text_as_text():
    evil = "<script>alert(1)</script><img src=x onerror=1>"
    made = chart()
    made.off[evil] = evil
    made.facts["loss"] = evil
    made.add(evil, Reading(0, {evil: 1.0, f"{evil}2": 2.0}))
    odd = finding(says=evil, why=evil, remedy=evil, formula=evil, layer=evil, rule=evil, study=evil)
    seen = Page(told.page(record(odd, of=made)))
    assert "script" not in seen.tags and "img" not in seen.tags
    assert evil in seen.text


def test_the_page_of_a_healthy_and_of_an_empty_chart():
    assert "nothing above a note" in told.page(record())
    empty = told.page(record(of=Chart()))
    assert "Nothing could be measured" in empty and 'id="figures"' not in empty


def test_a_provisional_study_is_marked_and_has_no_command():
    page = told.page(record(finding(study="maximal-update")))
    assert "provisional" in page and "chymist run maximal-update" not in page


def test_each_quantity_is_drawn_with_its_threshold():
    drawn = {one.name: one for one in readings.drawn(record())}
    assert set(drawn) == {"sharpness", "loss", "update_ratio", "moments"}
    assert drawn["sharpness"].caption == "sharpness; dashed, the threshold"
    assert drawn["update_ratio"].tall
    layers = [row["layer"] for row in drawn["moments"].spec["datasets"]["rows"]]
    assert layers == [f"{i}.linear" for i in range(8)]


def test_parameters_and_modules_stand_with_their_layers():
    names = ["(network)", "b", "b.q.weight", "a.weight", "b.k", "a"]
    known = {"facts": {"layers": {key: {} for key in ["a", "b.q", "b.k"]}}, "readings": {}}
    known["readings"] = {"x": [{"step": 0, "values": dict.fromkeys(names, 1.0), "errors": {}}]}
    assert told.ordered(known, names) == ["a.weight", "a", "b.q.weight", "b", "b.k", "(network)"]


def test_zeros_are_left_blank_where_the_others_span_decades():
    made = chart()
    for step in (0, 10):
        values = {n: 0.0 if i == 3 else 10.0**-i for i, n in enumerate(LAYERS)}
        made.add("norm", Reading(step, values))
    drawn = {one.name: one for one in readings.drawn(record(of=made))}["norm"]
    assert drawn.caption.endswith("zero where blank")
    assert len(drawn.spec["datasets"]["rows"]) == 2 * (len(LAYERS) - 1)
    assert drawn.spec["encoding"]["color"]["scale"]["type"] == "log"


def test_a_findings_threshold_is_drawn_where_the_chart_has_none():
    made = chart()
    del made.readings["sharpness_threshold"]
    found = finding(value=45.0, step=30)
    drawn = {one.name: one for one in readings.drawn(record(found, of=made))}
    assert drawn["sharpness"].caption == "sharpness; dashed, the threshold"
    elsewhere = {one.name: one for one in readings.drawn(record(finding(value=7.0), of=made))}
    assert elsewhere["sharpness"].caption == "sharpness"


@pytest.mark.parametrize(
    ("value", "threshold"),
    [(90, 20), (1e-9, 1e3), (-5, 3), (5, -3), (math.inf, 3), (math.nan, 3), (0, 0), (3, 3)],
)
def test_the_gauge_keeps_value_and_threshold_inside(value, threshold):
    drawn = str(gauge(float(value), float(threshold), math.nan, [1.0]))
    places = [float(x) for x in re.findall(r"cx='([\d.]+)'", drawn)]
    assert len(places) == 2 and all(0 <= x <= 300 for x in places)
    assert "nan" not in re.sub(r"aria-label='[^']*'", "", drawn)
    if not math.isfinite(value):
        assert max(places) == 292  # At the end, beyond the threshold.


def test_the_gauge_shades_what_is_allowed():
    above, below = str(gauge(90.0, 20.0, 1.0)), str(gauge(1.0, 20.0, math.nan))
    assert re.search(r"class='region' x='0.0'", above) and "class='interval'" in above
    edge = re.search(r"class='edge' d='M([\d.]+)", below)[1]
    assert f"class='region' x='{edge}'" in below and "class='interval'" not in below
    assert gauge(1.0, math.nan, math.nan) == ""

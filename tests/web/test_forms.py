"""A study's parameters as a form: every field of every study, read back as it was written."""

from urllib.parse import urlencode

import pytest
from web_server import STUDIES

import chymist
from chymist import catalogue
from chymist.errors import BadParameter
from chymist.web.forms import blank, filled, pairs

SLUGS = [entry.slug for entry in catalogue.entries()]
TINY = chymist.find(str(STUDIES / "tiny.py"))


def sent(**fields):
    return urlencode(fields).encode()


@pytest.mark.parametrize("slug", SLUGS)
def test_a_form_that_is_sent_as_it_is_changes_nothing(slug):
    study = catalogue.find(slug)
    for preset in study.presets:
        form = blank(study, preset)
        values = {f.name: f.value for f in form.fields}
        back = filled(study, pairs(sent(preset=preset, **values)))
        assert back.sound, [f.wrong for f in back.fields if f.wrong]
        assert back.changed == {}
        assert all(field.says and field.range for field in form.fields), slug


def test_what_is_changed_is_given_to_the_run():
    form = filled(TINY, pairs(sent(preset="quick", centre="0.75", seeds="8")))
    assert form.sound and form.changed == {"centre": "0.75"}


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("centre", "eleven", "centre cannot be 'eleven': allowed: number from -10 to 10"),
        ("centre", "11", "allowed: number from -10 to 10"),
        ("seeds", "4", "allowed: integer from 5 to 10000"),
        ("width", "4,4", "width repeats a value"),
        ("width", "", "width is empty"),
    ],
)
def test_what_is_wrong_is_said_beside_the_field(field, value, says):
    form = filled(TINY, pairs(sent(preset="quick", **{field: value})))
    assert not form.sound
    [wrong] = [f for f in form.fields if f.wrong]
    assert wrong.name == field and wrong.value == value
    assert says in wrong.wrong


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff",
        b"preset",
        b"preset=quick&preset=paper",
        b"preset=nosuch",
        b"preset=quick&nosuch=1",
        b"preset=quick&lab=%2Fetc",
        b"&".join(b"a%d=1" % i for i in range(500)),
    ],
)
def test_what_is_no_form_is_refused(body):
    with pytest.raises(BadParameter) as error:
        filled(TINY, pairs(body))
    assert "\n" not in str(error.value)


def test_a_bad_form_is_answered_with_the_page_and_no_run(laboratory):
    before = len(laboratory.house.reading.lab.folders())
    answer = laboratory("POST", "/studies/tiny/runs", body=sent(preset="quick", centre="<b>"))
    assert answer.status == 422
    assert "centre cannot be &#39;&lt;b&gt;&#39;" in answer.text
    assert 'value="&lt;b&gt;"' in answer.text and "aria-invalid" in answer.text
    assert len(laboratory.house.reading.lab.folders()) == before


def test_several_values_of_a_number_are_a_sweep():
    form = filled(TINY, pairs(sent(preset="quick", centre="0.9, 1,1.1")))
    assert form.sound and form.changed == {}
    assert form.asked["sweep"] == {"centre": [0.9, 1.0, 1.1]}
    # Lanes and axes take several of themselves, and text has its commas.
    form = filled(TINY, pairs(sent(preset="quick", width="4,8", kind="a,b")))
    assert form.sound and form.changed == {"width": "4,8", "kind": "a,b"} and not form.sweep


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("1,eleven", "centre cannot be 'eleven': allowed: number from -10 to 10"),
        ("1,11", "allowed: number from -10 to 10"),
        ("1,1", "centre repeats a value"),
        (",", "centre is empty"),
    ],
)
def test_a_bad_value_of_a_sweep_is_named_beside_its_field(value, says):
    form = filled(TINY, pairs(sent(preset="quick", centre=value)))
    [wrong] = [field for field in form.fields if field.wrong]
    assert wrong.name == "centre" and says in wrong.wrong and not form.sound


def test_seeds_are_not_swept():
    assert not filled(TINY, pairs(sent(preset="quick", seeds="5,6"))).sound


def test_a_grid_too_large_for_a_page_is_not_even_planned():
    values = ",".join(str(i / 10) for i in range(26))
    form = filled(TINY, pairs(sent(preset="quick", centre=values, width="1,2,3,4,5,6,7,8,9," * 2)))
    assert [f.name for f in form.fields if f.wrong] == ["width"]
    widths = ",".join(map(str, range(1, 21)))
    form = filled(TINY, pairs(sent(preset="quick", centre=values, width=widths)))
    assert "520 combinations" in form.wrong and "--sweep" in form.wrong


@pytest.mark.parametrize(
    ("options", "beside", "says"),
    [
        ({"max-seeds": "20"}, "max-seeds", "needs"),
        ({"max-seeds": "many", "until-decided": "yes"}, "max-seeds", "a whole number"),
        ({"max-seeds": "3", "until-decided": "yes"}, "max-seeds", "allowed: integer from 8"),
        ({"refine-on": "located"}, "refine-over", "name one parameter"),
        (
            {"refine-over": "centre", "refine-on": "located"},
            "refine-over",
            "needs two numbers or more",
        ),
        (
            {"refine-over": "width,center", "width": "4,8"},
            "refine-over",
            "unknown parameter center",
        ),
        ({"refine-over": "width", "width": "4,8"}, "refine-on", "refine needs a claim"),
        (
            {"refine-over": "width", "refine-on": "nosuch", "width": "4,8"},
            "refine-on",
            "unknown claim nosuch",
        ),
        (
            {"refine-over": "width", "refine-on": "located", "width": "4,8", "refine-points": "0"},
            "refine-points",
            "allowed",
        ),
        (
            {"refine-over": "width", "until-decided": "yes", "width": "4,8"},
            "refine-over",
            "together",
        ),
    ],
)
def test_a_bad_option_is_said_beside_it(options, beside, says):
    form = filled(TINY, pairs(sent(preset="quick", **options)))
    assert list(form.wrong_options) == [beside] and not form.sound
    assert says in form.wrong_options[beside]


def test_what_a_form_asks_is_what_the_run_is_planned_with(laboratory):
    fields = {"preset": "quick", "centre": "0.9,1", "width": "4,8", "refine-over": "width,centre",
              "refine-on": "located", "refine-points": "5"}  # fmt: skip
    answer = laboratory("POST", "/studies/tiny/runs", body=sent(**fields))
    assert answer.status == 303, answer.text
    run = answer.header("location").rpartition("/")[2]
    plan = laboratory.house.reading.open(run).manifest
    assert plan["sweep"] == {"centre": [0.9, 1.0]} and plan["parameters"]["width"] == [4, 8]
    assert plan["refine"] == {"parameters": ["width", "centre"], "experiment": "means",
                              "claim": "located", "points": 5}  # fmt: skip
    assert "--sweep" in plan["command"]

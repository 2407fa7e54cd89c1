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

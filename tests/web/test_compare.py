"""Runs of one study side by side."""

import re

import pytest
from web_server import STUDIES

import chymist


@pytest.fixture(scope="module")
def two(laboratory):
    lab = laboratory.house.reading.lab.folder
    other = chymist.run(STUDIES / "tiny.py", lab=lab, centre=1.2, width="4,8")
    return [laboratory.house.sealed, other.id]


def test_what_differs_and_every_claim_of_both_runs_is_shown(laboratory, two):
    answer = laboratory("GET", "/studies/tiny/compare?" + "&".join(f"run={run}" for run in two))
    assert answer.status == 200
    rows = re.findall(r'<th scope="row"><code>(\w+)</code></th>(.*?)</tr>', answer.text)
    told = {name: re.findall(r">([^<]+)</td>", cells) for name, cells in rows}
    assert told == {"centre": ["1", "1.2"], "width": ["4", "4, 8"]}
    [first, second] = re.findall(r'<div class="point">.*?</ul>', answer.text, re.S)
    assert re.findall(r"<b>([AB])</b>", first) == ["A", "B"]
    assert re.findall(r"<b>([AB])</b>", second) == ["B"]
    assert "width = 8" in second and "width = 8" not in first
    assert first.count("class='seed'") == 16


def test_without_a_choice_the_newest_finished_runs_are_compared(laboratory, two):
    text = laboratory("GET", "/studies/tiny/compare").text
    assert text.index(two[1][-4:]) < text.index(two[0][-4:])
    assert text.count("checked>") == len(two)
    assert "no finished run" in laboratory("GET", "/studies/pair/compare").text


def test_what_cannot_be_compared_is_refused(laboratory, two):
    begun = laboratory.house.begun
    for query, status in (
        ("run=" + "0" * 26, 404),
        ("run=../secret", 404),
        (f"run={begun}", 404),  # of another study
        ("&".join(f"run={two[0]}" for _ in range(11)), 422),
    ):
        answer = laboratory("GET", f"/studies/tiny/compare?{query}")
        assert answer.status == status and "Traceback" not in answer.text
    assert laboratory("GET", f"/studies/pair/compare?run={begun}").status == 422

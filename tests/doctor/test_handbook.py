"""The page about the doctor tells the rules as they are."""

from pathlib import Path

import pytest

from chymist.doctor import handbook
from chymist.doctor.rule import Rule
from chymist.doctor.rules import RULES

PAGE = Path(__file__).parents[2] / "docs" / "doctor.md"


def test_the_page_has_the_rules_and_quantities_of_today():
    text = PAGE.read_text(encoding="utf-8")
    assert handbook.filled(text) == text, "run: python -m chymist.doctor.handbook"
    for rule in RULES:
        assert f"| `{rule.name}` |" in text


def test_a_study_that_is_not_built_is_marked():
    made = [Rule("a", "edge-of-stability", "b | c", ("x_y",), lambda chart: ()),
            Rule("d", "nowhere", "e", (), lambda chart: (), explains=("a",))]  # fmt: skip
    rows = handbook.rules(made).splitlines()
    assert rows[2] == r"| `a` | b \| c | x y | [edge-of-stability](atlas/edge-of-stability.md) |  |"
    assert rows[3] == "| `d` | e |  | nowhere (provisional) | `a` |"


def test_a_page_without_a_place_is_refused():
    with pytest.raises(ValueError, match="0 places for rules"):
        handbook.filled("# The doctor")

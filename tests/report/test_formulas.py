from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chymist.report import formulas


@pytest.mark.parametrize(
    "latex",
    [
        r"\frac{d}{dt} u_k = -\lambda_k u_k",
        r"\begin{aligned} a &= b \\ c &= d \end{aligned}",
        r"\arg\min_x f(x)",
        r"\operatorname*{tr} H \approx 2/\eta",
        r"\mathbb{E}\left[\|x\|^2\right] \le \sum_{i=1}^n \sigma_i",
        r"\begin{pmatrix} a & b \\ c & d \end{pmatrix}",
        r"\boldsymbol{\theta} \in \mathbb{R}^d, \quad \hat f(k)",
    ],
)
def test_common_formulas_are_well_formed_and_complete(latex: str) -> None:
    root = ET.fromstring(formulas.mathml(latex, "block"))
    assert root.tag == "math"
    assert root.get("display") == "block"
    assert "\\" not in "".join(root.itertext())
    assert not any(e.tag == "mi" and e.text == "&" for e in root.iter())


@pytest.mark.parametrize("latex", [r"\nosuch{x}", r"\frac{1", r"\left( x", "", "x^"])
def test_a_formula_that_cannot_be_read_is_named(latex: str) -> None:
    with pytest.raises(ValueError, match="formula"):
        formulas.mathml(latex)


def test_an_unreadable_formula_is_shown_as_it_was_written() -> None:
    shown = formulas.page(r"See $\nosuch{<b>}$.")
    assert shown == "<p>See <code class='unread'>\\nosuch{&lt;b&gt;}</code>.</p>\n"
    assert len(formulas.unread("$x$ and $$\\frac{1$$")) == 1


def test_alphabets_are_code_points() -> None:
    assert "\u2112" in formulas.mathml(r"\mathcal L")
    assert "\u211d" in formulas.mathml(r"\mathbb{R}")
    assert "\U0001d7d9" in formulas.mathml(r"\mathbb{1}")
    assert "\U0001d73d" in formulas.mathml(r"\boldsymbol{\theta}")
    assert "\u212d" in formulas.mathml(r"\mathfrak C")


def test_aligned_columns_keep_their_side() -> None:
    root = ET.fromstring(formulas.mathml(r"\begin{aligned} a &= b \\ c &= d \end{aligned}"))
    assert [cell.get("class") for cell in root.iter("mtd")] == ["right", "left"] * 2


def test_display_formulas_may_stand_in_a_paragraph() -> None:
    assert formulas.page("so $$x$$ holds").startswith('<p>so <math display="block">')


def test_dollars_and_markdown_in_lines() -> None:
    assert formulas.line("a_b *c* at `x<y`") == "a_b *c* at <code>x&lt;y</code>"
    assert formulas.line("5 $ and 6 $") == "5 $ and 6 $"
    assert formulas.plain("a $k$\nb") == "a k b"


def test_headings_start_at_three() -> None:
    assert formulas.page("## One\n\n### Two\n\n###### Six") == (
        "<h3>One</h3>\n<h4>Two</h4>\n<h6>Six</h6>\n"
    )


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet=st.sampled_from("x1^_{}\\<>&\"'$ afrctexhlu;#:/![]()`*\n"), max_size=60))
def test_nothing_that_is_written_becomes_markup(text: str) -> None:
    known = {
        "math",
        "p",
        "code",
        "em",
        "strong",
        "a",
        "ol",
        "ul",
        "li",
        "h3",
        "h4",
        "h5",
        "h6",
        "pre",
        "blockquote",
        "br",
        "hr",
        "mtd",
        "mo",
        "mi",
        "mn",
        "mrow",
        "mtext",
        "mspace",
        "msub",
        "msup",
        "msubsup",
        "mfrac",
        "mstyle",
        "mtable",
        "mtr",
        "mover",
        "munder",
        "munderover",
        "mroot",
        "msqrt",
        "mpadded",
        "menclose",
        "mphantom",
        "ms",
        "table",
        "thead",
        "tbody",
        "tr",
        "td",
        "th",
        "div",
    }
    for html in (formulas.page(text), formulas.line(text)):
        root = ET.fromstring(f"<root>{html}</root>".replace("&quot;", '"'))
        assert {e.tag for e in root.iter()} - {"root"} <= known
        assert not [n for e in root.iter() for n in e.attrib if n in ("src", "style", "onclick")]

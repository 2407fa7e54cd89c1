from __future__ import annotations

import copy
import itertools
import re
from html.parser import HTMLParser
from importlib import resources
from typing import Any

import altair as alt
import numpy as np
import pytest

from chymist import figures as draw
from chymist.report.page import render_report

VOID = {"meta", "br", "img", "link", "input", "hr"}
ATTACK = "\"'><script>alert(1)</script><img src=http://evil.example/x onerror=alert(1)>"


class Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.seen: list[str] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop() == tag, f"</{tag}> closes something else"

    def handle_data(self, data: str) -> None:
        self.texts.append((self.open[-1] if self.open else "", data))

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def text(self) -> str:
        return " ".join(" ".join(t for where, t in self.texts if where != "style").split())


Record = dict[str, Any]


def test_loads_nothing_and_runs_nothing(manifest: Record, outcome: Record, figures: Record) -> None:
    text = render_report(manifest, outcome, figures)
    page = Page(text)
    assert page.open == []
    allowed = {"html", "head", "body", "style", "title", "meta"}
    assert not {"script", "link", "iframe", "object", "embed", "base", "form", "use"} & {
        tag for tag, _ in page.tags if tag not in allowed
    }
    for tag, attributes in page.tags:
        for name, value in attributes.items():
            assert not name.startswith("on"), (tag, name)
            if name in ("src", "href", "xlink:href", "srcset", "action", "data"):
                local = (value or "").startswith(("data:image/png;base64,", "#"))
                assert local or (tag == "a" and (value or "").startswith("https://")), (tag, value)
    assert "@import" not in text
    assert all(target.startswith("#f") for target in re.findall(r"url\(([^)]*)\)", text))
    policies = [m["content"] for m in page.named("meta") if "http-equiv" in m]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'; img-src data:"]


def test_is_small(manifest: Record, outcome: Record, figures: Record) -> None:
    assert len(render_report(manifest, outcome, figures).encode()) < 300_000


def test_stays_below_three_megabytes_with_heavy_figures_and_many_seeds(
    manifest: Record, outcome: Record
) -> None:
    points = np.random.default_rng(0).random((6000, 2)).tolist()
    cloud = draw.themed(
        alt.Chart(alt.Data(values=[{"x": x, "y": y} for x, y in points]))
        .mark_point()
        .encode(x="x:Q", y="y:Q")
    )
    experiment = manifest["study"]["experiments"][0]
    experiment["figures"] = [{"name": f"cloud-{i}", "caption": "A cloud."} for i in range(6)]
    for claim in outcome["experiments"]["line"]["claims"]:
        for row in claim["rows"]:
            row["values"] = np.random.default_rng(1).random(10_000).tolist()
    text = render_report(manifest, outcome, {f"cloud-{i}": cloud for i in range(6)})
    assert len(text.encode()) <= 3_000_000
    pictures = Page(text).named("img")
    assert len(pictures) == 6
    assert all(p["alt"] and (p["src"] or "").startswith("data:image/png") for p in pictures)
    assert "200 of 10000 seeds" in text


def test_identifiers_are_unique_and_every_reference_has_its_target(
    manifest: Record, outcome: Record, figures: Record
) -> None:
    other = copy.deepcopy(manifest["study"]["experiments"][0])
    other["name"] = "line!"
    manifest["study"]["experiments"].append(other)
    outcome["experiments"]["line!"] = copy.deepcopy(outcome["experiments"]["line"])
    text = render_report(manifest, outcome, figures)
    page = Page(text)
    names = [a["id"] for _, a in page.tags if "id" in a]
    assert len(names) == len(set(names)) > 10
    gradients = [a["id"] for t, a in page.tags if t in ("lineargradient", "clippath")]
    assert len(gradients) >= 4
    wanted = {h[1:] for a in page.named("a") if (h := a["href"] or "").startswith("#")}
    assert wanted | set(re.findall(r"url\(#([^)]*)\)", text)) <= set(names)


def test_every_formula_is_mathml(manifest: Record, outcome: Record, figures: Record) -> None:
    page = Page(render_report(manifest, outcome, figures))
    assert "$" not in page.text
    assert "\\" not in page.text
    assert "unread" not in {a.get("class") for _, a in page.tags}
    assert sum(m.get("display") == "block" for m in page.named("math")) == 2
    assert len(page.named("math")) >= 12


def test_tells_the_result_in_words(manifest: Record, outcome: Record, figures: Record) -> None:
    page = Page(render_report(manifest, outcome, figures))
    assert "All 3 claims are supported. Under the control both claims that must flip did." in (
        page.text
    )
    assert "broken" not in page.text
    assert "Exploratory" not in page.text
    assert page.text.count("Not part of this run.") == 1
    # Estimates and intervals of a single-line claim and of the three lines of another.
    assert page.text.count("(95 %)") == 3
    assert page.text.count("(98.3 %)") == 6
    for words in (
        "changed from 64",
        "01JDC2M4Q8R6T0V9W3X5Y7Z1AB",
        "above 0.6",
        "0.8 to 1.25",
        '"torch==2.6.0"',
        manifest["command"],
        "@misc{chymist-01JDC2M4Q8R6T0V9W3X5Y7Z1AB",
        "arXiv:1901.06523",
        "@misc{jacot2018neural",
        "1 min 3 s",
        "23 November 2025, 04:36 UTC",
    ):
        assert words in page.text, words
    assert "scale 1 → 30" in page.text


@pytest.mark.parametrize("status", ["refuted", "inconclusive"])
def test_says_what_did_not_hold(
    manifest: Record, outcome: Record, figures: Record, status: str
) -> None:
    outcome["status"] = status
    outcome["experiments"]["line"]["claims"][0]["status"] = status
    page = Page(render_report(manifest, outcome, figures))
    assert f"Of 3 claims, 2 are supported and 1 is {status}." in page.text
    assert any(a.get("class") == f"verdict {status}" for a in page.named("section"))
    assert any(a.get("class") == f"badge {status}" for a in page.named("span"))


def test_is_loud_about_a_control_that_did_not_flip(
    manifest: Record, outcome: Record, figures: Record
) -> None:
    outcome["broken"] = True
    record = outcome["experiments"]["line"]["control"][0]
    record["flipped"] = False
    record["verdict"]["status"] = "inconclusive"
    page = Page(render_report(manifest, outcome, figures))
    assert "This study is broken: its control did not flip." in page.text
    assert "did not flip" in page.text
    assert "1 of 2 that must flip did" in page.text
    assert re.search(r"Low frequencies .* had to be refuted and is inconclusive", page.text)


def test_says_exploratory_diverged_missing_input_and_sweep(
    manifest: Record, outcome: Record, figures: Record
) -> None:
    manifest |= {
        "exploratory": True,
        "diverged": {"line, treatment": 2, "line, control": 1},
        "sweep": {"width": [32, 64]},
        "input": {"name": "mine.csv", "sha256": "12" * 32, "says": "columns x, y"},
    }
    row = outcome["experiments"]["line"]["claims"][2]["rows"][0]
    row["values"][2], row["interval"] = None, None
    page = Page(render_report(manifest, outcome, figures))
    for words in (
        "Exploratory.",
        "3 networks diverged.",
        "2 in line, treatment",
        "mine.csv",
        "12" * 32,
        "1 of 8 seeds",
        "missing",
        "too few values",
        "32, 64",
        "swept",
    ):
        assert words in page.text, words


def test_a_figure_that_was_not_drawn_is_left_out(
    manifest: Record, outcome: Record, figures: Record
) -> None:
    del figures["curves"]
    page = Page(render_report(manifest, outcome, figures))
    assert "Figure 3." in page.text
    assert "Figure 4." not in page.text


def test_text_is_text_wherever_it_comes_from(
    manifest: Record, outcome: Record, figures: Record
) -> None:
    def poison(value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            return {k: poison(v, k) for k, v in value.items()}
        if isinstance(value, list):
            return [poison(v, key) for v in value]
        structural = {"name", "claim", "status", "centre", "started", "finished"}
        return value + ATTACK if isinstance(value, str) and key not in structural else value

    manifest, outcome = poison(manifest), {**poison(outcome), "status": "supported"}
    manifest["input"] = {"name": ATTACK, "sha256": ATTACK, "says": ATTACK}
    manifest["parameters"][ATTACK] = ATTACK
    manifest["parameter_help"][ATTACK] = {"description": ATTACK, "range": ATTACK, "default": 1}
    manifest["files"][ATTACK] = ATTACK
    manifest["started"] = ATTACK
    manifest["study"]["experiments"][0]["figures"][0]["name"] = ATTACK
    manifest["study"]["experiments"][0]["control"]["change"][ATTACK] = ATTACK
    outcome["experiments"]["line"]["claims"][0]["claim"] = ATTACK
    outcome["experiments"]["line"]["claims"][1]["rows"][0]["where"] = {ATTACK: ATTACK}
    figures[ATTACK] = figures.pop("curves")
    text = render_report(manifest, outcome, figures)
    page = Page(text)
    assert "<script" not in text
    assert "<img src=http" not in text
    assert page.named("script") == []
    assert page.named("img") == []
    assert not [a for _, a in page.tags if any(name.startswith("on") for name in a)]
    assert page.text.count("alert(1)") > 40


def test_markdown_cannot_load_or_run(manifest: Record, outcome: Record, figures: Record) -> None:
    manifest["study"]["theory"] = (
        "![x](http://evil.example/x.png) [y](javascript:alert(1)) <script>alert(1)</script>\n\n"
        "$\\text{<script>alert(1)</script>}$ $\\href{javascript:alert(1)}{x}$"
    )
    text = render_report(manifest, outcome, figures)
    page = Page(text)
    assert "<script" not in text
    assert page.named("img") == []
    assert "javascript:" not in str([a for _, a in page.tags])


def test_headings_descend_by_one(manifest: Record, outcome: Record, figures: Record) -> None:
    page = Page(render_report(manifest, outcome, figures))
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b <= a + 1 for a, b in itertools.pairwise(levels))


def test_pictures_have_words(manifest: Record, outcome: Record, figures: Record) -> None:
    page = Page(render_report(manifest, outcome, figures))
    for attributes in page.named("svg"):
        assert attributes.get("aria-hidden") == "true" or attributes.get("aria-label")
    labels = [a["aria-label"] for a in page.named("svg") if "aria-label" in a]
    assert "Figure 1: Error of mode k; dashed, theory." in labels
    assert any("8 seeds from" in (label or "") for label in labels)


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", [0, 1])
def test_contrast_is_at_least_that_of_wcag_aa(theme: int) -> None:
    sheet = resources.files("chymist.report").joinpath("templates", "report.css").read_text("utf-8")
    both = re.findall(r"--([a-z-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\);", sheet)
    colours = {name: shades[theme] for name, *shades in both}
    pairs = [
        (text, ground)
        for ground in ("paper", "raised")
        for text in ("ink", "soft", "link", "good", "bad", "open")
    ]
    pairs += [
        ("good", "good-tint"),
        ("bad", "bad-tint"),
        ("open", "open-tint"),
        ("ink", "alarm"),
        ("bad", "alarm"),
        ("link", "alarm"),
        ("ink", "open-tint"),
    ]
    for text, ground in pairs:
        assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground)
    for mark in ("dot", "bar", "other"):
        for ground in ("paper", "region", "raised"):
            assert contrast(colours[mark], colours[ground]) >= 3, (mark, ground)


def test_curves_are_told_from_white() -> None:
    assert min(contrast(colour, "#ffffff") for colour in draw.PALETTE) >= 3

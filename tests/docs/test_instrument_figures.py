"""The figures of the instruments' pages are those that the instruments draw today."""

import importlib.util
import re
from pathlib import Path

import pytest

PAGES = Path(__file__).parents[2] / "docs" / "instruments"
NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e-?\d+)?")
NAME = re.compile(r"\b(gradient_|clip)\d+")
"""Names of parts, which a renderer counts on from figure to figure."""
HALF_A_PIXEL = 0.5


def module(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


FIGURES = module(PAGES / "figures.py")


def same_drawing(one, other):
    """Whether two drawings have the same elements and words, each within half a pixel."""
    one, other = NAME.sub(r"\1", one), NAME.sub(r"\1", other)
    if NUMBER.split(one) != NUMBER.split(other):
        return False
    pairs = zip(NUMBER.findall(one), NUMBER.findall(other), strict=True)
    return all(abs(float(a) - float(b)) <= HALF_A_PIXEL for a, b in pairs)


@pytest.mark.parametrize("name", FIGURES.FIGURES)
def test_a_kept_figure_is_the_one_that_is_drawn(name):
    assert same_drawing(FIGURES.drawn(name).decode(), FIGURES.path(name).read_text())


@pytest.mark.slow
def test_the_kept_figure_of_a_training_is_the_one_that_is_drawn(tmp_path):
    benchmark = module(PAGES.parents[1] / "benchmarks" / "instruments" / "frequency.py")
    benchmark.figure(tmp_path / "drawn.svg")
    kept = FIGURES.IMAGES / "frequency-errors.svg"
    assert same_drawing((tmp_path / "drawn.svg").read_text(), kept.read_text())


@pytest.mark.parametrize("page", sorted(PAGES.glob("*.md")), ids=lambda page: page.stem)
def test_every_page_shows_a_figure_that_exists(page):
    shown = re.findall(r"!\[[^\]]+\]\((\.\./images/[^)]+)\)", page.read_text())
    assert shown
    assert all((PAGES / image).is_file() for image in shown)
    if page.stem in FIGURES.FIGURES:
        assert f"../images/{FIGURES.path(page.stem).name}" in shown


def test_a_drawing_with_a_point_moved_or_a_word_changed_is_another():
    one = '<path d="M0,1.5L2,-3"/><text>margin</text>'
    assert same_drawing(one, one.replace("1.5", "1.6"))
    assert same_drawing('<g fill="url(#gradient_0)"/>', '<g fill="url(#gradient_3)"/>')
    assert not same_drawing(one, one.replace("1.5", "3.5"))
    assert not same_drawing(one, one.replace("margin", "norm"))
    assert not same_drawing(one, one.replace("L2,-3", ""))

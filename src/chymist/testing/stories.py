"""What a story must have: its parts, formulas that can be typeset, links that lead somewhere."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from pathlib import Path

from chymist import catalogue
from chymist.bibliography import bibliography
from chymist.report.formulas import links, sections, unread
from chymist.study import Study

PARTS = (
    "Intuition",
    "Derivation",
    "Experiment",
    "What would refute it",
    "Where it stops being true",
    "Neighbours",
)
TRANSLATED = {
    "zh": ("直觉", "推导", "实验", "什么能推翻它", "何处不再成立", "相邻"),
}
"""The parts of a translation, by language."""
LEAST, MOST = 20, 1500
"""Words of a part, and of the whole: two pages."""


def check_story(study: Study, pages: Path | None = None, doubted: Collection[str] = ()) -> None:
    """Hold the story of a study to its form.

    Checked: that there is one; that its parts are `PARTS`, in this order, each of at least `LEAST`
    words and together of at most `MOST`; that the derivation has a formula and all formulas can be
    typeset; that a link leads to a study's page (`<slug>.md`), to a file beside or above `pages`,
    the folder of the gallery, or to a publication that the study cites or chymist knows; and that
    every claim in `doubted`, those that evidence does not support, is named, `like-this`. A
    translation must have the parts of `TRANSLATED`, and formulas, links and names of the original.

    Raises:
        AssertionError: lists every check that failed.
    """
    text = catalogue.story(study)
    assert text, f"{study.slug} has no story: write {catalogue.story_file(study)}"  # noqa: S101
    failures = [*_parts(text), *_links(study, text, pages)]
    failures += [f"a formula does not render: {wrong}" for wrong in unread(text)]
    failures += [
        f"evidence does not support {claim}, and the story does not say why"
        for claim in doubted
        if f"`{claim}`" not in text
    ]
    for language, parts in TRANSLATED.items():
        if told := catalogue.story(study, language):
            failures += [f"{language}: {wrong}" for wrong in _translation(text, told, parts)]
    assert not failures, f"{study.slug}:\n" + "\n".join(f"- {f}" for f in failures)  # noqa: S101


def _parts(text: str) -> Iterator[str]:
    found = sections(text)
    if tuple(found) != PARTS:
        yield f"the parts are {', '.join(found) or 'none'}; they should be {', '.join(PARTS)}"
    for title, part in found.items():
        if len(part.split()) < LEAST:
            yield f"the part {title} has fewer than {LEAST} words"
    if "$" not in found.get("Derivation", ""):
        yield "the derivation has no formula"
    words = len(text.split())
    if words > MOST:
        yield f"it has {words} words; at most {MOST}"


def _translation(text: str, told: str, parts: tuple[str, ...]) -> Iterator[str]:
    if tuple(sections(told)) != parts:
        yield f"the parts are {', '.join(sections(told)) or 'none'}, not {', '.join(parts)}"
    for what, pattern in (
        ("formula", r"\$\$[^$]+\$\$|\$[^$]+\$"),
        ("name", r"`[^`]+`"),
        ("link", r"\]\(([^)]+)\)"),
    ):
        own, other = ({" ".join(f.split()) for f in re.findall(pattern, t)} for t in (text, told))
        yield from (f"it lacks the {what} {one}" for one in sorted(own - other))
        yield from (f"the original has no {what} {one}" for one in sorted(other - own))


def _links(study: Study, text: str, pages: Path | None) -> Iterator[str]:
    known = {r.url for r in (*study.references, *bibliography().values())}
    slugs = {entry.slug for entry in catalogue.entries()}
    found = links(text)
    if not found:
        yield "it links to no neighbour and no paper"
    for link in found:
        file = link.partition("#")[0]
        if link.startswith(("https://", "http://")):
            if link not in known:
                yield f"{link} is no publication of bibliography.toml"
        elif "/" not in file:
            if file.removesuffix(".md") not in slugs or not file.endswith(".md"):
                yield f"{link} is no page of a study"
        elif pages is not None and not (pages / file).is_file():
            yield f"{link} leads from {pages} to no file"

"""The gallery: Markdown pages of all studies, made from their evidence, for a reader of the source.

A page shows a study's figure, what each preset found and the story; the index lists the studies by
family and by question. Numbers are written as in the report of a run. Formulas stay between dollar
signs.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from chymist import catalogue
from chymist.claims import Certificate
from chymist.lab.manifest import describe
from chymist.questions import QUESTIONS
from chymist.report import evidence, formulas, numbers, view
from chymist.study import FAMILIES, Study

INDEX = "README.md"
_MARKS = {"supported": "✓", "refuted": "✗", "inconclusive": "?"}


@dataclass(frozen=True)
class Line:
    """One line of a table of verdicts."""

    claim: str
    where: str
    estimate: str
    interval: str
    region: str
    published: str
    verdict: str


@dataclass(frozen=True)
class Found:
    """What one preset found."""

    preset: str
    record: Mapping[str, Any]
    summary: str
    lines: tuple[Line, ...]
    published: tuple[tuple[str, view.PublishedView], ...]
    certificates: tuple[tuple[Certificate, tuple[str, ...]], ...]
    figures: Mapping[str, str]
    stale: tuple[str, ...]

    @property
    def verdict(self) -> str:
        """The overall verdict with its sign."""
        return "! broken" if self.record["broken"] else marked(self.record["status"])


def pages(studies: Sequence[Study], folder: Path, output: Path) -> dict[str, str]:
    """Return the pages by file name, as they belong in `output`; `folder` holds the evidence.

    Raises:
        UsageError: a file of evidence cannot be read.
    """
    shown = {study.slug: _found(study, folder, output) for study in studies}
    environment = _environment()
    written = {
        f"{study.slug}.md": environment.get_template("study.md.j2").render(
            study=study,
            presets=shown[study.slug],
            cover=study.cover or study.experiments[0].figures[0].name,
            story=catalogue.story(study).strip(),
            languages=_translations(study),
            questions=QUESTIONS,
            kinds={claim.kind for e in study.experiments for claim in e.claims},
        )
        for study in studies
    }
    for study in studies:
        for language, name in _translations(study).items():
            written[f"{study.slug}.{language}.md"] = environment.get_template("story.md.j2").render(
                study=study, language=name, story=_with_neighbours(study, language, studies)
            )
    written[INDEX] = environment.get_template("index.md.j2").render(
        studies=studies,
        presets=shown,
        families=[f for f in FAMILIES if any(study.family == f for study in studies)],
        questions={
            text: [study for study in studies if key in study.answers]
            for key, text in QUESTIONS.items()
            if any(key in study.answers for study in studies)
        },
    )
    return {name: re.sub(r"\n{3,}", "\n\n", text).strip() + "\n" for name, text in written.items()}


def marked(status: str) -> str:
    """Return a verdict as a sign and a word.

    >>> marked("supported")
    '✓ supported'
    """
    return f"{_MARKS.get(status, '!')} {status}"


def cell(text: str) -> str:
    r"""Return a text for a cell of a table, where a bar would end it.

    >>> cell("of $|w|$")
    'of $\\|w\\|$'
    """
    return " ".join(text.split()).replace("|", r"\|")


def verbatim(text: str) -> str:
    r"""Return a text whose signs mean nothing to Markdown.

    >>> verbatim("6 = 2*3")
    '6 = 2\\*3'
    """
    return re.sub(r"([\\`*_<>\[\]$])", r"\\\1", text)


def anchor(heading: str) -> str:
    """Return the anchor under which a heading is found.

    >>> anchor("Does width help?")
    'does-width-help'
    """
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def _translations(study: Study) -> dict[str, str]:
    """Return the languages that a story has been translated to, by code."""
    others = {code: name for code, name in catalogue.LANGUAGES.items() if code != "en"}
    return {code: name for code, name in others.items() if catalogue.story(study, code)}


def _with_neighbours(study: Study, language: str, studies: Sequence[Study]) -> str:
    """Return a translated story, whose links lead to translated neighbours where there are some."""
    text = catalogue.story(study, language).strip()
    for other in studies:
        if language in _translations(other):
            text = text.replace(f"]({other.slug}.md)", f"]({other.slug}.{language}.md)")
    return text


def _found(study: Study, folder: Path, output: Path) -> tuple[Found, ...]:
    path = folder / f"{study.slug}.json"
    if not path.is_file():
        return ()
    words = describe(study, study.experiments)
    beside = Path(os.path.relpath(folder.resolve(), output.resolve())).as_posix()
    found = []
    for preset, record in evidence.read(path)["presets"].items():
        views = view.experiments({**record, "study": words}, record, {})
        found.append(
            Found(
                preset=preset,
                record=record,
                summary=view.summary(views),
                lines=tuple(_lines(views)),
                published=tuple((c.name, p) for e in views for c in e.claims for p in c.published),
                certificates=tuple(_certificates(views)),
                figures={
                    name: f"{beside}/{study.slug}/{preset}/{name}.svg" for name in record["figures"]
                },
                stale=tuple(evidence.stale(study, preset, record)),
            )
        )
    return tuple(found)


def _certificates(
    views: Sequence[view.ExperimentView],
) -> list[tuple[Certificate, tuple[str, ...]]]:
    """Return what a reader can check, each once, with the claims that rest on it."""
    found: dict[Certificate, list[str]] = {}
    for claim in (c for experiment in views for c in experiment.claims):
        for certificate in claim.certificates:
            found.setdefault(certificate, []).append(claim.name)
    return [(certificate, tuple(dict.fromkeys(names))) for certificate, names in found.items()]


def _lines(views: Sequence[view.ExperimentView]) -> list[Line]:
    lines = []
    for experiment in views:
        for claim in experiment.claims:
            published = "; ".join(f"{p.value}, {p.source}" for p in claim.published)
            for place, row in enumerate(claim.lines):
                said = published if place == 0 else ""
                lines.append(_line(f"`{claim.name}`", claim, row, said, marked(row.status)))
        for claim in experiment.control:
            for row in claim.lines:
                lines.append(_line(f"control of `{claim.name}`", claim, row, "", _flip(row.status)))
    return lines


def _flip(status: str) -> str:
    """Say whether the control refutes a claim at one point, as it has to somewhere."""
    kept = marked(status) if status == "inconclusive" else "! did not flip"
    return "✓ flipped" if status == "refuted" else kept


def _line(name: str, claim: view.ClaimView, row: view.Line, published: str, verdict: str) -> Line:
    return Line(
        claim=name,
        where=row.where,
        estimate=row.estimate or "none",
        interval=row.interval or "none",
        region=claim.region,
        published=published,
        verdict=verdict,
    )


def _environment() -> Environment:
    environment = Environment(  # noqa: S701  Markdown, of our own and the studies' texts
        loader=PackageLoader("chymist.report", "templates"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "anchor": anchor,
        "cell": cell,
        "plain": formulas.plain,
        "verbatim": verbatim,
        "duration": numbers.duration,
    }
    return environment

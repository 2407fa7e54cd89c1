"""A study's page: its question, evidence, theory, story, form and runs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from typing import Any

from markupsafe import Markup

from chymist import catalogue
from chymist.explorable import course
from chymist.lab.manifest import describe
from chymist.languages import current
from chymist.questions import QUESTIONS
from chymist.report import evidence, view
from chymist.study import Study
from chymist.web.forms import Form, blank
from chymist.web.interaction import interactive
from chymist.web.pages import Served, Static
from chymist.web.reading import Reading
from chymist.web.shelf import Shelf

LISTED = 8
"""Runs of a study on its page; the lab lists all."""


def context(
    shelf: Shelf,
    reading: Reading,
    to: Served | Static,
    slug: str,
    preset: str = "",
    form: Form | None = None,
) -> dict[str, Any]:
    """Return what a study's page shows at a preset, with the form as it was sent, if it was.

    Raises:
        UnknownStudy: there is no such study.
        BadParameter: it has no such preset.
    """
    study = shelf.study(slug)
    presets = reading.presets(slug)
    preset = form.preset if form else preset
    chosen = form or blank(study, preset or "quick")
    # Without a preset in the address, evidence of any is better than none.
    shown = chosen.preset if chosen.preset in presets or preset else next(iter(presets), "")
    cells = _cells(study)
    found = reading.found(study, shown, partial(_found, reading))
    told = catalogue.story(study, current())
    return {
        "study": study,
        "exact": all(experiment.exact for experiment in study.experiments),
        "story": told or catalogue.story(study),
        "story_told": bool(told),
        "theory": study.theory,
        "answers": [(key, QUESTIONS[key]) for key in study.answers],
        "form": chosen,
        "presets": list(study.presets),
        "with_evidence": list(presets),
        "cost": study.cost.get(chosen.preset),
        "found": found,
        "embedded": _embedded(reading, slug, found) if found and not to.live else {},
        "cover": cells.get(study.cover or next(iter(cells), "")),
        "runs": reading.listing(study=slug, kind="study", limit=LISTED) if to.live else [],
        "total": reading.count(study=slug) if to.live else 0,
    }


def _cells(study: Study) -> dict[str, Any]:
    return {figure.name: figure for e in study.experiments for figure in e.figures}


def _embedded(reading: Reading, slug: str, found: Mapping[str, Any]) -> dict[str, Markup]:
    """Return what figures are drawn from, for a page that can ask for nothing."""
    specs = {name: reading.spec(slug, found["preset"], name) for name in found["courses"]}
    texts = {
        name: json.dumps(interactive(spec), separators=(",", ":"))
        for name, spec in specs.items()
        if spec is not None
    }
    # In a script element nothing ends a text but the element's own end.
    return {n: Markup(text.replace("<", "\\u003c")) for n, text in texts.items()}  # noqa: S704


def _found(
    reading: Reading, study: Study, preset: str, record: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what one preset found; `courses` has the figures that can answer a reader."""
    specs = {name: reading.spec(study.slug, preset, name) for name in record.get("specs", {})}
    words = describe(study, study.experiments)
    views = view.experiments({**record, "study": words}, record, {})
    return {
        "preset": preset,
        "record": record,
        "views": list(zip(views, study.experiments, strict=True)),
        "summary": view.summary(views),
        "broken": bool(record["broken"]),
        "status": str(record["status"]),
        "figures": set(record["figures"]),
        "courses": {name: course(spec) for name, spec in specs.items() if spec is not None},
        "stale": evidence.stale(study, preset, record),
    }

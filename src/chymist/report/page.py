"""The report of a run: one HTML file that needs no network, no script and no other file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from chymist.languages import TAGS, current, say, tongue
from chymist.provenance import PACKAGES
from chymist.report import formulas, numbers, view
from chymist.report.summary import bibtex


def render_report(
    manifest: Mapping[str, Any],
    outcome: Mapping[str, Any],
    figures: Mapping[str, Mapping[str, Any]],
) -> str:
    """Return the report of a sealed run as a self-contained HTML document.

    `manifest` and `outcome` are the run's records, `figures` its Vega-Lite specifications by name.
    All text in them is treated as text. A figure that is not given is left out; an experiment
    without an outcome is named as not part of the run.

    Raises:
        ValueError: a figure cannot be rendered.
        KeyError: a record lacks what a sealed run has.
    """
    found = context(manifest, outcome, figures)
    return environment().get_template("report.html.j2").render(**found, style=style())


def context(
    manifest: Mapping[str, Any],
    outcome: Mapping[str, Any],
    figures: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    """Return what the templates of a report show of a sealed run, but for the style sheet.

    Raises:
        ValueError: a figure cannot be rendered.
        KeyError: a record lacks what a sealed run has.
    """
    views = view.experiments(manifest, outcome, figures)
    return {
        "run": manifest,
        "study": manifest["study"],
        "story": manifest["study"].get("story", ""),
        "outcome": outcome,
        "broken": bool(outcome.get("broken")),
        "exploratory": manifest.get("exploratory"),
        "experiments": views,
        "summary": view.summary(views),
        "unflipped": [(e, c) for e in views for c in e.control if not c.flipped],
        "parameters": view.parameters(manifest),
        "references": view.references(manifest),
        "install": _install(manifest["versions"]),
        "citation": bibtex(dict(manifest)),
    }


def filters() -> dict[str, Callable[..., Any]]:
    """Return how the templates write text, numbers and times."""
    return {
        "page": formulas.page,
        "line": formulas.line,
        "plain": formulas.plain,
        "duration": numbers.duration,
        "moment": numbers.moment,
        "setting": numbers.setting,
        "say": say,
    }


def speak(environment: Environment) -> None:
    """Let templates speak the reader's language: `_("...")`, `{% trans %}`, `| say`, `foreign`."""
    environment.newstyle_gettext = True  # type: ignore[attr-defined]
    environment.install_gettext_callables(say, _counted, newstyle=True)  # type: ignore[attr-defined]
    environment.globals |= {"foreign": foreign, "tag": lambda: TAGS[current()]}


def foreign(text: str = "") -> Markup:
    """Return the attribute that marks a text as English on a page that is not; else nothing.

    Without a text: the texts of a study, which are English everywhere.
    """
    spoken = tongue(text)
    return Markup("") if spoken == TAGS[current()] else Markup(' lang="{}"').format(spoken)


def _counted(one: str, several: str, number: int) -> str:
    return say(one if number == 1 else several)


@cache
def environment() -> Environment:
    """Return what fills the templates."""
    environment = Environment(
        loader=PackageLoader("chymist.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    speak(environment)
    environment.filters |= filters()
    return environment


@cache
def style() -> Markup:
    """Return the house's style sheet."""
    sheet = resources.files("chymist.report").joinpath("templates", "report.css")
    return Markup(sheet.read_text(encoding="utf-8"))  # noqa: S704  our own file


def _install(versions: Mapping[str, str]) -> str:
    # A local label (2.6.0+cpu) names a build that the index does not have.
    known = {name: versions[name].partition("+")[0] for name in PACKAGES if name in versions}
    pins = " ".join(f'"{name}=={version}"' for name, version in known.items())
    return f"python -m pip install {pins}"

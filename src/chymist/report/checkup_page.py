"""The report of a checkup: one HTML file that needs no network, no script and no other file."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from markupsafe import Markup

from chymist import catalogue, provenance
from chymist.languages import say
from chymist.report import checkup, readings
from chymist.report.drawing import Drawing, inlined
from chymist.report.gauge import gauge
from chymist.report.numbers import number
from chymist.report.page import environment, style

FIGURES_BYTES = 2_000_000
MOST_FIGURES = 40
MOST_LAYERS = 300
"""Rows of a table; the JSON has all."""


@dataclass(frozen=True)
class Card:
    """A finding as the page shows it."""

    anchor: str
    finding: Mapping[str, Any]
    where: str
    others: str
    gauge: Markup
    measured: str
    error: str
    threshold: str
    study: Study


@dataclass(frozen=True)
class Study:
    """The study that backs a finding; without title where it is not in the atlas."""

    slug: str
    title: str = ""
    question: str = ""


@dataclass(frozen=True)
class Figure:
    """A quantity's drawing, or none where it cannot be drawn."""

    caption: str
    drawing: Drawing | None


@dataclass(frozen=True)
class Block:
    """Quantities that speak of the same layers: a table."""

    names: tuple[str, ...]
    rows: tuple[tuple[str, str, tuple[Cell, ...]], ...]
    cut: int


@dataclass(frozen=True)
class Cell:
    """A number of a layer; its heat, from 0 to 4, is its place among those of its quantity."""

    shown: str
    heat: int | None


def render_checkup(record: Mapping[str, Any], run: Mapping[str, Any] | None = None) -> str:
    """Return the report of a checkup as a self-contained HTML document.

    `record` is what `Checkup.as_json` returns, `run` the manifest of a watched training that was
    kept. All text in them is treated as text. A figure that cannot be drawn is said to be missing.
    """
    template = environment().get_template("checkup.html.j2")
    return template.render(**context(record, run), style=style() + _own_style())


def context(record: Mapping[str, Any], run: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return what the template shows of a checkup, but for the style sheet."""
    facts = record["chart"]["facts"]
    watched = facts.get("watch")
    figures, more = _figures(record)
    return {
        "verdict": record["verdict"],
        "comes_to": checkup.comes_to(record),
        "title": _title(run, watched),
        "cards": _cards(record),
        "off": record["chart"]["off"],
        "about": checkup.about(facts),
        "facts": _facts(facts),
        "layers": len(facts.get("layers", {})),
        "watched": watched,
        "share": checkup.share(watched) if watched else "",
        "figures": figures,
        "more": more,
        "whole": _whole(record["chart"]),
        "blocks": _blocks(record["chart"]),
        "run": run,
        "versions": run["versions"] if run else provenance.versions(),
        "machine": run["machine"] if run else provenance.machine(),
    }


def _title(run: Mapping[str, Any] | None, watched: Mapping[str, Any] | None) -> str:
    if run:
        return str(run["name"])
    return say("A watched training") if watched else say("A training before its first step")


def _cards(record: Mapping[str, Any]) -> list[Card]:
    known = {entry.slug: entry for entry in catalogue.entries()}
    cards = []
    for place, one in enumerate(checkup.told(record["findings"]), 1):
        finding = one.finding
        value, threshold, error = (float(finding[n]) for n in ("value", "threshold", "error"))
        entry = known.get(finding["study"])
        others = [layer or say("the whole network") for layer in one.layers[1:]]
        rule = re.sub(r"[^a-z0-9-]", "", str(finding["rule"]))
        cards.append(
            Card(
                anchor=f"finding-{place}-{rule}",
                finding=finding,
                where=say("layer %(name)s", name=finding["layer"])
                if finding["layer"]
                else say("whole network"),
                others=", ".join(others),
                gauge=gauge(value, threshold, error, [float(f["value"]) for f in one.others]),
                measured=_reading(value),
                error=number(error, 2) if math.isfinite(error) and error > 0 else "",
                threshold=number(threshold),
                study=Study(entry.slug, entry.title, entry.question)
                if entry
                else Study(finding["study"]),
            )
        )
    return cards


def _figures(record: Mapping[str, Any]) -> tuple[list[Figure], int]:
    """Draw the quantities; return also how many are left to the tables."""
    found = list(readings.drawn(record))
    limit = FIGURES_BYTES // max(1, min(len(found), MOST_FIGURES))
    figures = []
    for place, one in enumerate(found[:MOST_FIGURES]):
        try:
            drawing = inlined(one.spec, f"r{place}-", one.caption, limit)
        except ValueError:
            drawing = None
        figures.append(Figure(one.caption[:1].upper() + one.caption[1:], drawing))
    return figures, max(0, len(found) - MOST_FIGURES)


def _whole(chart: Mapping[str, Any]) -> list[tuple[str, str, str, str]]:
    rows = []
    for name, series in chart["readings"].items():
        own = [(r["step"], float(r["values"][""])) for r in series if "" in r["values"]]
        if own:
            ends = own[0][0], own[-1][0]
            steps = say("%(low)s to %(high)s", low=ends[0], high=ends[1])
            steps = steps if len(own) > 1 else f"{ends[0]}"
            first, last = (_reading(value) for _, value in (own[0], own[-1]))
            rows.append((checkup.spaced(name), first, last, steps))
    return rows


def _reading(value: float) -> str:
    return say("not a number") if math.isnan(value) else number(value)


def _blocks(chart: Mapping[str, Any]) -> list[Block]:
    kinds = chart["facts"].get("layers", {})
    found = []
    for names, layers in checkup.blocks(chart, columns=4):
        heats = {name: _heats(chart["readings"][name], layers) for name in names}
        rows = []
        for layer in layers[:MOST_LAYERS]:
            about = kinds.get(layer)
            kind = str(about.get("type", "")) if isinstance(about, Mapping) else ""
            cells = tuple(
                Cell(checkup.between(chart["readings"][name], layer), heats[name].get(layer))
                for name in names
            )
            rows.append((layer, kind, cells))
        cut = max(0, len(layers) - MOST_LAYERS)
        found.append(Block(tuple(map(checkup.spaced, names)), tuple(rows), cut))
    return found


def _heats(series: list[Mapping[str, Any]], layers: list[str]) -> dict[str, int]:
    """Sort the layers' last values into five classes of equal width; none where all are alike."""
    last = {
        layer: float(reading["values"][layer])
        for reading in series
        for layer in layers
        if layer in reading["values"] and math.isfinite(float(reading["values"][layer]))
    }
    if not last:
        return {}
    low, high = min(last.values()), max(last.values())
    if low > 0 and high >= readings.SPAN * low:
        last = {layer: math.log(value) for layer, value in last.items()}
        low, high = math.log(low), math.log(high)
    if high - low <= 1e-9 * max(abs(low), abs(high)):
        return {}
    return {layer: min(4, int(5 * (v - low) / (high - low))) for layer, v in last.items()}


def _facts(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    rows = []
    if "parameters" in facts:
        trained = facts.get("trained", facts["parameters"])
        rows.append(("Parameters", f"{facts['parameters']:,}, {trained:,} of them trained"))
    if isinstance(facts.get("optimizer"), Mapping):
        rows.append(("Optimizer", checkup.optimizer(facts["optimizer"])))
    if facts.get("loss"):
        rows.append(("Loss", str(facts["loss"])))
    data = facts.get("data")
    if isinstance(data, Mapping):
        rows += [(str(n).capitalize(), str(v)) for n, v in data.items() if v]
    lost = facts.get("non_finite")
    if isinstance(lost, Mapping):
        where = f" of {lost['layer']}" if lost.get("layer") else ""
        rows.append(("Not finite", f"{lost.get('kind')}{where} at step {lost.get('step')}"))
    return rows


@cache
def _own_style() -> Markup:
    sheet = resources.files("chymist.report").joinpath("templates", "checkup.css")
    return Markup(sheet.read_text(encoding="utf-8"))  # noqa: S704  our own file

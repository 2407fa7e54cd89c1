"""What the page shows, gathered from a run's manifest, outcome and figures."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from markupsafe import Markup

from chymist.bibliography import Reference
from chymist.claims import Certificate, Row, Verdict, overall
from chymist.explorable import Course, course
from chymist.languages import say
from chymist.report import formulas
from chymist.report.drawing import Drawing, inlined
from chymist.report.numbers import exact, number, percent, setting, spread
from chymist.report.strip import ruler, strip

FIGURES_BYTES = 2_000_000
LARGEST_FIGURE = 400_000
MAX_LISTED = 200


@dataclass(frozen=True)
class Line:
    """The verdict at one point of a claim: one line of a table."""

    where: str
    strip: Markup
    estimate: str
    interval: str
    status: str
    missing: str
    values: str


@dataclass(frozen=True)
class PublishedView:
    """What a paper reports of a claim's statistic."""

    value: str
    setting: str
    source: str


@dataclass(frozen=True)
class ClaimView:
    """A claim with its lines, or a claim under the control."""

    anchor: str
    sentence: str
    statistic: str
    region: str
    centre: str
    status: str
    note: str
    lines: tuple[Line, ...]
    flipped: bool = False
    published: tuple[PublishedView, ...] = ()
    name: str = ""
    exact: bool = False
    certificates: tuple[Certificate, ...] = ()

    @property
    def together(self) -> bool:
        """Whether several intervals hold at once."""
        return len(self.lines) > 1


@dataclass(frozen=True)
class FigureView:
    """A drawn figure with its number."""

    anchor: str
    number: int
    caption: str
    drawing: Drawing
    name: str
    course: Course | None


@dataclass(frozen=True)
class ExperimentView:
    """An experiment: what it did, drew, claims, and its control."""

    anchor: str
    number: int
    title: str
    says: str
    ran: bool
    status: str = "inconclusive"
    figures: tuple[FigureView, ...] = ()
    claims: tuple[ClaimView, ...] = ()
    control_says: str = ""
    changes: tuple[tuple[str, str, str], ...] = ()
    control: tuple[ClaimView, ...] = ()
    diverged: int = 0

    @property
    def flipped(self) -> bool:
        """Whether every claim that had to flip did."""
        return bool(self.control) and all(claim.flipped for claim in self.control)

    @property
    def exact(self) -> bool:
        """Whether it has no seeds."""
        return bool(self.claims) and all(claim.exact for claim in self.claims)


@dataclass
class Anchors:
    """Gives every element of the page its own identifier."""

    used: set[str] = field(default_factory=set)

    def __call__(self, kind: str, name: str) -> str:
        """Return an identifier made of safe letters that no other element has."""
        base = f"{kind}-{re.sub(r'[^a-z0-9]+', '-', name.lower()).strip('-') or 'x'}"
        anchor, copy = base, 1
        while anchor in self.used:
            copy += 1
            anchor = f"{base}-{copy}"
        self.used.add(anchor)
        return anchor


def experiments(
    manifest: Mapping[str, Any], outcome: Mapping[str, Any], figures: Mapping[str, Any]
) -> list[ExperimentView]:
    """Gather every experiment of the study; one that has no outcome was not part of the run."""
    anchors = Anchors()
    drawn = 0
    limit = min(LARGEST_FIGURE, FIGURES_BYTES // max(1, len(figures)))
    views = []
    for place, record in enumerate(manifest["study"]["experiments"], 1):
        name = record["name"]
        anchor = anchors("experiment", name)
        title = name.replace("-", " ").capitalize()
        judged = outcome["experiments"].get(name)
        if judged is None:
            views.append(ExperimentView(anchor, place, title, record["says"], ran=False))
            continue
        shown = []
        for figure in record["figures"]:
            if figure["name"] in figures:
                drawn += 1
                shown.append(_figure(figure, figures[figure["name"]], drawn, anchors, limit))
        verdicts = [Verdict.from_json(v) for v in judged["claims"]]
        published = _published(manifest["study"], record)
        views.append(
            ExperimentView(
                anchor=anchor,
                number=place,
                title=title,
                says=record["says"],
                ran=True,
                status=overall([v.status for v in verdicts]),
                figures=tuple(shown),
                claims=tuple(
                    replace(
                        _claim(v, anchors("claim", v.claim)), published=published.get(v.claim, ())
                    )
                    for v in verdicts
                ),
                control_says=record["control"]["says"],
                changes=_changes(record["control"]["change"], manifest["parameters"]),
                control=tuple(_control(c, verdicts, anchors) for c in judged["control"]),
                diverged=_diverged(manifest, name),
            )
        )
    return views


def _published(
    study: Mapping[str, Any], experiment: Mapping[str, Any]
) -> dict[str, tuple[PublishedView, ...]]:
    """Name the papers as a reader knows them."""
    cited = {r["key"]: Reference.from_json(r) for r in study["references"]}
    return {
        claim["name"]: tuple(
            PublishedView(
                value=number(p["value"]),
                setting=p["setting"],
                source=cited[p["source"]].short if p["source"] in cited else p["source"],
            )
            for p in claim.get("published", ())
        )
        for claim in experiment["claims"]
    }


def _figure(
    record: Mapping[str, Any], spec: Mapping[str, Any], place: int, anchors: Anchors, limit: int
) -> FigureView:
    caption = record["caption"]
    label = f"Figure {place}: {formulas.plain(caption)}"
    drawing = inlined(spec, f"f{place}-", label, limit)
    anchor = anchors("figure", record["name"])
    return FigureView(anchor, place, caption, drawing, record["name"], course(spec))


def _claim(verdict: Verdict, anchor: str) -> ClaimView:
    scale = ruler(verdict, verdict.rows)
    last = len(verdict.rows) - 1
    lines = tuple(
        _line(row, strip(verdict, [("", row)], scale, axis=i == last), verdict.kind)
        for i, row in enumerate(verdict.rows)
    )
    return _view(verdict, anchor, lines)


def _control(record: Mapping[str, Any], verdicts: Sequence[Verdict], anchors: Anchors) -> ClaimView:
    """Draw each line of a claim under the control below the same line of the experiment."""
    verdict = Verdict.from_json(record["verdict"])
    beside = {
        tuple(row.where.items()): row
        for v in verdicts
        if v.claim == record["claim"]
        for row in v.rows
    }
    scale = ruler(verdict, [*verdict.rows, *beside.values()])
    lines = []
    for i, row in enumerate(verdict.rows):
        same = beside.get(tuple(row.where.items()))
        lanes = [("experiment", same), ("control", row)] if same else [("control", row)]
        drawing = strip(verdict, lanes, scale, axis=i == len(verdict.rows) - 1)
        lines.append(_line(row, drawing, verdict.kind))
    view = _view(verdict, anchors("control", record["claim"]), tuple(lines))
    return ClaimView(**{**view.__dict__, "flipped": bool(record["flipped"])})


def _view(verdict: Verdict, anchor: str, lines: tuple[Line, ...]) -> ClaimView:
    return ClaimView(
        anchor=anchor,
        sentence=verdict.sentence,
        statistic=verdict.statistic,
        region=_region(verdict),
        centre=verdict.centre,
        status=verdict.status,
        note="; ".join(filter(None, [verdict.note, _anytime(verdict)])),
        lines=lines,
        name=verdict.claim,
        exact=verdict.kind == "exact",
        certificates=verdict.certificates,
    )


def _anytime(verdict: Verdict) -> str:
    if not verdict.anytime or not verdict.rows:
        return ""
    seeds = len(verdict.rows[0].values)
    return say("%(n)s seeds, added until decided; intervals hold at any number of them", n=seeds)


def _region(verdict: Verdict) -> str:
    low, high = verdict.region_low, verdict.region_high
    if low is None and high is None:
        return say("any value")
    if high is None:
        return say("above %(low)s", low=number(low))
    if low is None:
        return say("below %(high)s", high=number(high))
    if low == high:
        return say("exactly %(value)s", value=exact(low))
    return say("%(low)s to %(high)s", low=number(low), high=number(high))


def _exact_line(row: Row, drawing: Markup) -> Line:
    value = exact(row.interval.estimate) if row.interval else ""
    return Line(
        where=_where(row),
        strip=drawing,
        estimate=value,
        interval=say("exact") if row.interval else say("not known"),
        status=row.status,
        missing="",
        values=value or say("not known"),
    )


def _where(row: Row) -> str:
    return ", ".join(f"{name} = {setting(value)}" for name, value in row.where.items())


def _line(row: Row, drawing: Markup, kind: str) -> Line:
    if kind == "exact":
        return _exact_line(row, drawing)
    absent = sum(v is None for v in row.values)
    estimate = interval = ""
    if row.interval:
        estimate, low, high = spread(row.interval)
        interval = say("%(low)s to %(high)s", low=low, high=high)
        interval += f" ({percent(row.interval.level)})"
    listed = ", ".join(number(v, 5) for v in row.values[:MAX_LISTED])
    if len(row.values) > MAX_LISTED:
        counts = {"some": MAX_LISTED, "n": len(row.values)}
        more = say("%(some)s of %(n)s seeds; all are in verdicts.json", **counts)
        listed += f", … ({more})"
    return Line(
        where=_where(row),
        strip=drawing,
        estimate=estimate,
        interval=interval,
        status=row.status,
        missing=say("%(some)s of %(n)s seeds missing", some=absent, n=len(row.values))
        if absent
        else "",
        values=listed,
    )


def _changes(
    change: Mapping[str, Any], parameters: Mapping[str, Any]
) -> tuple[tuple[str, str, str], ...]:
    return tuple(
        (name, setting(parameters[name]) if name in parameters else say("default"), setting(value))
        for name, value in change.items()
    )


def _diverged(manifest: Mapping[str, Any], name: str) -> int:
    """Add up what is noted for an experiment ("line") or its parts ("line, control")."""
    counts = manifest.get("diverged") or {}
    return sum(int(n) for part, n in counts.items() if part.split(",")[0] == name)


@dataclass(frozen=True)
class Parameter:
    """One line of the table of parameters."""

    name: str
    value: str
    default: str
    changed: bool
    swept: bool
    description: str
    range: str


def parameters(manifest: Mapping[str, Any]) -> list[Parameter]:
    """Gather the parameters, with what was swept from outside."""
    swept = manifest.get("sweep") or {}
    rows = []
    for name, held in manifest["parameters"].items():
        value = swept.get(name, held)
        known = manifest.get("parameter_help", {}).get(name, {})
        default = known.get("default")
        rows.append(
            Parameter(
                name=name,
                value=setting(value),
                default=setting(default) if "default" in known else "",
                changed="default" in known and setting(value) != setting(default),
                swept=name in swept,
                description=known.get("description", ""),
                range=known.get("range", "").replace(">=", "≥").replace("<=", "≤"),
            )
        )
    return rows


def references(manifest: Mapping[str, Any]) -> list[Reference]:
    """Read the study's references."""
    return [Reference.from_json(record) for record in manifest["study"]["references"]]


def summary(views: Sequence[ExperimentView]) -> str:
    """Say the result in one sentence, counting claims and controls.

    Evidence of experiments that the study no longer has judges none of its claims.
    """
    statuses = [claim.status for view in views for claim in view.claims]
    if not statuses:
        return "None of the study's experiments was part of it."
    counts = [(statuses.count(s), s) for s in ("supported", "refuted", "inconclusive")]
    present = [(n, s) for n, s in counts if n]
    if len(statuses) == 1:
        words = say("The claim is %(status)s.", status=say(statuses[0]))
    elif len(present) == 1:
        status = say(present[0][1])
        words = say("All %(n)s claims are %(status)s.", n=len(statuses), status=status)
    else:
        parts = [
            say("%(n)s is %(status)s", n=n, status=say(status))
            if n == 1
            else say("%(n)s are %(status)s", n=n, status=say(status))
            for n, status in present
        ]
        words = say("Of %(n)s claims, %(parts)s.", n=len(statuses), parts=_listed(parts))
    controls = [claim.flipped for view in views for claim in view.control]
    if not controls:
        return words
    if not all(controls):
        flips = say(
            "Under the control %(some)s of %(n)s that must flip did.",
            some=sum(controls),
            n=len(controls),
        )
    elif len(controls) == 1:
        flips = say("Under the control the claim that must flip did.")
    elif len(controls) == 2:
        flips = say("Under the control both claims that must flip did.")
    else:
        flips = say("Under the control all %(n)s claims that must flip did.", n=len(controls))
    return say("%(claims)s %(control)s", claims=words, control=flips)


def _listed(words: Sequence[str]) -> str:
    if len(words) == 1:
        return words[0]
    return say("%(first)s and %(last)s", first=say(", ").join(words[:-1]), last=words[-1])

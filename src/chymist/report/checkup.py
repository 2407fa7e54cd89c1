"""A checkup on a terminal: findings, worst first, and on demand every reading.

`record` is what `Checkup.as_json` returns; all text in it is treated as text.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from chymist.languages import say

SEVERITIES = ("critical", "warning", "note")
STYLES = {"critical": "red", "warning": "yellow", "note": "", "healthy": "green"}
MARKS = {"critical": "✗", "warning": "!", "note": "·", "healthy": "✓"}
WIDTH = 110
COLUMNS = 5
"""Quantities that a table of readings shows side by side."""
LAYERS = 6
"""Further layers of one finding that are named before they are counted."""


@dataclass(frozen=True)
class Told:
    """A finding, and the further layers of which the same rule says the same."""

    finding: Mapping[str, Any]
    others: tuple[Mapping[str, Any], ...]

    @property
    def layers(self) -> tuple[str, ...]:
        """All layers, the first finding's first."""
        return tuple(f["layer"] for f in (self.finding, *self.others))


def text(record: Mapping[str, Any], width: int = WIDTH) -> str:
    """Return the findings of a checkup as lines of at most `width` columns."""
    return _lines(findings(record), width)


def table(record: Mapping[str, Any], width: int = WIDTH) -> str:
    """Return all readings of a checkup, by layer, as lines of at most `width` columns."""
    return _lines(readings(record), width)


def page(record: Mapping[str, Any], run: Mapping[str, Any] | None = None) -> str:
    """Return a checkup as a self-contained HTML document; see `report.checkup_page`."""
    from chymist.report.checkup_page import render_checkup

    return render_checkup(record, run)


def findings(record: Mapping[str, Any]) -> RenderableType:
    """Lay out findings, what was switched off, and what it comes to."""
    parts: list[RenderableType] = []
    grouped = told(record["findings"])
    if grouped:
        rows = Table(box=None, pad_edge=False, show_edge=False, show_header=False)
        rows.add_column(no_wrap=True)
        rows.add_column(ratio=1)
        for one in grouped:
            severity = one.finding["severity"]
            sign = Text(f"{MARKS[severity]} {severity}", style=STYLES[severity])
            rows.add_row(sign, _told(one))
        parts.append(rows)
    for name, why in record["chart"]["off"].items():
        parts.append(Text(f"switched off: {name}: {printable(why)}", style="yellow"))
    parts.append(_ending(record))
    parts.append(Text(about(record["chart"]["facts"]), style="dim"))
    return Group(*parts)


def told(found: Sequence[Mapping[str, Any]]) -> list[Told]:
    """Gather what one rule says, equally badly, of several layers; the order stays."""
    several: dict[tuple[str, str, str], list[Mapping[str, Any]]] = {}
    for finding in found:
        key = (finding["severity"], finding["rule"], finding["because"])
        several.setdefault(key, []).append(finding)
    return [Told(first, tuple(others)) for first, *others in several.values()]


def comes_to(record: Mapping[str, Any]) -> str:
    """Say in one sentence what a checkup comes to."""
    verdict, found = record["verdict"], record["findings"]
    if verdict == "unmeasured":
        return say("nothing could be measured, so nothing can be said")
    if verdict == "healthy":
        notes = counted(len(found), "note") if found else say("no findings")
        return say("healthy: nothing above a note (%(notes)s)", notes=notes)
    grouped = [one.finding["severity"] for one in told(found)]
    counts = [(grouped.count(s), s) for s in SEVERITIES]
    words = [counted(n, s) for n, s in counts if n]
    return say("%(counts)s; mend the first one first", counts=", ".join(words))


def about(facts: Mapping[str, Any]) -> str:
    """Say what was examined: parameters, data, loss and optimizer, as far as they are known."""
    words = []
    if "parameters" in facts:
        words.append(say("%(n)s parameters", n=f"{facts['parameters']:,}"))
        if facts.get("trained", facts["parameters"]) != facts["parameters"]:
            words[-1] += say(" (%(n)s trained)", n=f"{facts['trained']:,}")
    data = facts.get("data", {})
    if data.get("samples"):
        words.append(say("batch of %(n)s", n=data["samples"]))
    if data.get("classes"):
        words.append(say("%(n)s classes", n=data["classes"]))
    if facts.get("loss"):
        words.append(say("loss %(name)s", name=facts["loss"]))
    if facts.get("optimizer"):
        words.append(optimizer(facts["optimizer"]))
    watched = facts.get("watch")
    if watched:
        took = share(watched)
        steps = watched["steps"]
        words.append(
            say("%(n)s steps, measuring took %(share)s of the time", n=steps, share=took)
            if took
            else say("%(n)s steps", n=steps)
        )
    return printable(" · ".join(words))


def share(watched: Mapping[str, Any]) -> str:
    """Write what share of a training's time measuring took; empty if that is not known.

    >>> share({"spent": 0.5, "elapsed": 20})
    '2.5 %'
    """
    spent, elapsed = (float(watched.get(name, math.nan)) for name in ("spent", "elapsed"))
    return f"{100 * spent / elapsed:.2g} %" if elapsed > 0 and math.isfinite(spent) else ""


def optimizer(given: Mapping[str, Any]) -> str:
    """Write an optimizer with its numbers.

    >>> optimizer({"rule": "SGD", "groups": 1, "lr": 0.1, "momentum": 0.9})
    'SGD(lr=0.1, momentum=0.9)'
    """
    shown = {n: v for n, v in given.items() if n not in ("rule", "groups") and v is not False}
    words = ", ".join(f"{name}={_setting(value)}" for name, value in shown.items())
    return f"{given.get('rule', 'optimizer')}({words})"


def readings(record: Mapping[str, Any]) -> RenderableType:
    """Lay out every quantity: of the whole network in one table, by layer in others."""
    chart = record["chart"]
    whole = Table(box=None, pad_edge=False, show_edge=False)
    for column in ("whole network", "first", "last", "at steps"):
        whole.add_column(column, justify="left" if column == "whole network" else "right")
    parts: list[RenderableType] = []
    for name, series in chart["readings"].items():
        own = [(r["step"], r["values"][""]) for r in series if "" in r["values"]]
        if own:
            steps = f"{own[0][0]}" if len(own) == 1 else f"{own[0][0]} to {own[-1][0]}"
            whole.add_row(spaced(name), number(own[0][1]), number(own[-1][1]), steps)
    if whole.row_count:
        parts.append(whole)
    for names, layers in blocks(chart):
        rows = Table(box=None, pad_edge=False, show_edge=False)
        rows.add_column("layer")
        for name in names:
            rows.add_column(spaced(name), justify="right")
        for layer in layers:
            cells = (between(chart["readings"][name], layer) for name in names)
            rows.add_row(printable(layer), *cells)
        parts += [Text(""), rows] if parts else [rows]
    return Group(*parts) if parts else Text("no readings")


def blocks(
    chart: Mapping[str, Any], columns: int = COLUMNS
) -> Iterator[tuple[list[str], list[str]]]:
    """Yield quantities that speak of the same layers, some at a time, and those layers in order."""
    alike: dict[tuple[str, ...], list[str]] = {}
    for name, series in chart["readings"].items():
        layers = ordered(chart, {layer for r in series for layer in r["values"] if layer})
        if layers:
            alike.setdefault(tuple(layers), []).append(name)
    for same, names in alike.items():
        for start in range(0, len(names), columns):
            yield names[start : start + columns], list(same)


def ordered(chart: Mapping[str, Any], layers: Iterable[str]) -> list[str]:
    """Sort layers as they follow one another in the network.

    A parameter goes with its layer, a module with the last layer in it, what is neither to the end.
    """
    places = {name: i for i, name in enumerate(chart["facts"].get("layers", {}))}
    seen: dict[str, int] = {}
    for series in chart["readings"].values():
        for reading in series:
            for layer in reading["values"]:
                seen.setdefault(layer, len(seen))

    def place(layer: str) -> tuple[int, int]:
        own = places.get(layer, places.get(layer.rpartition(".")[0]))
        if own is None:
            within = (i for name, i in places.items() if name.startswith(f"{layer}."))
            own = max(within, default=len(places))
        return own, seen.get(layer, len(seen))

    return sorted(layers, key=place)


def between(series: Sequence[Mapping[str, Any]], layer: str) -> str:
    """Write a layer's first and last value, or its only one."""
    values = [r["values"][layer] for r in series if layer in r["values"]]
    if not values:
        return ""
    first, last = number(values[0]), number(values[-1])
    return first if len(values) == 1 else f"{first} → {last}"


def number(value: Any) -> str:
    """Write a reading with four digits; what is not finite is kept as text in a record."""
    value = float(value)
    return f"{value:.4g}" if math.isfinite(value) else str(value)


def measured(finding: Mapping[str, Any]) -> str:
    """Say what was measured, and the threshold that it passed."""
    value, error = number(finding["value"]), float(finding["error"])
    if math.isfinite(error) and error > 0:
        value += f" ± {error:.2g}"
    unit = f" {finding['unit']}" if finding["unit"] != "1" else ""
    formula = f" = {finding['formula']}" if finding["formula"] else ""
    return f"measured {value}{unit}, threshold {number(finding['threshold'])}{formula}"


def backing(finding: Mapping[str, Any]) -> str:
    """Name the study that shows a finding, and how to see it."""
    if finding["provisional"]:
        return f"{finding['study']} (provisional: the study is not in the atlas yet)"
    return f"{finding['study']} (chymist run {finding['study']})"


def spaced(name: str) -> str:
    """Return a quantity's name as words."""
    return printable(name.replace("_", " "))


def counted(number: int, severity: str) -> str:
    """Write a number of findings of a severity.

    >>> counted(1, "note"), counted(2, "warning")
    ('1 note', '2 warnings')
    """
    if severity == "critical":
        return say("%(n)s critical", n=number)
    if severity == "warning":
        return say("%(n)s warning", n=number) if number == 1 else say("%(n)s warnings", n=number)
    return say("%(n)s note", n=number) if number == 1 else say("%(n)s notes", n=number)


def printable(words: str) -> str:
    r"""Return text without what could command a terminal.

    >>> printable("a\x1b[2Jb")
    'a?[2Jb'
    """
    return "".join(c if c.isprintable() else " " if c in "\n\t" else "?" for c in words)


def _told(one: Told) -> Text:
    finding = one.finding
    lines = Text(printable(finding["says"]), style="bold" if finding["severity"] != "note" else "")
    rest = [f"{where(one)}, step {finding['step']}: {measured(finding)}"]
    if finding["because"]:
        rest.append(f"follows from {finding['because']}")
    else:
        rest.append(f"remedy: {finding['remedy']}")
    rest.append(f"{finding['rule']}, shown by the study {backing(finding)}")
    for line in "\n".join(rest).splitlines():
        lines.append(f"\n{printable(line)}", style="not bold")
    return lines


def where(one: Told) -> str:
    """Name the layer that was measured, and the others, counting those beyond the first few."""
    first, *others = one.layers
    words = f"layer {first}" if first else "whole network"
    if others:
        shown = ", ".join(layer or "the whole network" for layer in others[:LAYERS])
        more = f" and {len(others) - LAYERS} more" if len(others) > LAYERS else ""
        words += f" (also {shown}{more})"
    return printable(words)


def _ending(record: Mapping[str, Any]) -> Text:
    verdict = record["verdict"]
    return Text(
        f"{MARKS.get(verdict, '?')} {comes_to(record)}", style=STYLES.get(verdict, "yellow")
    )


def _setting(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"({', '.join(map(_setting, value))})"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _lines(content: RenderableType, width: int) -> str:
    stream = io.StringIO()
    console = Console(
        file=stream, width=width, color_system=None, highlight=False, markup=False, emoji=False
    )
    console.print(content)
    return "\n".join(line.rstrip() for line in stream.getvalue().rstrip().splitlines())

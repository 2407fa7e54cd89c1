"""Dot strips: every seed's value, the interval, and the region that the claim allows, in one line.

The strip is SVG without colours of its own; the page's style sheet gives them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from chymist.claims import Row, Verdict
from chymist.languages import say
from chymist.report.numbers import exact, number, power_of_ten, spread

WIDTH = 300
MARGIN = 14
LANE = 30
AXIS = 20
MAX_DOTS = 200


@dataclass(frozen=True)
class Ruler:
    """Maps values to places [px] on a linear or logarithmic axis."""

    low: float
    high: float
    log: bool

    def __call__(self, value: float) -> float:
        """Return the place of a value, held inside the strip."""
        if self.log:
            value = math.log10(value) if value > 0 else -math.inf
        share = (value - self.low) / (self.high - self.low)
        return MARGIN + min(1.0, max(0.0, share)) * (WIDTH - 2 * MARGIN)

    def ticks(self) -> list[float]:
        """Return two to five round values on the axis."""
        if self.log:
            first, last = math.ceil(self.low - 1e-9), math.floor(self.high + 1e-9)
            if last > first:
                return [10.0**e for e in range(first, last + 1, max(1, (last - first + 3) // 4))]
            return [10.0**self.low, 10.0**self.high]
        span = self.high - self.low
        power = 10.0 ** math.floor(math.log10(span))
        step = next(
            s * power for s in (0.2, 0.25, 0.5, 1, 2, 2.5, 5) if span / (s * power) < 5.0001
        )
        first = math.ceil(self.low / step - 1e-9)
        return [i * step for i in range(first, math.floor(self.high / step + 1e-9) + 1)]

    def labels(self) -> list[str]:
        """Return the ticks as text: all as powers of ten where one is large or small."""
        ticks = self.ticks()
        if self.log and ticks[-1] / ticks[0] > 9 and max(abs(math.log10(t)) for t in ticks) > 3:
            return [power_of_ten(round(math.log10(t))) for t in ticks]
        digits = 2
        while digits < 9 and len({number(t, digits) for t in ticks}) < len(ticks):
            digits += 1
        return [number(t, digits + 1) for t in ticks]


def ruler(verdict: Verdict, rows: Sequence[Row]) -> Ruler:
    """Choose an axis on which all rows and the region's edges fit.

    Logarithmic where everything is positive and the largest is at least fifty times the smallest.
    """
    edges = [e for e in (verdict.region_low, verdict.region_high) if e is not None]
    shown = [*edges, *(v for row in rows for v in row.values if v is not None)]
    for row in rows:
        if row.interval:
            shown += [row.interval.low, row.interval.high]
    shown = [v for v in shown if math.isfinite(v)] or [0.0]
    low, high = min(shown), max(shown)
    log = low > 0 and high >= 50 * low
    if log:
        low, high = math.log10(low), math.log10(high)
    gap = 0.06 * (high - low) or 0.1 * abs(high) or 1.0
    return Ruler(low - gap, high + gap, log)


def strip(
    verdict: Verdict, lanes: Sequence[tuple[str, Row]], scale: Ruler, *, axis: bool = True
) -> Markup:
    """Draw one lane a row, each with its label ("" for none), above a common axis."""
    header = 13 if any(label for label, _ in lanes) else 0
    bottom = len(lanes) * (LANE + header)
    parts: list[Markup] = []
    for i, (label, row) in enumerate(lanes):
        top = i * (LANE + header)
        parts.append(_region(verdict, scale, top + header))
        if label:
            name = Markup("<text class='lane' x='0' y='{}'>{}</text>")
            parts.append(name.format(top + 11, say(label)))
        parts.append(
            Markup("<g class='{}'>{}</g>").format(
                label or "experiment", _lane(row, scale, top + header + LANE / 2)
            )
        )
    if axis:
        parts.append(_axis(scale, bottom))
    description = "; ".join(_say(label, row, verdict.kind) for label, row in lanes)
    return Markup(
        "<svg class='strip' viewBox='0 0 {} {}' role='img' aria-label='{}'>{}</svg>"
    ).format(
        WIDTH,
        bottom + (AXIS if axis else 0),
        say("%(values)s; region %(region)s", values=description, region=say(verdict.region)),
        Markup().join(parts),
    )


def _region(verdict: Verdict, scale: Ruler, top: float) -> Markup:
    low, high = verdict.region_low, verdict.region_high
    left = 0.0 if low is None else scale(low)
    right = WIDTH if high is None else scale(high)
    edges = Markup().join(
        Markup("<path class='edge' d='M{:.1f},{}v{}'/>").format(scale(e), top, LANE)
        for e in (low, high)
        if e is not None
    )
    return Markup("<rect class='region' x='{:.1f}' y='{}' width='{:.1f}' height='{}'/>{}").format(
        left, top, max(0.0, right - left), LANE, edges
    )


def _lane(row: Row, scale: Ruler, middle: float) -> Markup:
    parts = [Markup("<path class='base' d='M0,{0}H{1}'/>").format(middle, WIDTH)]
    values = sorted(v for v in row.values if v is not None)
    if len(values) > MAX_DOTS:
        values = [values[round(i * (len(values) - 1) / (MAX_DOTS - 1))] for i in range(MAX_DOTS)]
    for i, value in enumerate(values):
        # A fixed scatter across the lane (golden-ratio sequence) keeps equal values apart.
        y = middle + 13 * ((i + 1) * 0.618034 % 1 - 0.5)
        parts.append(
            Markup("<circle class='seed' cx='{:.1f}' cy='{:.1f}' r='2.6'/>").format(scale(value), y)
        )
    if row.interval and math.isfinite(row.interval.low + row.interval.high):
        low, high = scale(row.interval.low), scale(row.interval.high)
        parts.append(
            Markup(
                "<path class='interval' d='M{0:.1f},{2:.1f}H{1:.1f}M{0:.1f},{3:.1f}V{4:.1f}"
                "M{1:.1f},{3:.1f}V{4:.1f}'/><path class='estimate' d='M{5:.1f},{6:.1f}V{7:.1f}'/>"
            ).format(
                low,
                high,
                middle,
                middle - 5,
                middle + 5,
                scale(row.interval.estimate),
                middle - 9,
                middle + 9,
            )
        )
    return Markup().join(parts)


def _axis(scale: Ruler, top: float) -> Markup:
    mark = Markup("<path class='tick' d='M{0:.1f},{1}v4'/><text x='{0:.1f}' y='{2}'>{3}</text>")
    marks = Markup().join(
        mark.format(scale(value), top, top + 16, label)
        for value, label in zip(scale.ticks(), scale.labels(), strict=True)
    )
    return Markup("<g class='axis'><path class='tick' d='M0,{0}H{1}'/>{2}</g>").format(
        top, WIDTH, marks
    )


def _say(label: str, row: Row, kind: str) -> str:
    values = [v for v in row.values if v is not None]
    words = f"{say(label)}: " if label else ""
    if kind == "exact":
        exactly = say("exactly %(value)s", value=exact(values[0])) if values else say("not known")
        return words + exactly
    if values:
        low, high = number(min(values)), number(max(values))
        words += say("%(n)s seeds from %(low)s to %(high)s", n=len(values), low=low, high=high)
    else:
        words += say("%(n)s seeds", n=0)
    if row.interval:
        _, low, high = spread(row.interval)
        words += say(", interval %(low)s to %(high)s", low=low, high=high)
    return words

"""A finding's number against its threshold: a dot on a line, what theory allows shaded.

As the dot strips, the gauge is SVG without colours of its own; the style sheet gives them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from markupsafe import Markup

from chymist.languages import say
from chymist.report.numbers import number
from chymist.report.strip import WIDTH, Ruler

LANE = 34
AXIS = 20
MAX_DOTS = 100


def gauge(value: float, threshold: float, error: float, others: Sequence[float] = ()) -> Markup:
    """Draw a value with its standard error, the threshold, and the values of further layers.

    Empty where there is no finite threshold to draw it against. A value that is not finite stands
    at the end of the line.
    """
    if not math.isfinite(threshold):
        return Markup("")
    beyond = value > threshold or not math.isfinite(value)
    scale = _ruler([v for v in (value, threshold, *others) if math.isfinite(v)], threshold)
    edge, place = scale(threshold), _place(scale, value, beyond)
    left, width = (0.0, edge) if beyond else (edge, WIDTH - edge)
    middle = LANE / 2
    parts = [
        Markup("<rect class='region' x='{:.1f}' y='0' width='{:.1f}' height='{}'/>").format(
            left, width, LANE
        ),
        Markup("<path class='edge' d='M{:.1f},0v{}'/>").format(edge, LANE),
        Markup("<path class='base' d='M0,{0}H{1}'/>").format(middle, WIDTH),
    ]
    parts += [
        Markup("<circle class='seed' cx='{:.1f}' cy='{}' r='2.6'/>").format(
            _place(scale, v, beyond), middle
        )
        for v in others[:MAX_DOTS]
    ]
    if math.isfinite(error) and error > 0 and math.isfinite(value):
        low, high = scale(value - error), scale(value + error)
        parts.append(
            Markup("<path class='interval' d='M{0:.1f},{2}H{1:.1f}'/>").format(low, high, middle)
        )
    parts.append(Markup("<circle class='value' cx='{:.1f}' cy='{}' r='5'/>").format(place, middle))
    mark = Markup("<path class='tick' d='M{0:.1f},{1}v4'/><text x='{0:.1f}' y='{2}'>{3}</text>")
    parts.append(Markup("<path class='tick' d='M0,{0}H{1}'/>").format(LANE, WIDTH))
    parts += [
        mark.format(scale(tick), LANE, LANE + 16, label)
        for tick, label in zip(scale.ticks(), scale.labels(), strict=True)
    ]
    says = say(
        "%(value)s against a threshold of %(threshold)s",
        value=number(value),
        threshold=number(threshold),
    )
    return Markup(
        "<svg class='strip gauge' viewBox='0 0 {} {}' role='img' aria-label='{}'>{}</svg>"
    ).format(WIDTH, LANE + AXIS, says, Markup().join(parts))


def _place(scale: Ruler, value: float, beyond: bool) -> float:
    if math.isfinite(value):
        return scale(value)
    return float(WIDTH - 8 if beyond else 8)


def _ruler(shown: Sequence[float], threshold: float) -> Ruler:
    """Choose an axis on which all fits; logarithmic where all is positive and spans much."""
    low, high = min(shown), max(shown)
    log = low > 0 and high >= 20 * low
    if log:
        low, high = math.log10(low), math.log10(high)
    elif threshold > 0 and low > 0 and low < 0.5 * high:
        low = 0.0
    gap = 0.12 * (high - low) or 0.1 * abs(high) or 1.0
    return Ruler(low - gap, high + gap, log)

"""Numbers as a reader expects them: few digits, a true minus sign, powers of ten."""

from __future__ import annotations

import json
import math
from calendar import month_name
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from chymist.languages import say
from chymist.stats import Interval

_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def number(value: float | None, digits: int = 4, *, zeros: bool = False) -> str:
    r"""Write a number with `digits` significant digits; `zeros` keeps those at the end.

    >>> number(-0.123456), number(2.0), number(1.5e-7), number(0.5, zeros=True)
    ('−0.1235', '2', '1.5\xa0×\xa010⁻⁷', '0.5000')
    """
    if value is None or math.isnan(value):
        return "missing"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if value == 0:
        return "0"
    size = _magnitude(value, digits)
    if -4 <= size < 6:
        return _fixed(value, max(0, digits - 1 - size), zeros)
    return f"{_fixed(value / 10.0**size, digits - 1, zeros)}\u00a0×\u00a0{power_of_ten(size)}"


def exact(value: float) -> str:
    """Write a value with all its digits.

    >>> exact(353942783.0), exact(-0.5), exact(0.0)
    ('353942783', '−0.5', '0')
    """
    return f"{value:.17g}".replace("-", "−")


def power_of_ten(exponent: int) -> str:
    """Write a power of ten.

    >>> power_of_ten(-5)
    '10⁻⁵'
    """
    return f"10{str(exponent).translate(_SUPERSCRIPT)}"


def spread(interval: Interval) -> tuple[str, str, str]:
    """Write estimate, low and high alike, with enough digits to tell the ends apart.

    >>> spread(Interval(1.0, 0.99999, 1.00001, 0.95))
    ('1.000000', '0.999990', '1.000010')
    """
    values = (interval.estimate, interval.low, interval.high)
    sizes = [_magnitude(v, 4) for v in values if v and math.isfinite(v)]
    if not sizes or max(sizes) >= 6 or max(sizes) < -4 or not all(map(math.isfinite, values)):
        return tuple(number(v, zeros=True) for v in values)  # type: ignore[return-value]
    decimals = max(0, 3 - max(sizes))
    width = interval.high - interval.low
    if width > 0:
        # Two digits of the width, so that what is uncertain shows.
        decimals = max(decimals, min(9, 1 - math.floor(math.log10(width))))
    whole = all(v == int(v) for v in values)
    return tuple(_fixed(v, 0 if whole else decimals, True) for v in values)  # type: ignore[return-value]


def percent(level: float) -> str:
    r"""Write a level in per cent, rounded down: a level is never stated higher than it is.

    >>> [percent(level) for level in (0.95, 0.99375, 0.9999)]
    ['95\xa0%', '99.3\xa0%', '99.99\xa0%']
    """
    decimals = 1
    while level < 1 and 1 - level < 10.0 ** -(decimals + 2) * (1 - 1e-9) and decimals < 6:
        decimals += 1
    factor = 10.0**decimals
    return _fixed(math.floor(level * 100 * factor + 1e-9) / factor, decimals, False) + "\u00a0%"


def setting(value: Any) -> str:
    """Write the value of a parameter as one would type it, several separated by commas.

    >>> setting((1, 3, 0.25)), setting(True), setting(None)
    ('1, 3, 0.25', 'true', 'none')
    """
    if isinstance(value, list | tuple):
        return ", ".join(map(setting, value))
    if value is None or isinstance(value, bool):
        return "none" if value is None else str(value).lower()
    if isinstance(value, float):
        return f"{value:.10g}".replace("-", "−")
    return json.dumps(value, ensure_ascii=False) if isinstance(value, Mapping) else str(value)


def duration(seconds: float) -> str:
    """Write a time span.

    >>> duration(3.21), duration(63.2), duration(7320)
    ('3.2 s', '1 min 3 s', '2 h 2 min')
    """
    if seconds < 60:
        return say("%(n)s s", n=f"{seconds:.2g}" if seconds < 10 else f"{seconds:.0f}")
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return say("%(minutes)s min %(seconds)s s", minutes=minutes, seconds=rest)
    return say("%(hours)s h %(minutes)s min", hours=minutes // 60, minutes=minutes % 60)


def moment(iso: str) -> str:
    """Write a time stamp for people; a text that is none stays as it is.

    >>> moment("2025-11-03T14:05:09+00:00")
    '3 November 2025, 14:05 UTC'
    """
    try:
        time = datetime.fromisoformat(iso)
    except ValueError:
        return iso
    zone = (time.tzname() or "") if time.tzinfo else ""
    return say(
        "%(day)s %(name)s %(year)s, %(time)s %(zone)s",
        year=time.year,
        month=time.month,
        name=month_name[time.month],
        day=time.day,
        time=f"{time:%H:%M}",
        zone=zone,
    ).strip()


def _magnitude(value: float, digits: int) -> int:
    """Return the power of ten of the first digit once rounded."""
    return int(f"{abs(value):.{digits - 1}e}".split("e")[1])


def _fixed(value: float, decimals: int, zeros: bool) -> str:
    text = f"{value:.{decimals}f}"
    if decimals and not zeros:
        text = text.rstrip("0").rstrip(".")
    if float(text) == 0:
        text = text.lstrip("-")
    return text.replace("-", "−")

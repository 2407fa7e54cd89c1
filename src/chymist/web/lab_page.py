"""The runs of a lab, a page at a time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chymist.errors import UsageError, did_you_mean
from chymist.lab.listed import COLUMNS
from chymist.web.reading import Reading
from chymist.web.shelf import Shelf

PAGE = 50
VERDICTS = ("supported", "refuted", "inconclusive", "broken", "unfinished", "damaged")
STATES = ("healthy", "warning", "critical", "unmeasured")
"""What watched trainings come to."""
SORTS = ("study", "verdict", "preset", "started", "seconds")


def context(shelf: Shelf, reading: Reading, asked: Mapping[str, str]) -> dict[str, Any]:
    """Return what a page of the lab shows.

    Raises:
        UsageError: there is no such column, or no such page.
    """
    sort = asked.get("sort", "") or "id"
    if sort not in COLUMNS:
        raise UsageError(f"cannot sort by {sort[:40]!r}", did_you_mean(sort, COLUMNS))
    number = asked.get("page", "") or "1"
    if not (number.isascii() and number.isdigit() and 0 < int(number[:9]) < 10**8):
        raise UsageError(f"there is no page {number[:40]!r}", "allowed: integer >= 1")
    page = int(number[:9])
    fitting = {name: asked.get(name, "")[:100] or None for name in ("study", "verdict")}
    reverse = asked.get("reverse", "") == "1"
    total = reading.count(**fitting)
    runs = reading.listing(
        **fitting, sort=sort, reverse=reverse, limit=PAGE, offset=(page - 1) * PAGE
    )
    known = {entry.slug: entry.title or entry.slug for entry in shelf.entries()}
    return {
        "runs": runs,
        "total": total,
        "first": (page - 1) * PAGE + 1,
        "page": page,
        "pages": max(1, -(-total // PAGE)),
        "sort": sort,
        "reverse": reverse,
        "columns": SORTS,
        "verdicts": (*VERDICTS, *STATES),
        "titles": known,
        "asked": {name: value or "" for name, value in fitting.items()},
    }

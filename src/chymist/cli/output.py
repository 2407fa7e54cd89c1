"""How verbs print: JSON or tables on stdout, notices on stderr."""

from __future__ import annotations

import json
import sys
from typing import Any

from rich.console import Console
from rich.text import Text

STYLES = {
    "supported": "green", "refuted": "red", "inconclusive": "yellow", "broken": "red",
    "healthy": "green", "critical": "red", "warning": "yellow", "unmeasured": "yellow",
}  # fmt: skip
WIDE = 140
"""Columns of a table that no terminal bounds."""
MARKS = {
    "supported": "✓", "refuted": "✗", "inconclusive": "?", "broken": "!",
    "healthy": "✓", "critical": "✗", "warning": "!", "unmeasured": "?",
}  # fmt: skip


def out() -> Console:
    """Return the console for data."""
    # Text is text: square brackets in a run's words are no commands to the terminal.
    console = Console(file=sys.stdout, highlight=False, markup=False)
    if console.is_terminal:
        return console
    return Console(file=sys.stdout, highlight=False, markup=False, width=WIDE)


def err() -> Console:
    """Return the console for notices and progress."""
    return Console(file=sys.stderr, highlight=False, markup=False)


def print_json(value: Any) -> None:
    """Print a value as JSON."""
    sys.stdout.write(json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def mark(status: str) -> Text:
    """Return a verdict as a sign and a word."""
    return Text(f"{MARKS.get(status, '·')} {status}", style=STYLES.get(status, ""))

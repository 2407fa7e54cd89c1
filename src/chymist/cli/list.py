"""`chymist list`."""

from __future__ import annotations

from dataclasses import asdict

from rich.table import Table

from chymist import catalogue
from chymist.cli.output import out, print_json


def list_(*, json: bool = False) -> None:
    """List the studies that can be run.

    Parameters
    ----------
    json
        Print JSON.
    """
    entries = catalogue.entries()
    if json:
        print_json([asdict(entry) for entry in entries])
        return
    table = Table(box=None, pad_edge=False, show_edge=False)
    for column in ("study", "family", "question"):
        table.add_column(column, no_wrap=column == "study")
    for entry in entries:
        table.add_row(entry.slug, entry.family, entry.question or entry.title)
    out().print(table)

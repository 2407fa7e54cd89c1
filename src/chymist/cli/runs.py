"""`chymist runs`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from chymist.cli.output import err, mark, out, print_json
from chymist.lab import Lab


def runs_(*, lab: Path | None = None, json: bool = False) -> None:
    """List the runs of a lab, newest first; unfinished ones with how many chunks are sealed.

    Parameters
    ----------
    lab
        Folder of runs; else $CHYMIST_LAB, else ./chymist-lab.
    json
        Print JSON.
    """
    home = Lab(lab)
    rows = [
        {
            "id": m["id"],
            "study": m.get("study", {}).get("slug", ""),
            "verdict": m.get("verdict", m.get("status", "")),
            "preset": m.get("preset", ""),
            "started": m.get("started", ""),
            "seconds": m.get("seconds"),
            **({"chunks": m["chunks"]} if m.get("status") == "unfinished" else {}),
        }
        for m in home.manifests()
    ]
    if json:
        print_json(rows)
        return
    if not rows:
        err().print(f"no runs in {home.folder} yet; chymist run SLUG makes one")
        return
    table = Table(box=None, pad_edge=False, show_edge=False)
    for column in ("run", "study", "verdict", "preset", "started", "seconds"):
        table.add_column(column, no_wrap=True)
    for row in rows:
        table.add_row(
            row["id"],
            row["study"],
            _state(row),
            row["preset"],
            row["started"],
            "" if row["seconds"] is None else f"{row['seconds']:.0f}",
        )
    out().print(table)


def _state(row: dict[str, Any]) -> Text:
    if "chunks" not in row:
        return mark(row["verdict"])
    return Text(f"… {row['chunks']['sealed']} of {row['chunks']['of']} chunks", style="yellow")

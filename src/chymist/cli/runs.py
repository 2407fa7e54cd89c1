"""`chymist runs`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from rich.table import Table
from rich.text import Text

from chymist.cli.output import err, mark, out, print_json
from chymist.errors import DamagedRun, UsageError, did_you_mean
from chymist.lab import Lab, Run

if TYPE_CHECKING:
    from chymist.lab.listed import Listed

SHOWN = 50
"""Lines of a table; JSON is for programs, which want all."""
UNFINISHED = "unfinished"
KINDS = ("study", "watched")


def runs_(
    *,
    study: str | None = None,
    verdict: str | None = None,
    kind: str | None = None,
    sort: str = "id",
    reverse: Annotated[bool, Parameter(negative="")] = False,
    limit: int | None = None,
    offset: int = 0,
    lab: Path | None = None,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """List the runs of a lab, newest first; unfinished ones with how many chunks are sealed.

    Parameters
    ----------
    study
        Only runs of the study with this slug, or watched trainings of this name.
    verdict
        Only runs with this verdict: supported, refuted, inconclusive, broken, unfinished, damaged;
        of watched trainings: healthy, warning, critical, unmeasured.
    kind
        Only study, the runs of studies, or watched, the watched trainings.
    sort
        Column to sort by: id (when it was begun), started and seconds from the latest or longest;
        study, verdict and preset from A to Z.
    reverse
        The other way round.
    limit
        At most so many; 0 for all. By default 50 in a table, all in JSON.
    offset
        Leave out so many first.
    lab
        Folder of runs; else $CHYMIST_LAB, else ./chymist-lab.
    json
        Print JSON.
    """
    from chymist.lab.listed import COLUMNS

    if sort not in COLUMNS:
        raise UsageError(f"cannot sort by {sort}", did_you_mean(sort, COLUMNS))
    if kind not in (None, *KINDS):
        raise UsageError(f"no kind of run is called {kind}", did_you_mean(kind, KINDS))
    for name, number in (("limit", limit or 0), ("offset", offset)):
        if not 0 <= number < 2**62:
            raise UsageError(f"{name} cannot be {number}", "allowed: integer >= 0")
    home = Lab(lab)
    shown = (None if json else SHOWN) if limit is None else limit or None
    # One more than shown tells whether there are more.
    more = None if shown is None else shown + 1
    rows = home.listing(
        study=study,
        verdict=verdict,
        kind=kind,
        sort=sort,
        reverse=reverse,
        limit=more,
        offset=offset,
    )
    cut = shown is not None and len(rows) > shown
    rows = rows[:shown]
    if json:
        print_json([asdict(row) | _chunks(home, row) for row in rows])
        return
    if not rows:
        _say_none(home, study, bool(verdict or kind or offset))
        return
    table = Table(box=None, pad_edge=False, show_edge=False)
    for column in ("run", "study", "verdict", "preset", "started", "seconds"):
        table.add_column(column, no_wrap=True)
    for row in rows:
        seconds = "" if row.seconds is None else f"{row.seconds:.0f}"
        table.add_row(row.id, row.study, _state(home, row), _preset(row), row.started, seconds)
    out().print(table)
    for row in rows:
        if row.note:
            err().print(row.note, soft_wrap=True)
    if cut:
        goes_on = f"and more: --offset {offset + len(rows)} goes on, --limit 0 shows all"
        err().print(goes_on, soft_wrap=True)


def _chunks(home: Lab, row: Listed) -> dict[str, Any]:
    """Return how many chunks of an unfinished run are sealed."""
    if row.verdict != UNFINISHED:
        return {}
    try:
        done, of = Run.open(home.runs_folder / row.id).progress
    except DamagedRun as error:
        return {"verdict": "damaged", "note": str(error)}
    return {"chunks": {"sealed": done, "of": of}}


def _state(home: Lab, row: Listed) -> Text:
    match _chunks(home, row):
        case {"chunks": {"sealed": done, "of": of}}:
            return Text(f"… {done} of {of} chunks", style="yellow")
        case {"verdict": verdict}:
            return mark(str(verdict))
    return mark(row.verdict)


def _preset(row: Listed) -> str:
    return f"({row.preset or 'watched'})" if row.kind == "watched" else row.preset


def _say_none(home: Lab, study: str | None, chosen: bool) -> None:
    if study is None and not chosen:
        err().print(f"no runs in {home.folder} yet; chymist run SLUG makes one")
        return
    known = home.index.studies()
    hint = f" ({did_you_mean(study, known)})" if study is not None and study not in known else ""
    err().print(f"no such runs in {home.folder}{hint}", soft_wrap=True)

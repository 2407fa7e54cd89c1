"""`chymist findings`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from chymist.cli.output import err, out, print_json

if TYPE_CHECKING:
    from chymist.doctor import Checkup
    from chymist.lab.watched import Watched


def findings_(
    run: str = "latest",
    /,
    *,
    table: Annotated[bool, Parameter(negative="")] = False,
    report: Path | None = None,
    tensorboard: Path | None = None,
    lab: Path | None = None,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Show what the doctor found in a watched training.

    Exit code 0: nothing above a note. 3: a warning, or nothing could be measured. 4: something
    critical, which breaks the training.

    Parameters
    ----------
    run
        A watched training by id, a unique part of it, its name (the newest so called), or latest.
    table
        Print every reading, by layer, as well.
    report
        Write a report to this file, as one page of HTML.
    tensorboard
        Write every reading as a scalar into this folder, for TensorBoard.
    lab
        Folder of runs; else $CHYMIST_LAB, else ./chymist-lab.
    json
        Print findings and readings as JSON.
    """
    from chymist.doctor.checkup import Checkup
    from chymist.lab import Lab

    found = Lab(lab).watched(run)
    if tensorboard is not None:
        from chymist.doctor.scalars import write_tensorboard

        write_tensorboard(Checkup.from_json(found.checkup), tensorboard)
        err().print(f"scalars: {tensorboard}", soft_wrap=True)
    return print_watched(found, json=json, table=table, report=report)


def print_watched(found: Watched, **options: Any) -> int:
    """Print the findings of a watched training; options and return as for `print_checkup`."""
    from chymist.doctor.checkup import Checkup

    if not found.finished:
        err().print(
            f"unfinished: kept {found.manifest['finished']}; the training goes on, or was cut off",
            soft_wrap=True,
        )
    return print_checkup(Checkup.from_json(found.checkup), run=found.manifest, **options)


def print_checkup(
    checkup: Checkup,
    *,
    json: bool = False,
    table: bool = False,
    report: Path | None = None,
    run: dict[str, object] | None = None,
) -> int:
    """Print findings, or all as JSON; write the report that is asked for; return the exit code."""
    from chymist.report import checkup as shown

    record = checkup.as_json()
    if report is not None:
        from chymist.files import write_text

        write_text(report, shown.page(record, run))
        err().print(f"report: {report}", soft_wrap=True)
    if json:
        print_json({**({"id": run["id"], "name": run["name"]} if run else {}), **record})
        return checkup.exit_code
    out().print(shown.findings(record))
    if table:
        out().print(shown.readings(record))
    return checkup.exit_code

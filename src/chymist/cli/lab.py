"""`chymist lab`: the care of a lab's folder."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from chymist.cli.output import err, out, print_json
from chymist.lab import Lab

lab_ = App(name="lab", help="Check a lab's files, rebuild its index, clear what crashes left.")


@lab_.command(name="verify")
def verify_(
    *runs: str,
    lab: Path | None = None,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Compare every file of every run with its digest. Exit code 6 if one is damaged.

    Of runs that were never finished, finished chunks are checked and unfinished ones named.

    Parameters
    ----------
    runs
        Runs by id, a unique part of it, a study's slug (its newest run), or latest; else all.
    lab
        Folder of runs; else $CHYMIST_LAB, else ./chymist-lab.
    json
        Print JSON, with the whole digests.
    """
    from chymist.lab.verify import verify

    home = Lab(lab)
    folders = [home.find(name) for name in runs] if runs else home.folders()
    seen = [verify(folder) for folder in folders]
    harmed = sum(not run.sound for run in seen)
    if json:
        print_json([{**asdict(run), "sound": run.sound} for run in seen])
        return 6 if harmed else 0
    console = out()
    for finding in (f for run in seen for f in run.findings):
        remedy = f" ({finding.remedy})" if finding.remedy else ""
        console.print(f"{finding.kind}: {finding.says}{remedy}", soft_wrap=True)
    files = sum(run.files for run in seen)
    checked = f"{_count(len(seen), 'run')}, {_count(files, 'file')}"
    ending = f"{harmed} of the runs cannot be relied on" if harmed else "no damage"
    console.print(f"{checked} in {home.folder}: {ending}", soft_wrap=True)
    return 6 if harmed else 0


@lab_.command(name="rebuild")
def rebuild_(*, lab: Path | None = None) -> None:
    """Make the index of a lab anew from its folder. Nothing else depends on it.

    Parameters
    ----------
    lab
        Folder of runs; else $CHYMIST_LAB, else ./chymist-lab.
    """
    home = Lab(lab)
    number = home.index.rebuild() if home.runs_folder.is_dir() else 0
    err().print(f"{_count(number, 'run')} in {home.folder}", soft_wrap=True)


@lab_.command(name="gc")
def gc_(
    *,
    unfinished: Annotated[bool, Parameter(negative="")] = False,
    yes: Annotated[bool, Parameter(negative="")] = False,
    lab: Path | None = None,
) -> None:
    """List half-written files that crashes left, and with --yes remove them.

    Never removes a finished run, nor what was written to a moment ago.

    Parameters
    ----------
    unfinished
        Also runs that were never finished; `chymist resume` would finish them.
    yes
        Remove what is listed.
    lab
        Folder of runs; else $CHYMIST_LAB, else ./chymist-lab.
    """
    from chymist.lab.clearing import clear, left_over
    from chymist.lab.verify import printable

    home = Lab(lab)
    found = left_over(home, unfinished)
    console, notices = out(), err()
    for thing in found:
        if thing.kept:
            notices.print(f"kept {printable(str(thing.path))}: {thing.kept}", soft_wrap=True)
        else:
            console.print(printable(str(thing.path)), soft_wrap=True)
    going = [thing for thing in found if not thing.kept]
    if not going:
        notices.print(f"nothing to remove in {home.folder}", soft_wrap=True)
    elif yes:
        freed = clear(home, going)
        notices.print(f"removed {_count(len(going), 'thing')}, {freed / 1e6:.3g} MB")
    else:
        size = sum(thing.bytes for thing in going) / 1e6
        notices.print(f"{_count(len(going), 'thing')}, {size:.3g} MB; --yes removes them")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"

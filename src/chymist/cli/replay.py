"""`chymist replay`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from rich.table import Table
from rich.text import Text

from chymist.cli.interrupts import polite
from chymist.cli.output import out, print_json
from chymist.cli.progress import progress
from chymist.lab import Lab

if TYPE_CHECKING:
    from chymist.lab.replay import Replay


def replay_(
    run: str = "latest",
    /,
    *,
    lab: Path | None = None,
    threads: int | None = None,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Compute a run again and compare every array with what was stored, byte by byte.

    Exit code 0: the same. 6: not the same; then it says which arrays differ, by how much, and what
    else has changed since: source, versions, threads, machine. The run itself is left alone.

    Parameters
    ----------
    run
        A run's id, a unique part of it, a study's slug (its newest run), or latest.
    lab
        Folder of runs; else $CHYMIST_LAB, else ./chymist-lab.
    threads
        Processor threads; by default as many as the run had.
    json
        Print JSON.
    """
    found = Lab(lab).open(run)
    with polite():
        from chymist.lab.replay import replay

        with progress() as observe:
            done = replay(found, threads=threads, observe=observe)
    if json:
        print_json(done.to_json())
    else:
        _print(done)
    return done.exit_code


def _print(done: Replay) -> None:
    console = out()
    if done.same:
        words = f"the same, byte for byte: {done.arrays} arrays in {done.chunks} chunks"
        console.print(Text(f"✓ {words}  (run {done.run})", style="green"))
    else:
        table = Table(box=None, pad_edge=False, show_edge=False)
        for column in ("chunk", "array", "values", "largest difference", "relative"):
            table.add_column(column)
        for d in done.differences:
            size = ["" if x is None else f"{x:.3g}" for x in (d.largest, d.relative)]
            table.add_row(d.chunk, d.variable, f"{d.values} of {d.of}", *size)
        console.print(table)
        words = f"not the same: {len(done.differences)} of {done.arrays} arrays differ"
        console.print(Text(f"✗ {words}  (run {done.run})", style="red"))
    for name, (was, now) in done.changed.items():
        console.print(Text(f"changed since: {name}: was {was}, is {now}"), soft_wrap=True)
    if not done.same and not done.changed:
        console.print("nothing that is recorded has changed: this study does not repeat")

"""`chymist show`."""

from __future__ import annotations

from pathlib import Path

from rich.table import Table
from rich.text import Text

from chymist.cli.output import mark, out, print_json
from chymist.lab import Lab, Run


def show_(run: str = "latest", /, *, lab: Path | None = None, json: bool = False) -> None:
    """Show a run's verdicts.

    Parameters
    ----------
    run
        A run's id, a unique part of it, a study's slug (its newest run), or latest.
    lab
        Folder of runs; else $CHYMIST_LAB, else ./chymist-lab.
    json
        Print JSON.
    """
    found = Lab(lab).open(run)
    if json:
        from chymist import report

        print_json(report.summary(found.manifest, found.outcome))
    else:
        print_outcome(found)


def print_outcome(run: Run) -> None:
    """Print claims and controls with their intervals and verdicts, then the overall verdict."""
    console = out()
    study = run.manifest["study"]
    console.print(Text(study["title"], style="bold"))
    table = Table(box=None, pad_edge=False, show_edge=False)
    for column in ("claim", "at", "estimate", "95 % interval", "region", "verdict"):
        table.add_column(
            column, justify="right" if column == "estimate" else "left", no_wrap=column != "region"
        )
    for experiment in run.outcome["experiments"].values():
        for verdict in experiment["claims"]:
            _add(table, verdict["claim"], verdict, None)
        for control in experiment["control"]:
            flipped = "supported" if control["flipped"] else "broken"
            word = "flipped" if control["flipped"] else "did not flip"
            _add(table, f"  control of {control['claim']}", control["verdict"], (flipped, word))
    console.print(table)
    whole = "broken" if run.broken else run.status
    ending = ", but a control did not flip: the claims prove nothing" if run.broken else ""
    seconds = run.manifest["seconds"]
    console.print(mark(whole), Text(f"{ending}  ({seconds:.0f} s, run {run.id})"), sep="")


def _add(table: Table, name: str, verdict: dict, sign: tuple[str, str] | None) -> None:  # type: ignore[type-arg]
    for row in verdict["rows"]:
        interval = row["interval"]
        shown = f"[{interval['low']:.4g}, {interval['high']:.4g}]" if interval else "none"
        where = ", ".join(f"{k}={v}" for k, v in row["where"].items())
        status = mark(row["status"])
        if sign:
            status = mark(sign[0])
            status.plain = f"{status.plain.split()[0]} {sign[1]}"
        table.add_row(
            name,
            where,
            f"{interval['estimate']:.4g}" if interval else "",
            shown,
            verdict["region"],
            status,
        )

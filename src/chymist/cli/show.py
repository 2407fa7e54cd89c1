"""`chymist show`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from chymist.cli.output import mark, out, print_json
from chymist.lab import Lab, Run
from chymist.lab.layout import command, is_watched
from chymist.lab.watched import Watched

MOST_CERTIFICATES = 12


def show_(run: str = "latest", /, *, lab: Path | None = None, json: bool = False) -> None:
    """Show a run's verdicts, or a watched training's findings.

    Of an unfinished run, the verdicts that are known already.

    Parameters
    ----------
    run
        A run's id, a unique part of it, a study's slug (its newest run), or latest.
    lab
        Folder of runs; else $CHYMIST_LAB, else ./chymist-lab.
    json
        Print JSON.
    """
    folder = Lab(lab).find(run)
    if is_watched(folder):
        from chymist.cli.findings import print_watched

        print_watched(Watched.open(folder), json=json)
        return
    found = Run.open(folder)
    if json:
        from chymist import report

        print_json(report.summary(found.manifest, found.outcome))
    else:
        print_outcome(found)


def print_outcome(run: Run) -> None:
    """Print claims and controls with intervals and verdicts, certificates, the overall verdict."""
    console = out()
    study = run.manifest["study"]
    console.print(Text(study["title"], style="bold"))
    table = Table(box=None, pad_edge=False, show_edge=False)
    grown = bool(run.manifest.get("until_decided"))
    seeds = ("seeds",) if grown else ()
    for column in ("claim", "at", *seeds, "estimate", "95 % interval", "region"):
        table.add_column(column, justify="right" if column in ("seeds", "estimate") else "left")
    table.add_column("verdict", no_wrap=True, min_width=14)
    for experiment in run.outcome["experiments"].values():
        for verdict in experiment["claims"]:
            _add(table, verdict["claim"], verdict, mark, grown)
        for control in experiment["control"]:
            _add(table, f"  control of {control['claim']}", control["verdict"], _flip, grown)
    if run.outcome["experiments"]:
        console.print(table)
    for claim, found in run.outcome.get("maps", {}).items():
        where = "; ".join(f"{a:g} to {b:g}" for a, b in found["edges"])
        over = ", ".join(found["parameters"])
        crossed = f"; its region's edge lies in {over} {where}" if where else ""
        console.print(Text(f"map of {claim} over {over}: {found['points']} points{crossed}"))
    _print_certificates(console, run)
    if not run.sealed:
        done, of = run.progress
        early = "an early look, provisional: " if run.outcome["experiments"] else ""
        how = f"{command('resume', run.folder)} continues"
        console.print(Text(f"… {early}{done} of {of} chunks  ({how})", "yellow"), soft_wrap=True)
        return
    ending = ": a control did not flip, so the claims prove nothing" if run.broken else ""
    seconds = run.manifest["seconds"]
    console.print(
        mark(run.manifest["verdict"]), Text(f"{ending}  ({seconds:.0f} s, run {run.id})"), sep=""
    )


def _print_certificates(console: Console, run: Run) -> None:
    """Print what shows the exact claims, each thing once; of much the first."""
    printed: set[str] = set()
    for experiment in run.outcome["experiments"].values():
        for verdict in experiment["claims"]:
            shown = verdict.get("certificates", [])
            for certificate in shown[:MOST_CERTIFICATES]:
                sign = "✓" if certificate["holds"] else "! does not hold:"
                says = f"{sign} {certificate['says']}: "
                if says not in printed:
                    line = Text.assemble(says, (certificate["shows"], "bold"))
                    console.print(line, soft_wrap=True)
                printed.add(says)
            if len(shown) > MOST_CERTIFICATES:
                more = len(shown) - MOST_CERTIFICATES
                console.print(f"… and {more} more certificates of {verdict['claim']} in the report")


def _flip(status: str) -> Text:
    """Say whether a claim flipped under its control, which is there to refute it."""
    if status == "refuted":
        return Text("✓ flipped", style="green")
    return mark(status) if status == "inconclusive" else Text("! did not flip", style="red")


def _add(
    table: Table, name: str, verdict: dict[str, Any], sign: Callable[[str], Text], grown: bool
) -> None:
    for row in verdict["rows"]:
        interval = row["interval"]
        exact = verdict.get("kind") == "exact"
        digits = ".17g" if exact else ".4g"
        shown = f"[{interval['low']:.4g}, {interval['high']:.4g}]" if interval else "none"
        if exact:
            shown = "exact" if interval else "not known"
        table.add_row(
            name,
            ", ".join(f"{k}={v}" for k, v in row["where"].items()),
            *([str(len(row["values"]))] if grown else []),
            f"{interval['estimate']:{digits}}" if interval else "",
            shown,
            verdict["region"].replace("between ", "").replace(" and ", " to "),
            sign(row["status"]),
        )

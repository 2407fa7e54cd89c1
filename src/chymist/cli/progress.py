"""Bars with the time left on a terminal; in a pipe only what went wrong."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from chymist.cli.interrupts import Hint
from chymist.cli.output import err
from chymist.lab.layout import command

if TYPE_CHECKING:
    from chymist.lab.events import Event, Observer


@contextmanager
def progress(hint: Hint | None = None) -> Iterator[Observer]:
    """Show the events of a run, and keep in `hint`, if given, how to go on with it."""

    def noted(event: Event) -> None:
        if hint is not None:
            hint.text = f"interrupted (to continue: {command('resume', event.run)})"
        if event.notice:
            console.print(Text(f"chymist: {event.notice}"), soft_wrap=True)

    console = err()
    if not console.is_terminal or os.environ.get("TERM") == "dumb":
        yield noted
        return
    with _bars(console) as draw:

        def observe(event: Event) -> None:
            noted(event)
            draw(event)

        yield observe


@contextmanager
def _bars(console: Console) -> Iterator[Observer]:
    bars = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )
    whole = bars.add_task("chunks", total=None)
    tasks: dict[tuple[int, str], TaskID] = {}

    def draw(event: Event) -> None:
        bars.update(whole, total=event.chunks, completed=event.sealed)
        if event.label in ("starting", "done"):
            for key in [key for key in tasks if key[0] == event.chunk]:
                bars.remove_task(tasks.pop(key))
            return
        key = (event.chunk, event.label)
        if key not in tasks:
            arm = "" if event.arm == "treatment" else " (control)"
            tasks[key] = bars.add_task(f"{event.experiment}{arm}: {event.label}", total=event.steps)
        bars.update(tasks[key], completed=event.done)

    with bars:
        yield draw

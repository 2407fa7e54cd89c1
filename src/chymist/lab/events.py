"""What a run tells whoever watches it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chymist.bench import Watcher
    from chymist.lab.chunk import Chunk
    from chymist.study import Experiment

Observer = Callable[["Event"], None]
Onlooker = Callable[["Experiment", "Chunk"], "Watcher"]
"""Asked, when a chunk begins in this process, for who looks on at its trainings."""


@dataclass(frozen=True)
class Event:
    """Where a run stands: `sealed` of `chunks` chunks; in this one, step `done` of `steps`.

    `run` is its folder. `label` says what the steps are of; "starting" and "done" begin and end a
    chunk. A `notice` is something that went wrong and was dealt with, in words.
    """

    run: Path
    sealed: int
    chunks: int
    chunk: int
    experiment: str
    arm: str
    label: str
    done: int
    steps: int
    notice: str = ""


def ignore(event: Event) -> None:
    """Observe nothing."""

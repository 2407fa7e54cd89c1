"""The errors a user can cause or meet, each with a hint and an exit code.

::

    ChymistError                  1
    ├── UsageError                2   something asked for is not possible as asked
    │   ├── UnknownStudy              no study of this name
    │   ├── UnknownRun                no run of this name in the lab
    │   ├── UnfinishedRun             a run that must be resumed before it can be used so
    │   ├── CannotResume              a run whose study or versions are no longer those of its plan
    │   ├── RunInUse                  another process is computing the run
    │   ├── BadParameter              a parameter that is unknown, mistyped or out of range
    │   ├── BadInput                  a data file that cannot be used
    │   ├── TooLarge                  networks, or a table, that do not fit into the memory
    │   ├── CannotMeasure             a model, loss or data that an instrument cannot measure
    │   │   └── MovingTarget              a model or loss whose value changes from call to call
    │   └── BadStudy                  a study file that is broken or breaks the contract
    ├── WorkerDied                1   a worker process ended twice in the same chunk
    ├── BadCluster                2   a cluster that does not answer, or differs from the plan
    ├── DamagedRun                6   a file of a run is missing or altered
    │   └── NewerRun                  a newer version wrote the run
    └── CannotWrite               7   the lab's folder or disk refuses

    KeyboardInterrupt
    └── Interrupted             130   a run was interrupted; what it has sealed is kept

Divergence, non-convergence and missing evidence are results, not errors.
"""

from __future__ import annotations

import difflib
import textwrap
from collections.abc import Iterable


class ChymistError(Exception):
    """An error that is reported in one line: what, the value, what is allowed, what to do."""

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = " ".join(message.split())
        self.hint = " ".join(hint.split())

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class UsageError(ChymistError):
    """What was asked for is not possible as asked."""

    exit_code = 2


class UnknownStudy(UsageError):
    """No study has this slug."""


class UnknownRun(UsageError):
    """No run in the lab has this name."""


class UnfinishedRun(UsageError):
    """A run must be resumed before it can be used so."""


class CannotResume(UsageError):
    """A run's study, versions or source are no longer those it was planned with."""


class RunInUse(UsageError):
    """Another process is computing the run."""


class BadParameter(UsageError):
    """A parameter is unknown, of the wrong type, or out of range."""


class BadInput(UsageError):
    """A data file cannot be used."""


class TooLarge(UsageError):
    """Networks, however they are split, or a table do not fit into the memory."""


class CannotMeasure(UsageError):
    """A model, a loss or data that an instrument cannot measure as they are."""


class MovingTarget(CannotMeasure):
    """A model or a loss whose value changes from one call to the next."""


class BadStudy(UsageError):
    """A study file cannot be read, or the study breaks its contract."""


class WorkerDied(ChymistError):
    """A worker process ended twice in the same chunk without saying why."""


class BadCluster(ChymistError):
    """A cluster cannot be reached, or a node of it cannot compute what was planned."""

    exit_code = 2


class DamagedRun(ChymistError):
    """A file of a sealed run is missing or differs from its digest.

    `file` names it; `expected` and `found` are the whole SHA-256 digests, where there are two.
    """

    exit_code = 6

    def __init__(
        self, message: str, hint: str = "", *, file: str = "", expected: str = "", found: str = ""
    ) -> None:
        super().__init__(message, hint)
        self.file, self.expected, self.found = file, expected, found


class NewerRun(DamagedRun):
    """A run was written by a newer version, in a format that this one does not know."""


class CannotWrite(ChymistError):
    """The lab's folder or disk refuses to be written."""

    exit_code = 7


class Interrupted(KeyboardInterrupt):
    """A run was interrupted: what it has sealed is kept, and the hint says how to go on."""

    exit_code = 130

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})"


SHORT = 200
"""Characters of known words in a hint; a line is to be read at a glance."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return a hint with the nearest known word, or the known words, of many the first few.

    >>> did_you_mean("widht", ["width", "steps"])
    'did you mean width?'
    >>> did_you_mean("x", ["width", "steps"])
    'known: steps, width'
    """
    names = sorted(known)
    if near := difflib.get_close_matches(word, names, n=1):
        return f"did you mean {near[0]}?"
    listed = ", ".join(names) or "none"
    return "known: " + textwrap.shorten(listed, SHORT, placeholder=f" ... ({len(names)} in all)")

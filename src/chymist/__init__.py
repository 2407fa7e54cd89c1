"""chymist: the laboratory for the phenomena of deep learning.

Run a study with `chymist.run("frequency-principle")`; write one with the names below. Importing
chymist imports no torch: every name is loaded when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chymist.api import resume, run, write_report
    from chymist.bench import Bench, samples
    from chymist.bibliography import Reference, references
    from chymist.catalogue import find
    from chymist.claims import (
        Certificate,
        Claim,
        Published,
        Verdict,
        above,
        below,
        between,
        exactly,
    )
    from chymist.doctor import Checkup, Finding, preflight, watch
    from chymist.errors import ChymistError
    from chymist.lab import Lab, Run
    from chymist.params import Axis, ExactParams, Field, Lane, Params
    from chymist.study import Control, Experiment, Figure, Input, Study

_HOME = {
    "Axis": "params",
    "Bench": "bench",
    "Certificate": "claims",
    "Checkup": "doctor",
    "ChymistError": "errors",
    "Claim": "claims",
    "Control": "study",
    "ExactParams": "params",
    "Experiment": "study",
    "Field": "params",
    "Figure": "study",
    "Finding": "doctor",
    "Input": "study",
    "Lab": "lab",
    "Lane": "params",
    "Params": "params",
    "Published": "claims",
    "Reference": "bibliography",
    "Run": "lab",
    "Study": "study",
    "Verdict": "claims",
    "above": "claims",
    "below": "claims",
    "between": "claims",
    "exactly": "claims",
    "find": "catalogue",
    "preflight": "doctor",
    "references": "bibliography",
    "resume": "api",
    "run": "api",
    "samples": "bench",
    "watch": "doctor",
    "write_report": "api",
}

__all__ = [
    "Axis",
    "Bench",
    "Certificate",
    "Checkup",
    "ChymistError",
    "Claim",
    "Control",
    "ExactParams",
    "Experiment",
    "Field",
    "Figure",
    "Finding",
    "Input",
    "Lab",
    "Lane",
    "Params",
    "Published",
    "Reference",
    "Run",
    "Study",
    "Verdict",
    "above",
    "below",
    "between",
    "exactly",
    "find",
    "preflight",
    "references",
    "resume",
    "run",
    "samples",
    "watch",
    "write_report",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(f"chymist.{_HOME[name]}"), name)
    raise AttributeError(f"module 'chymist' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__

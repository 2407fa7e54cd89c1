"""The doctor: instruments on the user's own training, and findings that cite their study."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from chymist.doctor.checkup import Checkup
from chymist.doctor.finding import Finding

if TYPE_CHECKING:
    from chymist.doctor.before_training import preflight
    from chymist.doctor.during_training import Watch, watch

# What measures needs torch; a checkup that was kept is read and judged without it.
_HOME = {"Watch": "during_training", "preflight": "before_training", "watch": "during_training"}

__all__ = ["Checkup", "Finding", "Watch", "preflight", "watch"]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(f"chymist.doctor.{_HOME[name]}"), name)
    raise AttributeError(f"module 'chymist.doctor' has no attribute {name!r}")

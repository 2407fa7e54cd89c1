"""The doctor: instruments on the user's own training, and findings that cite their study."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chymist.doctor.checkup import Checkup
from chymist.doctor.finding import Finding

if TYPE_CHECKING:
    from chymist.doctor.before_training import preflight
    from chymist.doctor.during_training import Watch, watch

__all__ = ["Checkup", "Finding", "Watch", "preflight", "watch"]


def __getattr__(name: str) -> Any:
    # What measures needs torch; a checkup that was kept is read and judged without it.
    if name == "preflight":
        from chymist.doctor.before_training import preflight

        return preflight
    if name in ("Watch", "watch"):
        from chymist.doctor import during_training

        return getattr(during_training, name)
    raise AttributeError(f"module 'chymist.doctor' has no attribute {name!r}")

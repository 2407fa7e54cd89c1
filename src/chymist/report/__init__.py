"""The report of a run or of a checkup, and the formulas of its text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chymist.report.summary import bibtex, summary

if TYPE_CHECKING:
    from chymist.report.page import render_report

__all__ = ["bibtex", "render_report", "summary"]


def __getattr__(name: str) -> Any:
    # What draws takes half a second to load, and a table on a terminal needs none of it.
    if name == "render_report":
        from chymist.report.page import render_report

        return render_report
    raise AttributeError(f"module 'chymist.report' has no attribute {name!r}")

"""The report of a run, and the formulas of its text."""

from chymist.report.page import render_report
from chymist.report.summary import bibtex, summary

__all__ = ["bibtex", "render_report", "summary"]

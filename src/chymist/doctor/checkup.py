"""The outcome of a preflight or a watched training: its chart and its findings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chymist.doctor.chart import Chart
from chymist.doctor.diagnosis import diagnose
from chymist.doctor.finding import Finding, Severity, worst


@dataclass(frozen=True)
class Checkup:
    """Findings, worst first, and the chart that they were made from."""

    findings: tuple[Finding, ...]
    chart: Chart

    @classmethod
    def of(cls, chart: Chart) -> Checkup:
        """Judge a chart."""
        return cls(diagnose(chart), chart)

    @property
    def worst(self) -> Severity | None:
        """The highest severity; None without findings."""
        return worst(self.findings)

    @property
    def verdict(self) -> str:
        """What it comes to: "critical", "warning", "healthy", "unmeasured".

        Healthy is a training with nothing above a note, unmeasured one of which nothing is known.
        """
        if self.worst in ("critical", "warning"):
            return str(self.worst)
        return "healthy" if self.chart.readings else "unmeasured"

    @property
    def exit_code(self) -> int:
        """0 healthy, 3 a warning, or nothing could be measured, 4 something critical."""
        return {"healthy": 0, "critical": 4}.get(self.verdict, 3)

    def table(self, width: int = 110) -> str:
        """Return every reading, by layer, as lines for a terminal; `print` shows the findings."""
        from chymist.report import checkup

        return checkup.table(self.as_json(), width)

    def as_json(self) -> dict[str, Any]:
        """Return findings and chart as JSON values."""
        return {
            "verdict": self.verdict,
            "findings": [f.as_json() for f in self.findings],
            "chart": self.chart.as_json(),
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Checkup:
        """Return the checkup that `as_json` wrote, its findings as they were told then."""
        findings = tuple(Finding.from_json(f) for f in record["findings"])
        return cls(findings, Chart.from_json(record["chart"]))

    def __str__(self) -> str:
        """Return the findings as lines for a terminal."""
        from chymist.report import checkup

        return checkup.text(self.as_json())

    def __repr__(self) -> str:
        """One line: what it comes to, and the rules that found something."""
        rules = ", ".join(dict.fromkeys(f.rule for f in self.findings))
        return f"Checkup({self.verdict}{': ' if rules else ''}{rules})"

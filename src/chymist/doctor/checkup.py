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

    def as_json(self) -> dict[str, Any]:
        """Return findings and chart as JSON values."""
        return {"findings": [f.as_json() for f in self.findings], "chart": self.chart.as_json()}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Checkup:
        """Return the checkup that `as_json` wrote, its findings as they were told then."""
        findings = tuple(Finding.from_json(f) for f in record["findings"])
        return cls(findings, Chart.from_json(record["chart"]))

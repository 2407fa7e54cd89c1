"""The outcome of a preflight or a watched training: its chart and its findings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chymist.doctor.chart import Chart
from chymist.doctor.diagnosis import diagnose
from chymist.doctor.finding import Finding, Severity, worst

if TYPE_CHECKING:
    from chymist.lab import Lab
    from chymist.lab.watched import Watched


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

    def write_report(self, path: str | Path) -> Path:
        """Write the report as one self-contained HTML file and return its path.

        Raises:
            CannotWrite: the file system refuses.
        """
        from chymist.files import write_text
        from chymist.report import checkup

        write_text(Path(path), checkup.page(self.as_json()))
        return Path(path)

    def keep(self, lab: Lab | str | Path | None = None, name: str = "training") -> Watched:
        """Keep the checkup in a lab as a sealed run with its report; see `lab.watched.seal`.

        Raises:
            UsageError: the name is impossible.
            CannotWrite: the lab is a file, is read-only, or the disk refuses.
        """
        from chymist.lab.watched import seal
        from chymist.report import checkup

        told = self.chart.facts.get("watch", {})
        seconds = float(told.get("elapsed", 0.0))
        return seal(
            lab, self.as_json(), name=name, seconds=seconds, training=told, page=checkup.page
        )

    @classmethod
    def kept(cls, name: str = "latest", lab: Lab | str | Path | None = None) -> Checkup:
        """Return the checkup of a watched training in a lab, by what `Lab.watched` takes.

        Raises:
            UnknownRun: no watched training, or more than one id, fits.
            DamagedRun: a file of it is missing or altered.
        """
        from chymist.lab import Lab

        home = lab if isinstance(lab, Lab) else Lab(lab)
        return cls.from_json(home.watched(name).checkup)

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

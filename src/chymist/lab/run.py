"""One execution of a study, immutable once sealed: what is in its folder and how it is read.

::

    run.json          manifest: study, parameters, versions, machine, digests of the other files
    chunks/*.nc       measured data, netCDF-4, one file an experiment and arm
    input.nc          the user's data, as they were read, if any
    verdicts.json     claims and controls, judged
    figures/*.json    Vega-Lite specifications
    log.jsonl         what happened when
    report.html       made from the above; may be made again
"""

from __future__ import annotations

import html
from base64 import b64encode
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from chymist.errors import DamagedRun
from chymist.lab.seal import VERDICTS, check_files, read_json, read_manifest

if TYPE_CHECKING:
    import altair as alt
    import xarray as xr

    from chymist.claims import Verdict

INPUT = "input.nc"
ARMS = ("treatment", "control")


@dataclass(frozen=True)
class Run:
    """A sealed run. Opening it checks every file against its digest."""

    folder: Path
    manifest: dict[str, Any]

    @classmethod
    def open(cls, folder: Path) -> Run:
        """Open a run's folder.

        Raises:
            DamagedRun: a file is missing or altered, or a newer version wrote the run.
        """
        from chymist.lab.record import check_manifest

        manifest = read_manifest(folder)
        check_manifest(folder, manifest)
        check_files(folder, manifest)
        return cls(folder, manifest)

    @property
    def id(self) -> str:
        """The run's 26 characters."""
        return self.folder.name

    @cached_property
    def outcome(self) -> dict[str, Any]:
        """The judged claims and controls as plain JSON, with the overall status."""
        from chymist.lab.record import check_outcome

        outcome = read_json(self.folder, VERDICTS)
        check_outcome(self.folder, outcome)
        return outcome

    @property
    def status(self) -> str:
        """The verdict of the whole study: supported, refuted or inconclusive."""
        return str(self.outcome["status"])

    @property
    def broken(self) -> bool:
        """Whether a control did not flip, so that the claims prove nothing."""
        return bool(self.outcome["broken"])

    @property
    def exit_code(self) -> int:
        """0 supported, 3 inconclusive, 4 refuted, 5 a control did not flip."""
        if self.broken:
            return 5
        return {"supported": 0, "inconclusive": 3, "refuted": 4}[self.status]

    @cached_property
    def verdicts(self) -> dict[str, Verdict]:
        """The verdict of each claim by name."""
        from chymist.claims import Verdict

        return {
            record["claim"]: Verdict.from_json(record)
            for experiment in self.outcome["experiments"].values()
            for record in experiment["claims"]
        }

    @cached_property
    def data(self) -> xr.DataTree:
        """Measured data: `run.data["<experiment>"]`, and `run.data["control/<experiment>"]`."""
        import xarray as xr

        from chymist.lab.measured import load

        files: dict[str, str] = self.manifest["files"]
        chunks = {n: d for n, d in files.items() if n.startswith("chunks/") and n.endswith(".nc")}
        branches: dict[str, xr.Dataset] = {}
        for name, dataset in load(self.folder, chunks).items():
            experiment, arm = Path(name).stem.rsplit(".", 1)
            place = experiment if arm == "treatment" else f"control/{experiment}"
            branches[place] = dataset
        return xr.DataTree.from_dict(branches)

    @cached_property
    def specs(self) -> dict[str, dict[str, Any]]:
        """The Vega-Lite specification of each figure."""
        return {
            Path(name).stem: read_json(self.folder, name)
            for name in self.manifest["files"]
            if name.startswith("figures/")
        }

    @property
    def figures(self) -> dict[str, alt.TopLevelMixin]:
        """The figures as Altair charts.

        Raises:
            DamagedRun: a specification is none.
        """
        import altair as alt

        try:
            return {name: alt.Chart.from_dict(spec) for name, spec in self.specs.items()}
        except Exception as error:  # of several kinds, all of them saying that it is invalid
            first = str(error).partition("\n")[0]
            raise DamagedRun(f"run {self.id}: a figure cannot be read: {first}") from error

    def drawing(self, name: str, format: Literal["svg", "png", "pdf"]) -> bytes:
        """Return a figure as a picture.

        Raises:
            DamagedRun: its specification cannot be drawn.
        """
        from chymist.rendering import render

        try:
            return render(self.specs[name], format)
        except ValueError as error:
            raise DamagedRun(f"run {self.id}: figure {name} cannot be drawn: {error}") from error

    @property
    def report(self) -> Path:
        """Where the HTML report of this run is."""
        return self.folder / "report.html"

    def __repr__(self) -> str:
        """One line: study, verdict, claims, folder."""
        claims = ", ".join(f"{n} {v.status}" for n, v in self.verdicts.items())
        state = "broken (a control did not flip)" if self.broken else self.status
        slug = self.manifest["study"]["slug"]
        return f"Run({slug}: {state}; {claims}; {self.folder})"

    def _repr_html_(self) -> str:
        """Show verdicts and figures in a notebook."""
        # As pictures: SVG within the page could load, and run, what its maker wished.
        study = self.manifest["study"]
        state = "broken: a control did not flip" if self.broken else self.status
        rows = "".join(
            f"<tr><td>{html.escape(v.sentence)}</td><td>{html.escape(v.region)}</td>"
            f"<td>{html.escape(_first_interval(v))}</td><td><b>{v.status}</b></td></tr>"
            for v in self.verdicts.values()
        )
        pictures = "".join(
            f'<div><img alt="{html.escape(name)}" src="data:image/svg+xml;base64,'
            f'{b64encode(self.drawing(name, "svg")).decode()}"></div>'
            for name in self.specs
        )
        return (
            f"<h3>{html.escape(study['title'])}: {state}</h3>"
            f"<table><tr><th>claim</th><th>region</th><th>95 % interval</th><th>verdict</th></tr>"
            f"{rows}</table>{pictures}"
        )


def _first_interval(verdict: Verdict) -> str:
    shown = [
        f"[{row.interval.low:.3g}, {row.interval.high:.3g}]" if row.interval else "none"
        for row in verdict.rows
    ]
    return "; ".join(shown[:4]) + (" ..." if len(shown) > 4 else "")

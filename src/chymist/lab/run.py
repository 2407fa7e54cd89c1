"""One execution of a study, sealed or not yet; `layout` says what its folder holds."""

from __future__ import annotations

import html
import json
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from chymist.errors import DamagedRun, UnfinishedRun, UsageError
from chymist.lab.chunk import ARMS, FOLDER, Chunk, read_seals
from chymist.lab.layout import EARLY, MANIFEST, MAPS, PLAN, VERDICTS, WATCHED, command
from chymist.lab.plan import chunks_of, digest, read_plan
from chymist.lab.seal import check_files, read_json, read_manifest

if TYPE_CHECKING:
    import altair as alt
    import xarray as xr

    from chymist.claims import Verdict
    from chymist.lab.replay import Replay


@dataclass(frozen=True)
class Run:
    """A run. Opening a sealed one checks every file against its digest.

    An unfinished one (`sealed` is false) shows what its sealed chunks allow: verdicts of the
    experiments that are all there, which are provisional, and their data.
    """

    folder: Path
    manifest: dict[str, Any]

    @classmethod
    def open(cls, folder: Path) -> Run:
        """Open a run's folder.

        Raises:
            UsageError: it is a watched training's.
            DamagedRun: a file is missing, altered, or from a newer version.
        """
        if not (folder / MANIFEST).exists() and (folder / PLAN).exists():
            return cls(folder, unfinished(folder))
        from chymist.lab.record import check_manifest

        manifest = read_manifest(folder)
        if manifest["format"] == WATCHED:
            raise UsageError(
                f"run {folder.name} is a watched training, not of a study",
                command("findings", folder),
            )
        check_manifest(folder, manifest)
        check_files(folder, manifest)
        return cls(folder, manifest)

    @property
    def id(self) -> str:
        """The run's 26 characters."""
        return self.folder.name

    @property
    def sealed(self) -> bool:
        """Whether the run is finished, and so can change no more."""
        return bool(self.manifest["status"] != "unfinished")

    def require_sealed(self) -> Run:
        """Return this run, for what needs a finished one.

        Raises:
            UnfinishedRun: it is not.
        """
        if not self.sealed:
            done, of = self.progress
            raise UnfinishedRun(
                f"run {self.id} is unfinished: {done} of {of} chunks",
                f"{command('resume', self.folder)} continues it",
            )
        return self

    @property
    def progress(self) -> tuple[int, int]:
        """How many chunks are sealed, of how many."""
        chunks = self.chunks
        return len(read_seals(self.folder, chunks)), len(chunks)

    @cached_property
    def chunks(self) -> list[Chunk]:
        """The chunks of the plan; none for a run of format 1, which was computed in one go."""
        return chunks_of(read_plan(self.folder)) if self.manifest["format"] > 1 else []

    @cached_property
    def outcome(self) -> dict[str, Any]:
        """The judged claims and controls as plain JSON, with the overall status.

        Of an unfinished run, what is known early, marked `provisional`; its status is "unfinished".
        """
        from chymist.lab.record import check_outcome

        if self.sealed:
            outcome = read_json(self.folder, VERDICTS)
            check_outcome(self.folder, outcome)
            return outcome
        early = read_early(self.folder)
        controls = [c["flipped"] for e in early.values() for c in e["control"]]
        return {
            "status": "unfinished",
            "broken": not all(controls),
            "provisional": True,
            "experiments": early,
        }

    @property
    def status(self) -> str:
        """The verdict of the whole study: supported, refuted, inconclusive; or unfinished."""
        return str(self.outcome["status"])

    @property
    def broken(self) -> bool:
        """Whether a control did not flip, so that the claims prove nothing."""
        return bool(self.outcome["broken"])

    @property
    def exit_code(self) -> int:
        """0 supported, 3 inconclusive (or unfinished), 4 refuted, 5 a control did not flip."""
        if self.broken:
            return 5
        return {"supported": 0, "inconclusive": 3, "refuted": 4, "unfinished": 3}[self.status]

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
        """Measured data: `run.data["<experiment>"]`, and `run.data["control/<experiment>"]`.

        A map that was refined is `run.data["map/<claim>"]`, its points along one dimension.
        """
        import xarray as xr

        from chymist.lab.measured import load, together

        digests: dict[str, str] = self.manifest["files"]
        if self.manifest["format"] == 1:
            names = {n: d for n, d in digests.items() if n.startswith(f"{FOLDER}/")}
            found = load(self.folder, names)
            arms = {name: tuple(Path(name).stem.rsplit(".", 1)) for name in names}
            return xr.DataTree.from_dict({branch(*arms[n]): found[n] for n in names})
        if not self.sealed:
            seals = read_seals(self.folder, self.chunks)
            digests = {c.data: seals[c.index].sha256 for c in self.chunks if c.index in seals}
        whole: dict[str, list[Chunk]] = {}
        for experiment in dict.fromkeys(c.experiment for c in self.chunks):
            for arm in ARMS:
                parts = [c for c in self.chunks if (c.experiment, c.arm) == (experiment, arm)]
                if parts and all(c.data in digests for c in parts):
                    whole[branch(experiment, arm)] = parts
        wanted = [c.data for parts in whole.values() for c in parts]
        again = "" if self.sealed else f"{command('resume', self.folder)} computes it again"
        found = load(self.folder, {name: digests[name] for name in wanted}, again)
        tree = {
            name: together(self.folder, [(c.place, found[c.data]) for c in parts])
            for name, parts in whole.items()
        }
        maps = {name: d for name, d in digests.items() if name.startswith(f"{MAPS}/")}
        tree |= {f"map/{Path(n).stem}": d for n, d in load(self.folder, maps).items()}
        return xr.DataTree.from_dict(tree)

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
    def outputs(self) -> dict[str, Callable[[Path], None]]:
        """The files that the study makes of what it found: see `lab.outputs`."""
        from chymist.lab.outputs import outputs

        return outputs(self)

    @property
    def report(self) -> Path:
        """Where the HTML report of this run is."""
        return self.folder / "report.html"

    def resume(self, **options: Any) -> Run:
        """Compute what an unfinished run lacks, seal it and return it: see `runner.resume`."""
        from chymist.lab import runner

        return runner.resume(self.folder, **options)

    def replay(self, **options: Any) -> Replay:
        """Compute the run again and compare every array: see `chymist.lab.replay.replay`."""
        from chymist.lab.replay import replay

        return replay(self, **options)

    def _state(self) -> str:
        """The overall verdict in words."""
        if not self.sealed:
            done, of = self.progress
            return f"unfinished, {done} of {of} chunks; verdicts are provisional"
        return "broken: a control did not flip" if self.broken else self.status

    def __repr__(self) -> str:
        """One line: study, verdict, claims, folder."""
        claims = ", ".join(f"{n} {v.status}" for n, v in self.verdicts.items())
        state = self._state()
        slug = self.manifest["study"]["slug"]
        return f"Run({slug}: {state}; {claims}; {self.folder})"

    def _repr_html_(self) -> str:
        """Show verdicts and figures in a notebook."""
        # As pictures: SVG within the page could load, and run, what its maker wished.
        study = self.manifest["study"]
        state = self._state()
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


def branch(experiment: str, arm: str) -> str:
    """Return the name of an experiment's arm in the tree of data."""
    return experiment if arm == "treatment" else f"control/{experiment}"


def read_early(folder: Path) -> dict[str, Any]:
    """Return the verdicts that an unfinished run has so far; none if they cannot be trusted."""
    try:
        record = json.loads((folder / EARLY).read_text(encoding="utf-8"))
        return dict(record["experiments"]) if record["digest"] == digest(record) else {}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return {}


def unfinished(folder: Path) -> dict[str, Any]:
    """Return what a manifest would say of a run that has none yet; opens no data file.

    Raises:
        DamagedRun: its plan is missing, altered, or from a newer version.
    """
    plan = read_plan(folder)
    chunks = chunks_of(plan)
    seals = read_seals(folder, chunks)
    return {
        **{name: value for name, value in plan.items() if name not in ("chunks", "digest")},
        "status": "unfinished",
        "verdict": "unfinished",
        "seconds": round(sum(seal.seconds for seal in seals.values()), 1),
        "chunks": {"sealed": len(seals), "of": len(chunks)},
        "files": {},
    }


def _first_interval(verdict: Verdict) -> str:
    if verdict.kind == "exact":
        shown = [f"{row.values[0]:.17g}" if row.interval else "not known" for row in verdict.rows]
        return "exactly " + "; ".join(shown[:4]) + (" ..." if len(shown) > 4 else "")
    shown = [
        f"[{row.interval.low:.3g}, {row.interval.high:.3g}]" if row.interval else "none"
        for row in verdict.rows
    ]
    return "; ".join(shown[:4]) + (" ..." if len(shown) > 4 else "")

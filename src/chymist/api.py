"""The verbs for Python: as short as the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from chymist import catalogue, report
from chymist.doctor.checkup import Checkup
from chymist.errors import DamagedRun
from chymist.files import write_text
from chymist.lab import Lab, Run, runner
from chymist.lab.watched import Watched
from chymist.report import checkup
from chymist.study import Study


def run(study: str | Path | Study, **options: Any) -> Run:
    """Run a study (by slug, file or value), write its report, and return the sealed run.

    Options are those of `chymist.lab.runner.run` (preset, data, lab, sweep, threads, jobs,
    executor, ray_address, device) and the study's own parameters::

        run = chymist.run("frequency-principle", seeds=8)
        run.verdicts["ordering"].status

    Raises:
        ChymistError: see the exception tree in `chymist.errors`.
    """
    if isinstance(study, Study):
        done = runner.run(study, **options)
    else:
        done = runner.run(catalogue.find(str(study)), name=str(study), **options)
    write_report(done)
    return done


def resume(run: str = "latest", lab: str | Path | None = None, **options: Any) -> Run:
    """Finish an unfinished run, write its report, and return it sealed.

    `run` is an id, a unique part of one, a study's slug, or "latest", the newest unfinished run.
    Options: jobs, executor, ray_address, observe.

    Raises:
        ChymistError: see `chymist.lab.runner.resume`.
    """
    done = Lab(lab).resume(run, **options)
    write_report(done)
    return done


def write_report(run: Run | Watched, path: str | Path | None = None) -> Path:
    """Write a run's report as one self-contained HTML file; by default into the run's folder.

    The report of a watched training is made from what was kept of its checkup.

    Raises:
        UnfinishedRun: the run is not sealed.
        CannotWrite: the file system refuses.
        DamagedRun: a figure of the run cannot be drawn.
    """
    target = Path(path) if path is not None else run.report
    if isinstance(run, Watched):
        write_text(target, checkup.page(Checkup.from_json(run.checkup).as_json(), run.manifest))
        return target
    run.require_sealed()
    try:
        page = report.render_report(run.manifest, run.outcome, run.specs)
    except ValueError as error:
        raise DamagedRun(f"run {run.id}: a figure cannot be drawn: {error}") from error
    write_text(target, page)
    return target

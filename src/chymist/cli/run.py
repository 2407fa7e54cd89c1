"""`chymist run`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from chymist import catalogue
from chymist.cli.interrupts import polite
from chymist.cli.output import err, print_json
from chymist.cli.progress import progress
from chymist.errors import BadInput, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chymist.catalogue import Entry
    from chymist.lab import Run


def run_(
    study: str,
    /,
    *,
    preset: str = "quick",
    data: Path | None = None,
    sweep: Annotated[list[str] | None, Parameter(negative="")] = None,
    until_decided: Annotated[bool, Parameter(negative="")] = False,
    max_seeds: int | None = None,
    refine: str = "",
    on: str = "",
    points: int | None = None,
    lab: Path | None = None,
    threads: int | None = None,
    jobs: int = 1,
    executor: str = "local",
    ray_address: str = "",
    device: str = "cpu",
    json: Annotated[bool, Parameter(negative="")] = False,
    **parameters: str,
) -> int:
    """Run a study: train, measure, compare with theory and control, and give a verdict.

    The study's own parameters are flags as well (`--seeds 16 --lr 0.1,0.2`): see
    `chymist run STUDY --help`. A run that is interrupted or killed goes on with `chymist resume`.

    Parameters
    ----------
    study
        A study's slug, a Python file that binds STUDY, or a data file that one study takes.
    preset
        Named settings of the study: quick, or paper for the published scale.
    data
        Your own input, for a study that takes one: a file; for some a folder of files, or a
        function of yours, as FILE.py:FUNCTION. What a study takes: `chymist run STUDY --help`.
    sweep
        Repeat at several values: --sweep width=32,64,128. May be given more than once.
    until_decided
        Add seeds where a claim or a control is undecided, until none is. Intervals are then wider:
        they hold whenever one stops.
    max_seeds
        Seeds at which to stop adding; by default eight times as many as at first.
    refine
        Compute further points where the statistic of a claim crosses an edge of its region:
        --refine lr,width between the values that these one or two parameters are given.
    on
        The claim to refine on.
    points
        How many points more, at most; 64 by default.
    lab
        Folder of runs; else $CHYMIST_LAB, else ./chymist-lab.
    threads
        Processor threads of each process; all cores by default, one each with several jobs.
    jobs
        Processes that compute; the chunks of a run (experiments, arms, points of a sweep) are
        shared out among them.
    executor
        local, or ray: the processes are those of a Ray cluster, which needs no access to the lab.
    ray_address
        HOST:PORT of the cluster; else $RAY_ADDRESS, else the one this machine belongs to.
    device
        cpu, or cuda where there is one.
    json
        Print the verdicts as JSON.
    """
    study, data = _study_for(study, data)
    sweeps = dict(_sweep(item) for item in sweep or [])
    with polite() as hint:
        from chymist import api

        with progress(hint) as observe:
            done = api.run(
                study,
                preset=preset,
                data=data,
                lab=lab,
                sweep=sweeps,
                until_decided=until_decided,
                max_seeds=max_seeds,
                refine=[name.strip() for name in refine.split(",") if name.strip()],
                on=on,
                points=points,
                threads=threads,
                jobs=jobs,
                executor=executor,
                ray_address=ray_address,
                device=device,
                observe=observe,
                **parameters,
            )
    return print_run(done, json)


def print_run(done: Run, json: bool) -> int:
    """Print a finished run's verdicts and where its report is; return its exit code."""
    if json:
        from chymist import report

        print_json(report.summary(done.manifest, done.outcome))
    else:
        from chymist.cli.show import print_outcome

        print_outcome(done)
        err().print(f"report: {done.report}", soft_wrap=True)
    return done.exit_code


def _study_for(study: str, data: Path | None) -> tuple[str, Path | None]:
    """Let `chymist run my.csv` mean the one study that takes such a file."""
    path = Path(study)
    if data is not None or path.suffix in ("", ".py"):
        return study, data
    takers = catalogue.accepting(path)
    if not takers:
        raise UsageError(
            f"{study} is neither a study nor a file that a study takes",
            "chymist list shows the studies",
        )
    if not path.is_file():
        raise BadInput(f"no file {study}", "give the path of a file that exists")
    if len(takers) > 1:
        takers = _readers(takers, path)
    err().print(f"{study}: running {takers[0].slug} on it")
    return takers[0].slug, path


def _readers(takers: Sequence[Entry], path: Path) -> list[Entry]:
    """Return the one study that can read the file, where its name alone leaves several."""
    able = [taker for taker in takers if _reads(taker.slug, path)]
    if len(able) == 1:
        return able
    lines = " or ".join(
        f"chymist run {t.slug} --data {shlex.quote(str(path))}" for t in able or takers
    )
    if able:
        raise UsageError(f"several studies can read {path}", f"choose: {lines}")
    raise BadInput(f"no study can read {path}", f"to see why: {lines}")


def _reads(slug: str, path: Path) -> bool:
    """Whether a study can make something of the user's file."""
    taken = catalogue.find(slug).input
    try:
        return taken is not None and bool(taken.read(path))
    except BadInput:
        return False


def _sweep(item: str) -> tuple[str, tuple[str, ...]]:
    name, sign, values = item.partition("=")
    parts = tuple(v.strip() for v in values.split(",") if v.strip())
    if not sign or not name or not parts:
        raise UsageError(f"cannot read --sweep {item}", "write --sweep name=value,value")
    return name.strip(), parts

"""Running a study, and going on with a run that was cut short."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
import xarray as xr

from chymist.errors import (
    BadParameter,
    CannotWrite,
    ChymistError,
    DamagedRun,
    Interrupted,
    RunInUse,
    TooLarge,
    UsageError,
)
from chymist.files import clear_aside, refusals, sha256
from chymist.lab import mounts, planning, space
from chymist.lab.chunk import FOLDER, Chunk, damage, read_seals
from chymist.lab.cluster import chosen
from chymist.lab.compute import pinned
from chymist.lab.events import Observer, Onlooker, ignore
from chymist.lab.given import read_given
from chymist.lab.lab import Lab
from chymist.lab.layout import INPUT, LOG, MANIFEST, MAPS, ROUNDS, command
from chymist.lab.lock import holds, only_one
from chymist.lab.plan import chunks_of, read_plan, write_plan
from chymist.lab.run import Run
from chymist.lab.session import Session
from chymist.lab.store import write_dataset
from chymist.study import Study


def run(
    study: Study,
    *,
    preset: str = "quick",
    data: str | Path | None = None,
    lab: str | Path | None = None,
    sweep: Mapping[str, Sequence[Any]] | None = None,
    until_decided: bool = False,
    max_seeds: int | None = None,
    refine: Sequence[str] = (),
    on: str = "",
    points: int | None = None,
    threads: int | None = None,
    jobs: int = 1,
    executor: str = "local",
    ray_address: str = "",
    device: str = "cpu",
    name: str = "",
    observe: Observer = ignore,
    **parameters: Any,
) -> Run:
    """Run a study and return the sealed run.

    Before the first chunk is computed the plan is on disk; each chunk is sealed before the next
    begins, so what is cut short goes on with `resume`. Bad input leaves nothing behind.

    Args:
        study: The study.
        preset: Named parameters to start from.
        data: A file of the user's, for a study that takes one.
        lab: Folder of runs; see `Lab`.
        sweep: Values of parameters at which to repeat the experiments.
        until_decided: Add seeds where a claim or a control is undecided, until none is; intervals
            are then such as hold at any number of seeds.
        max_seeds: Seeds at which to stop adding; by default eight times as many as at first.
        refine: One or two parameters of several values, between which further points are computed
            where the statistic of a claim crosses an edge of its region.
        on: That claim.
        points: How many points more, at most; 64 by default.
        threads: Processor threads of each process; by default all cores, or one if there are
            several processes or machines.
        jobs: Chunks that are computed at a time, each in a process of its own if more than one.
        executor: "local", or "ray" to compute on a Ray cluster.
        ray_address: HOST:PORT of the cluster; else $RAY_ADDRESS, else the one of this machine.
        device: "cpu" or "cuda".
        name: How the user named the study, for the command line that repeats the run.
        observe: Called with an `Event` whenever there is progress to show.
        parameters: Parameters of the study.

    Raises:
        BadParameter: a parameter, preset or sweep is not possible.
        BadInput: the data cannot be used, or the study takes none.
        BadStudy: an experiment or a claim breaks the contract.
        CannotWrite: the lab refuses, or the disk is too small; sealed chunks are kept.
        BadCluster: Ray is not installed, or the cluster does not answer, or is not like this
            machine.
        Interrupted: by Ctrl-C or a signal; sealed chunks are kept.
    """
    shared = jobs > 1 or executor != "local"
    if device != "cpu" and executor != "local":
        raise BadParameter(f"device {device} is not available with executor {executor}", "use cpu")
    if jobs < 1:
        raise BadParameter(f"jobs cannot be {jobs}", "allowed: integer >= 1")
    facts, given = _facts(
        study,
        preset=preset,
        data=data,
        sweep=sweep or {},
        threads=_threads(threads, 1 if shared else torch.get_num_threads()),
        device=device,
        name=name,
        parameters=parameters,
        until_decided=until_decided,
        max_seeds=max_seeds,
        refine=refine,
        on=on,
        points=points,
    )
    home = Lab(lab)
    with ExitStack() as kept:
        cluster = kept.enter_context(chosen(executor, ray_address))
        folder = home.create()
        try:
            kept.enter_context(only_one(folder))
            written = _write(folder, study, facts, given, name)
            if shared and not written["address"]:
                what = f"jobs cannot be {jobs}" if jobs > 1 else f"executor cannot be {executor}"
                raise BadParameter(
                    f"{what} for a study made by a program", "give the study as a file"
                )
            session = Session(folder, written, study, observe, cluster)
        except BaseException:
            home.discard(folder)
            raise

        def discard() -> None:
            if holds(folder):
                home.discard(folder)

        return _finished(session, jobs, discard)


def plan(
    study: Study,
    *,
    preset: str = "quick",
    data: str | Path | None = None,
    lab: str | Path | None = None,
    sweep: Mapping[str, Sequence[Any]] | None = None,
    until_decided: bool = False,
    max_seeds: int | None = None,
    refine: Sequence[str] = (),
    on: str = "",
    points: int | None = None,
    threads: int | None = None,
    name: str = "",
    **parameters: Any,
) -> Path:
    """Plan a run, compute nothing of it, and return its folder: `resume` computes it.

    Arguments are those of `run`.

    Raises:
        BadParameter, BadInput, BadStudy, CannotWrite: as for `run`; then nothing is left behind.
    """
    facts, given = _facts(
        study,
        preset=preset,
        data=data,
        sweep=sweep or {},
        threads=_threads(threads, torch.get_num_threads()),
        device="cpu",
        name=name,
        parameters=parameters,
        until_decided=until_decided,
        max_seeds=max_seeds,
        refine=refine,
        on=on,
        points=points,
    )
    home = Lab(lab)
    folder = home.create()
    try:
        with only_one(folder):
            _write(folder, study, facts, given, name)
    except BaseException:
        home.discard(folder)
        raise
    return folder


def _facts(
    study: Study, *, data: str | Path | None, device: str, **asked: Any
) -> tuple[dict[str, Any], xr.Dataset | None]:
    """Return what a plan says, and what the user's file holds."""
    if device != "cpu" and not (device == "cuda" and torch.cuda.is_available()):
        raise BadParameter(f"device {device} is not available here", "use cpu")
    given, told = read_given(study, data)
    facts = planning.describe(study, data=data, given=given, device=device, **asked)
    facts["input"] = told
    return facts, given


def _write(
    folder: Path, study: Study, facts: dict[str, Any], given: xr.Dataset | None, name: str
) -> dict[str, Any]:
    """Write the input and the plan of a run whose lock the caller holds, and return the plan."""
    if given is not None:
        kept = write_dataset(folder / INPUT, given)
        # What a function made has no file of its own.
        facts["input"] = {"sha256": kept, **facts["input"], "kept": kept}
    facts["address"] = planning.address(study, name, folder)
    return write_plan(folder, facts)


def _threads(given: int | None, usual: int) -> int:
    if given is not None and given < 1:
        raise BadParameter(f"threads cannot be {given}", "allowed: integer >= 1")
    return given or usual


def resume(
    folder: Path,
    *,
    jobs: int = 1,
    executor: str = "local",
    ray_address: str = "",
    observe: Observer = ignore,
    onlooker: Onlooker | None = None,
) -> Run:
    """Compute what an unfinished run lacks, seal it and return it; a sealed run is returned.

    Chunks whose data are damaged are computed again. Data come out byte for byte as if the run had
    never been cut short. An `onlooker` sees what the trainings of this process record.

    Raises:
        CannotResume: the study, its claims, chymist or what it computes with have changed.
        RunInUse: another process is computing the run.
        DamagedRun: the plan or the kept input is damaged.
        BadStudy, CannotWrite, BadCluster, Interrupted: as for `run`.
    """
    if jobs < 1:
        raise BadParameter(f"jobs cannot be {jobs}", "allowed: integer >= 1")
    if (folder / MANIFEST).exists():
        return Run.open(folder)
    with chosen(executor, ray_address) as cluster, only_one(folder):
        if (folder / MANIFEST).exists():
            return Run.open(folder)
        plan = read_plan(folder)
        study = planning.planned_study(plan, folder)
        if plan["input"] and _digest_of(folder / INPUT) != plan["input"]["kept"]:
            raise DamagedRun(
                f"run {folder.name}: {INPUT} is missing or altered", f"again: {plan['command']}"
            )
        clear_aside(folder)
        for part in (FOLDER, ROUNDS, MAPS, "figures"):
            clear_aside(folder / part)
        dropped = _drop_damaged(folder, plan)
        session = Session(folder, plan, study, observe, cluster, onlooker)
        session.log("resumed" if (folder / LOG).exists() else "begun")
        for chunk, wrong in dropped:
            session.log("damaged", chunk)
            session.tell(chunk, "starting", 0, 1, f"{wrong}; it is computed again")
        return _finished(session, jobs)


def _finished(session: Session, jobs: int, discard: Callable[[], None] = lambda: None) -> Run:
    """Finish a session; say what to do when it cannot. What is another's by now is left alone."""
    again = command("resume", session.folder)
    risk = mounts.warning(session.folder)
    if risk:
        session.tell(session.chunks[0], "starting", 0, 1, risk)
    try:
        with pinned(session.plan["threads"]):
            return session.finish(jobs)
    except RunInUse:
        raise
    except UsageError as error:
        # Memory may be free later, and what took hours is not thrown away for it.
        if isinstance(error, TooLarge) and session.seals:
            hint = f"{error.hint}; then: {again}"
            raise TooLarge(f"{error.message}; {_kept(session)}", hint) from error
        discard()
        raise
    except KeyboardInterrupt:
        raise Interrupted(f"interrupted: {_kept(session)}", f"to continue: {again}") from None
    except ChymistError as error:
        if not session.seals:
            discard()
            raise
        message, hint = f"{error.message}; {_kept(session)}", error.hint
        if isinstance(error, CannotWrite):
            short = space.shortage(session.folder, session.chunks, session.seals)
            message, hint = f"{error.message}; {short}; {_kept(session)}", hint.split(",")[0]
        raise type(error)(message, f"{hint}, then: {again}") from error
    except BaseException as error:
        if session.seals:
            error.add_note(f"{_kept(session)}; to continue: {again}")
        else:
            discard()
        raise


def _kept(session: Session) -> str:
    return f"{len(session.seals)} of {len(session.chunks)} chunks are kept"


def _drop_damaged(folder: Path, plan: dict[str, Any]) -> list[tuple[Chunk, str]]:
    """Break the seals of chunks whose data are not what was sealed, and return what was wrong."""
    found = []
    chunks = chunks_of(plan)
    seals = read_seals(folder, chunks)
    for chunk in chunks:
        wrong = damage(folder, chunk, seals[chunk.index]) if chunk.index in seals else ""
        if wrong:
            with refusals(folder / chunk.seal):
                (folder / chunk.seal).unlink()
            found.append((chunk, wrong))
    return found


def _digest_of(path: Path) -> str:
    return sha256(path) if path.is_file() else ""

"""`chymist resume`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from chymist.cli.interrupts import polite
from chymist.cli.progress import progress
from chymist.cli.run import print_run


def resume_(
    run: str = "latest",
    /,
    *,
    lab: Path | None = None,
    jobs: int = 1,
    executor: str = "local",
    ray_address: str = "",
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Finish a run that was interrupted or killed: nothing that was sealed is computed again.

    The result is, byte for byte, that of the uninterrupted run. Refused if the study, its claims or
    the versions have changed since the run was planned.

    Parameters
    ----------
    run
        A run's id, a unique part of it, a study's slug, or latest: the newest unfinished run.
    lab
        Folder of runs; else $CHYMIST_LAB, else ./chymist-lab.
    jobs
        Processes that compute, each with the threads the run was planned with.
    executor
        local, or ray: the processes are those of a Ray cluster, which needs no access to the lab.
    ray_address
        HOST:PORT of the cluster; else $RAY_ADDRESS, else the one this machine belongs to.
    json
        Print the verdicts as JSON.
    """
    with polite() as hint:
        from chymist import api

        with progress(hint) as observe:
            done = api.resume(
                run,
                lab,
                jobs=jobs,
                executor=executor,
                ray_address=ray_address,
                observe=observe,
            )
    return print_run(done, json)

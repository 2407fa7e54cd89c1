"""What is in a run's folder.

::

    plan.json         whole before the first chunk: study, parameters, versions, machine, chunks
    rounds/*.json     further chunks, of a run that grows: whole before the first of them
    input.nc          the user's data, as they were read, if any
    chunks/*.nc       measured data, netCDF-4, one file a chunk
    chunks/*.json     the seal of each: digest, size and seconds; without it a chunk does not exist
    early.json        verdicts of the experiments that are all there, while others are not
    verdicts.json     claims and controls, judged
    maps/*.nc         what was refined: a statistic at scattered points
    figures/*.json    Vega-Lite specifications
    log.jsonl         what happened when
    run.json          manifest: the plan's facts, what came of it, digests of the other files
    report.html       made from the above; may be made again

A watched training (format 3) has three of them: checkup.json (the doctor's chart and findings),
run.json and report.html. While it goes on, run.json says that it is unfinished, and there is no
report yet.

A folder with `plan.json` and without `run.json` is an unfinished run. In format 1 (version 0.1.0)
there was no plan, and `chunks` held one file an experiment and arm.
"""

from __future__ import annotations

import os
import shlex
from pathlib import Path

FORMAT = 2
"""2: a study's run, planned, in chunks, the manifest sealed. 1: the same in version 0.1.0."""
WATCHED = 3
"""The format of a watched training, and the newest that this version reads."""
PLAN = "plan.json"
ROUNDS = "rounds"
MAPS = "maps"
MANIFEST = "run.json"
INPUT = "input.nc"
EARLY = "early.json"
VERDICTS = "verdicts.json"
CHECKUP = "checkup.json"
LOG = "log.jsonl"


def is_watched(folder: Path) -> bool:
    """Tell by its files whether a folder is a watched training's; opens none of them."""
    others = (folder / name for name in (PLAN, VERDICTS))
    return os.path.lexists(folder / CHECKUP) and not any(map(os.path.lexists, others))


def default_lab() -> Path:
    """Return the lab that is meant where none is named."""
    return Path(os.environ.get("CHYMIST_LAB") or "chymist-lab")


def command(verb: str, folder: Path) -> str:
    """Return the command line that applies a verb to the run in this folder."""
    lab = folder.parent.parent
    where = ["--lab", str(lab)] if lab != default_lab() else []
    return shlex.join(["chymist", verb, folder.name, *where])

"""What tests let other processes do, beside commands: functions of words for `forking`."""

import ctypes
import json
import os
import resource
import time
from pathlib import Path

import chymist
from chymist.cli import execute
from chymist.files import write_text
from chymist.lab import Lab
from chymist.lab.lab import new_id
from chymist.lab.seal import seal_manifest

DAC_OVERRIDE = 1
CAPABILITIES = 0x20080522
"""The third version of the system's call, of two words a set."""


def as_others(words):
    """Run a command without what lets root write everywhere."""
    if os.geteuid() == 0:
        libc = ctypes.CDLL(None, use_errno=True)
        header = (ctypes.c_uint32 * 2)(CAPABILITIES, 0)
        sets = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable; then their upper halves
        assert libc.capget(header, sets) == 0
        sets[0] &= ~(1 << DAC_OVERRIDE)
        assert libc.capset(header, sets) == 0
    return execute(words)


def with_small_files(words):
    """Run a command that can write files of so many bytes."""
    limit, *command = words
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
    return execute(command)


def make_runs(words):
    """Run a study in a lab so many times, and tell the runs."""
    study, lab, count = words
    for _ in range(int(count)):
        print(chymist.run(study, lab=lab, threads=1).id, flush=True)
    return 0


def write_runs(words):
    """Write so many runs like a sealed one into a folder of runs, and tell them."""
    template, runs, count = Path(words[0]), Path(words[1]), int(words[2])
    manifest = json.loads((template / "run.json").read_text())
    manifest.pop("seal")
    for _ in range(count):
        folder = runs / new_id()
        (folder / "chunks").mkdir(parents=True)
        write_text(folder / "plan.json", json.dumps({"study": {"slug": "tiny"}}))
        seal_manifest(folder, json.dumps({**manifest, "id": folder.name}, indent=1))
        print(folder.name, flush=True)
    return 0


def list_runs(words):
    """List a lab until a file is there; tell the slowest listing [s], and how many were seen."""
    lab, stop = words[0], Path(words[1])
    slowest, seen = 0.0, set()
    while True:
        last = stop.exists()
        begun = time.perf_counter()
        rows = Lab(lab).listing()
        slowest = max(slowest, time.perf_counter() - begun)
        ids = {row.id for row in rows}
        assert len(ids) == len(rows), "a run is listed twice"
        assert seen <= ids, "a run was lost"
        assert {row.verdict for row in rows} <= {"supported", "unfinished"}
        seen = ids
        if last:
            break
    print(slowest, len(seen))
    return 0

"""Chunks shared out among processes: the same bytes, no orphans, and the dead are replaced."""

import json
import os
import re
import signal
import time
from pathlib import Path

import pytest

import chymist
from chymist.cli import execute
from chymist.errors import BadParameter, WorkerDied
from chymist.lab import Lab
from chymist.lab.chunk import Chunk, Seal
from chymist.lab.workers import Workers


def processes(folder):
    """Return the ids of this machine's processes that work on a run."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().decode().split("\0")
            except OSError:
                continue
            if "chymist.lab.worker" in words and str(folder) in words:
                found.append(int(entry.name))
    return found


def gone(folder, within=5.0):
    deadline = time.monotonic() + within
    while processes(folder):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def test_two_jobs_write_the_same_bytes_as_one(lab, pair, found, capsys):
    one = chymist.run(pair, threads=1)
    assert execute(["run", str(pair), "--jobs", "2", "--json"]) == 0
    two = Lab().open(json.loads(capsys.readouterr().out)["id"])
    assert two.manifest["threads"] == 1
    assert found(one) == found(two)
    assert gone(two.folder, 0)


@pytest.mark.slow
def test_jobs_resume_what_one_process_began(cut, pair, found):
    whole = chymist.run(pair)
    run = cut(3)
    assert found(run.resume(jobs=2)) == found(whole)


def worker_killer(times):
    """Kill the workers, so many times; before, send them Ctrl-C, which is not for them."""
    killed, notices = [], []

    def observe(event):
        if event.notice:
            notices.append(event.notice)
        if event.label == "waiting" and event.chunk == 0:
            for pid in processes(event.run):
                os.kill(pid, signal.SIGINT)
        if event.label == "waiting" and len(killed) < times and event.chunk == 2:
            for pid in processes(event.run):
                os.kill(pid, signal.SIGKILL)
            killed.append(event.chunk)

    return observe, notices


def test_a_worker_that_dies_is_reported_and_its_chunk_tried_again(lab, pair, found):
    whole = chymist.run(pair, pause=0.3, threads=1)
    observe, notices = worker_killer(1)
    done = chymist.run(pair, pause=0.3, jobs=2, observe=observe)
    said = r"a worker died \(SIGKILL\); 0002.* is tried again"
    assert any(re.fullmatch(said, notice) for notice in notices)
    assert found(done) == found(whole)


def test_a_worker_that_dies_twice_stops_the_run(lab, variant, capsys):
    path = variant('mean = values.mean("sample")', "import os; os._exit(9)")
    assert execute(["run", str(path), "--jobs", "2"]) == 1
    *reported, last = capsys.readouterr().err.splitlines()
    tried = [line for line in reported if line.endswith("is tried again")]
    assert 1 <= len(set(tried)) == len(tried) <= 2
    assert "a worker died (exit code 9); 000" in tried[0]
    assert "a worker died (exit code 9) twice in chunk 000" in last
    assert not lab.exists()  # nothing was sealed, so there is nothing to go on with


@pytest.mark.slow
def test_a_death_after_a_seal_leaves_a_run_to_resume(lab, pair, found):
    whole = chymist.run(pair, pause=0.5, threads=1, lab=lab.parent / "whole")
    observe, _ = worker_killer(2)
    # Both workers are killed each time, and either may be heard of first.
    with pytest.raises(WorkerDied, match=r"twice in chunk 000\d.* kept .*then: chymist resume"):
        chymist.run(pair, pause=0.5, jobs=2, observe=observe)
    run = Lab().open()
    assert run.progress[0] > 0
    assert gone(run.folder, 0)
    assert found(run.resume()) == found(whole)


def test_a_bug_in_a_worker_is_a_traceback(lab, variant):
    path = variant('mean = values.mean("sample")', "mean = 1 / 0")
    with pytest.raises(RuntimeError, match=r"ZeroDivisionError in chunk 000") as caught:
        chymist.run(path, jobs=2)
    assert "altered.py" in "".join(caught.value.__notes__)
    assert not lab.exists()


@pytest.mark.slow
def test_a_broken_study_in_a_worker_is_one_line(lab, variant, refused):
    path = variant('return xr.Dataset({"mean": mean})', "return 3")
    assert "returned no xarray Dataset" in refused("run", path, "--jobs", "2")
    assert not lab.exists()


@pytest.mark.parametrize(
    "number",
    [signal.SIGKILL, signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)],
)
def test_no_worker_outlives_the_run(spare, lab, pair, number):
    """The first two signals reach the parent alone, the last the whole group, as Ctrl-C does."""
    parent = spare.start("run", pair, "--pause", "60", "--jobs", "2", session=True)
    while True:
        time.sleep(0.1)
        logs = list(lab.glob("runs/*/log.jsonl"))
        if logs and logs[0].read_text().count("computing") == 2:
            break
    folder = logs[0].parent
    working = processes(folder.relative_to(lab.parent)) or processes(folder)
    assert len(working) == 2
    begun = time.monotonic()
    if number == signal.SIGINT:
        os.killpg(parent.pid, number)
    else:
        parent.send_signal(number)
    said = parent.communicate(timeout=10)[1]
    assert time.monotonic() - begun < 2
    assert gone(folder)
    if number == signal.SIGKILL:
        assert parent.returncode == -9
    else:
        assert parent.returncode == 130
        assert said == (
            "chymist: interrupted: 0 of 8 chunks are kept "
            f"(to continue: chymist resume {folder.name})\n"
        )


PINNED = """
    import os, torch, threadpoolctl
    pools = [pool["num_threads"] for pool in threadpoolctl.threadpool_info()]
    told = [int(os.environ[n]) for n in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")]
    mean = 0 * values.mean("sample") + max(pools + told + [torch.get_num_threads()])
"""


def test_threads_are_pinned_before_libraries_are_loaded(lab, variant):
    run = chymist.run(variant('    mean = values.mean("sample")\n', PINNED), jobs=2)
    assert (run.data["means"]["mean"] == 1).all()


def test_the_costliest_chunks_go_first():
    chunks = [Chunk(i, name, "control", {}, {}, (0, 5)) for i, name in enumerate("aabbc")]
    seals = {0: Seal("", 1, 2.0), 2: Seal("", 1, 5.0)}
    workers = Workers(Path(), chunks, seals, 1, lambda *a: None, lambda *a: None)
    order = []

    class Given:
        def give(self, chunk):
            order.append(chunk.index)

    while workers.waiting:
        workers._employ(Given())
    assert order == [4, 3, 1]


def test_bad_jobs_are_one_line(lab, tiny, refused):
    assert "jobs cannot be 0 (allowed: integer >= 1)" in refused("run", tiny, "--jobs", "0")
    from dataclasses import replace

    study = replace(chymist.find("frequency-principle"))
    with pytest.raises(BadParameter, match="jobs cannot be 2 for a study made by a program"):
        chymist.run(study, jobs=2)
    assert not lab.exists()

"""Who may write to a run: one process, be it paused; not the dead, nor one that was replaced."""

import signal
import time
from pathlib import Path

import pytest

import chymist
from chymist.errors import RunInUse
from chymist.files import append_line, sha256, write_text
from chymist.lab import Lab, Run, lock

IN_USE = "is being computed by another process (wait for it, or end it)"


@pytest.fixture
def started(spare, lab):
    """Start commands in processes of their own; end those that are left."""
    begun = []

    def start(*words, **environment):
        process = spare.start(*words, **environment)
        begun.append(process)
        return process

    yield start
    for process in begun:
        process.kill()
        process.communicate()


def until(condition, within=60.0):
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.02)


def sealed(lab, at_least):
    def enough():
        return len(list(lab.glob("runs/*/chunks/*.json"))) >= at_least

    return enough


def stopped(process):
    def is_so():
        state = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0]
        return state == "T"

    return is_so


def frozen(run):
    """Return all that a sealed run consists of, but for its report."""
    return {
        p.relative_to(run.folder): sha256(p)
        for p in run.folder.rglob("*")
        if p.is_file() and p.name != "report.html"
    }


def test_of_two_that_resume_a_run_one_works(cut, started):
    run = cut(3, pause=0.5)
    both = [started("resume", run.id) for _ in range(2)]
    said = [process.communicate(timeout=120)[1] for process in both]
    assert sorted(process.returncode for process in both) == [0, 2]
    [refusal] = [s for p, s in zip(both, said, strict=True) if p.returncode]
    assert refusal == f"chymist: run {run.id} {IN_USE}\n"
    done = Run.open(run.folder)
    log = (run.folder / "log.jsonl").read_text()
    assert (log.count('"resumed"'), log.count('"sealed"')) == (1, 8)
    assert done.sealed


@pytest.mark.slow
def test_what_a_killed_process_held_is_free_at_once(lab, pair, started, found):
    whole = chymist.run(pair, lab=lab.parent / "whole")
    first = started("run", pair, "--pause", "1")
    until(sealed(lab, 2))
    first.kill()
    first.wait()
    begun = time.monotonic()
    assert Lab().open().progress[0] >= 2
    with lock.only_one(Lab().find()):
        assert time.monotonic() - begun < 1
    assert whole.sealed


def test_a_paused_process_keeps_others_out_and_goes_on(lab, pair, started, refused):
    first = started("run", pair, "--pause", "0.4")
    until(sealed(lab, 1))
    first.send_signal(signal.SIGSTOP)
    until(stopped(first))
    name = Lab().find().name
    before = Lab().open().progress
    assert refused("resume", name) == f"run {name} {IN_USE}"
    assert Lab().open().progress == before
    first.send_signal(signal.SIGCONT)
    assert first.communicate(timeout=120)[1].startswith("report: ")
    assert first.returncode == 0
    assert Lab().open().sealed


# Each study draws other numbers in another process, so that what is overwritten would show.
OTHERWISE = ('values.mean("sample")\n', 'values.mean("sample") + 1e-6 * (os.getpid() % 997)\n')


@pytest.fixture
def otherwise(tmp_path, pair):
    path = tmp_path / "otherwise.py"
    text = pair.read_text()
    assert OTHERWISE[0] in text
    path.write_text("import os\n" + text.replace(*OTHERWISE))
    return path


def finished_by_another(folder, first):
    """Take a stopped process's lock away, finish its run, let it go on: nothing may change."""
    (folder / ".lock").unlink()
    done = Run.open(folder).resume()
    before = frozen(done)
    first.send_signal(signal.SIGCONT)
    said = first.communicate(timeout=120)[1]
    assert first.returncode == 2, said
    assert said == (
        f"chymist: run {folder.name} was taken over by another process while this one was paused "
        f"or cut off (chymist show {folder.name} tells how it stands)\n"
    )
    assert frozen(done) == before
    assert Run.open(folder).sealed


@pytest.mark.parametrize(
    "point",
    [
        "rename:6",
        *(
            pytest.param(point, marks=pytest.mark.slow)
            for point in ("write:6", "flush:6", "append:6", "seal:2", "seal:9")
        ),
    ],
)
def test_a_process_that_was_replaced_overwrites_nothing(lab, otherwise, started, point):
    """It is stopped at a fault point, its lock removed by hand, its run finished by another."""
    first = started("run", otherwise, CHYMIST_FAULT=f"{point}:stop")
    until(stopped(first))
    finished_by_another(Lab().find(), first)


@pytest.mark.slow
def test_workers_of_a_process_that_was_replaced_overwrite_nothing(lab, otherwise, started):
    """The workers are not stopped: they find out for themselves."""
    first = started("run", otherwise, "--pause", "2", "--jobs", "2")
    until(sealed(lab, 1))
    first.send_signal(signal.SIGSTOP)
    finished_by_another(Lab().find(), first)


def test_a_lock_that_another_takes_without_asking_is_lost(cut):
    """As on a network file system that gives it to another machine."""
    run = cut(3)
    with pytest.raises(RunInUse, match="was taken over"), lock.only_one(run.folder):
        write_text(run.folder / "mine.json", "1")
        (run.folder / lock.HOLDER).write_text("another")
        for write in (write_text, append_line):
            with pytest.raises(RunInUse, match=rf"run {run.id} was taken over"):
                write(run.folder / "chunks" / "mine.json", "2")
        assert not (run.folder / "chunks" / "mine.json").exists()
        write_text(run.folder.parent / "elsewhere", "not of this run")
        write_text(run.folder / "mine.json", "3")
    assert (run.folder / "mine.json").read_text() == "1"
    assert (run.folder / lock.HOLDER).read_text() == "another"
    assert not list(run.folder.rglob("*.tmp"))


def test_a_new_run_that_was_taken_over_is_not_discarded(lab, pair):
    """A run that comes to nothing is removed by whoever made it, but not from under another."""

    def observe(event):
        (event.run / lock.HOLDER).write_text("another")

    with pytest.raises(RunInUse, match="was taken over"):
        chymist.run(pair, observe=observe)
    assert (Lab().find() / "plan.json").exists()

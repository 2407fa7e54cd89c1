"""Runs wait in a fair order and are computed in processes of their own."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from web_server import STUDIES

import chymist
from chymist.lab import Lab, runner
from chymist.lab.chunk import Chunk, Seal
from chymist.lab.plan import chunks_of, read_plan
from chymist.web.queue import MOST_WAITING, Live, Queue, TooMany
from chymist.web.remaining import left


def live(run, study):
    return Live(Path(run), study, study, [], 0.0, 1)


def planned(lab, study="tiny.py", **options):
    """Plan a run; return it as a queue holds it."""
    path = STUDIES / study
    folder = runner.plan(chymist.find(str(path)), lab=lab, name=str(path), threads=1, **options)
    plan = read_plan(folder)
    return Live(folder, plan["study"]["slug"], "", chunks_of(plan), 5.0, 1)


def test_studies_take_turns_and_no_run_overtakes_its_own_study():
    async def order():
        queue = Queue(0)
        for name in ("a1", "a2", "a3", "b1", "c1", "b2"):
            await queue.add(live(name, name[0]))
        return [one.id for one in queue.waiting()]

    assert asyncio.run(order()) == ["a1", "b1", "c1", "a2", "b2", "a3"]


def test_no_run_waits_for_ever_however_many_come():
    async def last():
        queue = Queue(0)
        await queue.add(live("patient", "other"))
        for number in range(MOST_WAITING - 1):
            await queue.add(live(f"greedy{number}", "many"))
        with pytest.raises(TooMany, match="waiting already"):
            await queue.add(live("one-more", "many"))
        return [one.id for one in queue.waiting()].index("patient")

    assert asyncio.run(last()) <= 1


async def until(queue, one, holds, seconds=60):
    async with asyncio.timeout(seconds):
        while not holds(one):
            await queue.changes(queue.version, 0.5)


def test_a_run_is_computed_elsewhere_and_comes_out_as_by_the_command_line(lab, found):
    one = planned(lab)

    async def compute():
        queue = Queue()
        await queue.add(one)
        await until(queue, one, lambda it: it.over)
        await queue.close()

    asyncio.run(compute())
    assert one.state == "sealed", one.says
    run = Lab(lab).open(one.id)
    assert run.status == "supported" and run.report.is_file()
    assert found(run) == found(chymist.run(STUDIES / "tiny.py", threads=1))


def test_a_run_that_is_stopped_keeps_what_it_sealed_and_goes_on(lab):
    one = planned(lab, "pair.py", width="4", pause=1.0)

    async def stopped():
        queue = Queue()
        await queue.add(one)
        await until(queue, one, lambda it: it.seals)
        await queue.stop(one)
        await until(queue, one, lambda it: it.over)
        await queue.close()

    asyncio.run(stopped())
    assert one.state == "stopped"
    done, of = Lab(lab).open(one.id).progress
    assert 0 < done < of
    assert done == len(one.seals)
    assert Lab(lab).resume(one.id).status == "supported"


def test_a_process_that_is_killed_is_reported(lab):
    one = planned(lab, "pair.py", pause=30.0)

    async def killed():
        queue = Queue()
        await queue.add(one)
        await until(queue, one, lambda it: it.now)
        os.kill(queue._processes[one.id].pid, signal.SIGKILL)
        await until(queue, one, lambda it: it.over)
        await queue.close()

    asyncio.run(killed())
    assert (one.state, one.says) == ("failed", "its process died (SIGKILL); what is sealed is kept")


def test_what_goes_wrong_in_a_study_is_told_in_one_line(lab, variant):
    path = variant("values.mean(", "values.nothing(")
    folder = runner.plan(chymist.find(str(path)), lab=lab, name=str(path), threads=1)
    one = Live(folder, "tiny", "", chunks_of(read_plan(folder)), 5.0, 1)

    async def fails():
        queue = Queue()
        await queue.add(one)
        await until(queue, one, lambda it: it.over)
        await queue.close()

    asyncio.run(fails())
    assert one.state == "failed"
    assert "AttributeError" in one.says and "Traceback" not in one.says and "\n" not in one.says


def test_the_process_ends_with_its_server(lab, soon):
    """A server that is killed leaves no process behind."""
    one = planned(lab, "pair.py", pause=30.0)
    words = [sys.executable, "-m", "chymist.web.computing"]
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    process.stdin.write(f"{one.folder}\n".encode())
    process.stdin.flush()
    said = json.loads(process.stdout.readline())
    assert said["event"] == "progress"
    process.stdin.close()
    soon(lambda: process.poll() is not None, 5)
    process.stdout.close()


def test_a_process_is_kept_ready_and_ends_with_the_queue(lab):
    one = planned(lab)

    async def compute():
        queue = Queue(spare=1)
        await queue.prepare()
        ready = queue._ready
        await queue.add(one)
        await until(queue, one, lambda it: it.now)
        assert queue._processes[one.id] is ready
        await until(queue, one, lambda it: it.over and queue._ready is not None)
        following = queue._ready
        assert following is not ready and ready.returncode is not None
        await queue.close()
        return following.returncode

    assert asyncio.run(compute()) is not None
    assert one.state == "sealed"


def test_the_time_left_follows_from_what_was_sealed():
    chunks = [Chunk(i, "ab"[i // 2], "control", {}, {}, (0, 8)) for i in range(4)]
    assert left(chunks, {}, 40.0, 0.0) == 40.0
    assert left(chunks, {}, 40.0, 4.0) == 36.0
    assert left(chunks, {}, 40.0, 99.0) == 30.0
    assert left(chunks, {0: Seal("", 0, 2.0)}, 40.0, 0.0) == 6.0
    assert left(chunks, dict.fromkeys(range(4), Seal("", 0, 2.0)), 40.0, 0.0) == 0.0

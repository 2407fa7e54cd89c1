"""kill -9 at random times: nothing sealed is lost or computed again, and the end is the same."""

import collections
import json
import random

import pytest

import chymist
from chymist.lab import Lab

WIDTHS = "1,2,3,4,5"  # two experiments, two arms, five widths: 20 chunks


def sealed(folder):
    """Return the sealed chunks and the moments when their data were written."""
    seals = folder.glob("chunks/*.json")
    return {s.stem: s.with_suffix(".nc").stat().st_mtime_ns for s in seals}


def computed_once(run):
    """Hold the log to it: a chunk that was sealed is never computed again."""
    done = collections.Counter()
    for line in (run.folder / "log.jsonl").read_text().splitlines():
        event = json.loads(line) if line.endswith("}") else {"event": "torn"}
        if event["event"] == "computing":
            assert not done[event["chunk"]], event
        if event["event"] == "sealed":
            done[event["chunk"]] += 1
    assert set(done.values()) == {1}


def killed(lab, launch, times, longest, whole, found, pair):
    """Kill a run, then its resumptions, at random times; start another run when one finishes.

    On a busy machine all the kills may come before a plan is whole: then one run is made at last.
    """
    draw = random.Random(0)
    kills = finished = 0
    going, before = False, {}
    while kills < times or going or not finished:
        words = ["resume"] if going else ["run", pair, "--width", WIDTHS, "--pause", "0.02"]
        limit = draw.uniform(0, longest) if kills < times else None
        kills += launch(*words, kill_after=limit) == -9
        runs = Lab(lab).manifests()
        going = bool(runs)
        if not going:  # killed before the plan was whole
            continue
        folder = lab / "runs" / runs[0]["id"]
        now = sealed(folder)
        assert before.items() <= now.items()
        before = now
        if runs[0]["status"] == "sealed":
            run = Lab(lab).open()
            assert found(run) == found(whole)
            computed_once(run)
            Lab(lab).discard(folder)
            finished += 1
            going, before = False, {}


@pytest.fixture
def whole(lab, pair, tmp_path):
    widths = tuple(map(int, WIDTHS.split(",")))
    return chymist.run(pair, lab=tmp_path / "whole", width=widths, pause=0.02)


def test_killed_ten_times(lab, pair, forked, whole, found):
    killed(lab, forked, 10, 1.2, whole, found, pair)


@pytest.mark.slow
@pytest.mark.evidence
def test_fresh_processes_killed_fifty_times(lab, pair, started, whole, found):
    killed(lab, started, 50, 6.0, whole, found, pair)

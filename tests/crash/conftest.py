import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from chymist import files

STUDIES = Path(__file__).parents[1] / "studies"


@pytest.fixture
def fault(monkeypatch):
    """Let the n-th passing of a fault point fail; without arguments, none."""

    def set_to(text=""):
        files._passed.clear()
        if text:
            monkeypatch.setenv(files.FAULT, text)
        else:
            monkeypatch.delenv(files.FAULT, raising=False)

    set_to()
    return set_to


@pytest.fixture(scope="module")
def spare():
    process = subprocess.Popen(
        [sys.executable, Path(__file__).parent / "spare.py", STUDIES / "pair.py"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "ready\n"
    yield process
    process.stdin.close()
    assert process.wait(10) == 0
    process.stdout.close()


@pytest.fixture
def forked(spare, lab):
    """Run a command in a fork, kill it after so many seconds if given; return its exit code."""

    def run(*words, kill_after=None, **environment):
        asked = {
            "words": [*map(str, words)],
            "environment": {"CHYMIST_LAB": str(lab), **environment},
            "folder": str(lab.parent),
            "kill_after": kill_after,
        }
        spare.stdin.write(json.dumps(asked) + "\n")
        spare.stdin.flush()
        return int(spare.stdout.readline())

    return run


@pytest.fixture
def started(lab):
    """Run a command in a fresh process, kill it after so many seconds if given."""

    def run(*words, kill_after=None, **environment):
        process = subprocess.Popen(
            [sys.executable, "-m", "chymist", *map(str, words)],
            cwd=lab.parent,
            env={**os.environ, **environment},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            return process.wait(kill_after)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()

    return run

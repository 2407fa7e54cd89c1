import os
import subprocess
import sys

import pytest

from chymist import files


def ended(process, kill_after):
    """Wait for a process, kill it after so many seconds; return its exit code."""
    try:
        return process.wait(kill_after)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


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


@pytest.fixture
def forked(spare, lab):
    """Run a command in a fork, kill it after so many seconds if given; return its exit code."""

    def run(*words, kill_after=None, **environment):
        return ended(spare.start(*words, **environment), kill_after)

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
        return ended(process, kill_after)

    return run

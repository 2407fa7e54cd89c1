"""Ctrl-C while Python cannot run its handler: a long operation outside the interpreter."""

import signal
import subprocess
import sys
import time

import pytest

# Deriving a key takes half a minute, lets other threads run, and heeds no signal: as torch can.
CODE = """
import hashlib
from chymist.cli.interrupts import polite
with polite() as hint:
    hint.text = "interrupted (to continue: chymist resume 0)"
    print("ready", flush=True)
    hashlib.pbkdf2_hmac("sha256", b"", b"", 10**8)
"""


@pytest.fixture
def busy():
    process = subprocess.Popen(
        [sys.executable, "-c", CODE], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.1)
    yield process
    process.kill()
    process.communicate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_ends_it_within_two_seconds(busy, number):
    begun = time.monotonic()
    busy.send_signal(number)
    said = busy.communicate(timeout=10)[1]
    assert time.monotonic() - begun < 2
    assert busy.returncode == 130
    assert said.strip() == "chymist: interrupted (to continue: chymist resume 0)"


def test_the_second_ends_it_at_once(busy):
    begun = time.monotonic()
    busy.send_signal(signal.SIGINT)
    time.sleep(0.2)
    busy.send_signal(signal.SIGINT)
    busy.communicate(timeout=10)
    assert time.monotonic() - begun < 1
    assert busy.returncode == 130

"""Processes that start at once: forks of one that has imported everything."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
PATIENCE = 120.0
"""Seconds until what was forked is taken for stuck."""


class Spare:
    """The process that is forked: see `spare`."""

    def __init__(self, said):
        self.said = said
        self.process = subprocess.Popen(
            [sys.executable, HERE / "spare.py", HERE / "studies" / "pair.py"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout.readline() == "ready\n"

    def ask(self, **asked):
        self.process.stdin.write(json.dumps(asked) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def start(self, *words, call="chymist.cli:execute", session=False, **environment):
        """Call a function of words, by default the command line, in a process of its own."""
        said = tempfile.mkdtemp(dir=self.said)
        pid = self.ask(
            call=call,
            words=[*map(str, words)],
            environment={**os.environ, **environment},
            folder=str(Path.cwd()),
            said=said,
            session=session,
        )
        return Forked(self, pid, Path(said))

    def end(self):
        self.process.stdin.close()
        assert self.process.wait(PATIENCE) == 0
        self.process.stdout.close()


class Forked:
    """A process that was forked, as `subprocess.Popen` has it."""

    def __init__(self, spare, pid, said):
        self.spare, self.pid, self.said = spare, pid, said
        self.returncode = None

    def poll(self):
        if self.returncode is None:
            self.returncode = self.spare.ask(wait=self.pid)
        return self.returncode

    def wait(self, timeout=None):
        deadline = time.monotonic() + (PATIENCE if timeout is None else timeout)
        while self.poll() is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired([self.pid], timeout)
            time.sleep(0.005)
        return self.returncode

    def communicate(self, timeout=None):
        self.wait(timeout)
        return (self.said / "1").read_text(), (self.said / "2").read_text()

    def send_signal(self, number):
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self):
        self.send_signal(signal.SIGKILL)

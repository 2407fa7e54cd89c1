"""A process that has imported everything and forks a `chymist` command on request.

A fork is the command itself, without the seconds that importing takes: so it can be killed many
times. One line of JSON in (words, environment, folder, seconds until it is killed), one line out:
its exit code.
"""

import json
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

from chymist import catalogue, cli, report  # noqa: F401
from chymist.lab import runner


def main():
    with tempfile.TemporaryDirectory() as lab:
        runner.run(catalogue.find(sys.argv[1]), name=sys.argv[1], lab=lab)
    print("ready", flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        pid = os.fork()
        if pid == 0:
            os.environ.update(asked["environment"])
            os.chdir(asked["folder"])
            for number, name in ((0, os.devnull), (1, "stdout"), (2, "stderr")):
                handle = os.open(Path(name), os.O_RDWR | os.O_CREAT | os.O_TRUNC)
                os.dup2(handle, number)
            os._exit(cli.execute(asked["words"]))
        if asked["kill_after"] is not None:
            time.sleep(asked["kill_after"])
            os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main()

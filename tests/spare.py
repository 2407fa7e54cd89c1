"""A process that has imported everything and forks on request.

What is forked is the command itself, without the seconds that importing takes: so it can be
started, and killed, many times. One line of JSON in, one number out. {"call": "module:function",
"words": [...], "environment": {...}, "folder": ..., "said": ..., "session": ...} starts a function
of words, in a folder and maybe in a session of its own, with its outputs written to `said`, and
answers its id; {"wait": id} answers the exit code, or null while there is none.
"""

import importlib
import json
import os
import sys
import tempfile
from pathlib import Path

from chymist import catalogue, cli, report  # noqa: F401
from chymist.lab import runner


def forked(asked):
    """Become what is asked for: call the function, end with the code that it returns."""
    if asked["session"]:
        os.setsid()
    os.environ.clear()
    os.environ.update(asked["environment"])
    os.chdir(asked["folder"])
    said = Path(asked["said"])
    for number, name in ((0, os.devnull), (1, said / "1"), (2, said / "2")):
        os.dup2(os.open(name, os.O_RDWR | os.O_CREAT | os.O_TRUNC), number)
    module, _, function = asked["call"].partition(":")
    code = getattr(importlib.import_module(module), function)(asked["words"])
    sys.stdout.flush()
    sys.stderr.flush()
    return code


def main():
    with tempfile.TemporaryDirectory() as lab:
        runner.run(catalogue.find(sys.argv[1]), name=sys.argv[1], lab=lab)
    print("ready", flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        if "wait" in asked:
            pid, status = os.waitpid(asked["wait"], os.WNOHANG)
            answer = os.waitstatus_to_exitcode(status) if pid else None
        else:
            answer = os.fork()
            if answer == 0:
                code = 1
                try:
                    code = forked(asked)
                except Exception:
                    sys.excepthook(*sys.exc_info())
                finally:
                    os._exit(code)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()

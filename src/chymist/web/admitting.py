"""The process that reads a reader's file and plans the run: decoders meet the file here alone.

`python -m chymist.web.admitting` reads an order as JSON from standard input and writes one line of
JSON: the run's id, or what is wrong.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from chymist import catalogue
from chymist.errors import ChymistError
from chymist.web.uploads import MEMORY, PATIENCE


def main() -> None:
    """Plan the run that standard input describes."""
    talk = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    order = json.load(sys.stdin)
    _bound()
    try:
        answer: dict[str, Any] = {"run": _planned(order)}
    except ChymistError as error:
        kind = type(error).__name__
        answer = {"kind": kind, "message": error.message, "hint": error.hint}
    except MemoryError:
        hint = "give a smaller one"
        answer = {"kind": "BadInput", "message": "the file takes too much memory", "hint": hint}
    talk.write(json.dumps(answer) + "\n")
    talk.flush()


def _planned(order: dict[str, Any]) -> str:
    from chymist.lab import runner

    folder = runner.plan(
        catalogue.find(order["name"]),
        preset=order["preset"],
        data=order["data"],
        lab=order["lab"],
        threads=order["threads"],
        name=order["name"],
        **order["asked"],
        **order["parameters"],
    )
    return folder.name


def _bound() -> None:
    """Bound memory and time, where the system can."""
    try:
        import resource
    except ImportError:
        return
    for kind, value in (("RLIMIT_AS", MEMORY), ("RLIMIT_CPU", int(PATIENCE))):
        number = getattr(resource, kind)
        hard = resource.getrlimit(number)[1]
        resource.setrlimit(number, (value if hard < 0 else min(value, hard), hard))


if __name__ == "__main__":
    main()

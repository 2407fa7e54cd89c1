"""A worker process: chunks of one run in, sealed chunks out.

`python -m chymist.lab.worker FOLDER MARK` reads the run's plan, then one line from standard input
for each chunk to compute (its index), and writes one line of JSON for each thing that happens. It
never outlives whoever started it: when its standard input ends, so does it. It seals chunks only
while the run is held with this mark: see `lock`.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import IO, Any

from chymist.lab.plan import chunks_of, read_plan

SELDOM = 0.2
"""Seconds between two reports of progress."""


def main() -> None:
    """Work until standard input ends."""
    # Ctrl-C goes to every process of a terminal; it is for the parent to decide what follows.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # What a study prints must not be taken for a message.
    talk = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    asked: queue.SimpleQueue[int] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(asked,), daemon=True).start()
    try:
        _work(Path(sys.argv[1]), sys.argv[2], asked, talk)
    except BaseException as error:
        _say(
            talk,
            event="failed",
            kind=type(error).__name__,
            message=getattr(error, "message", str(error)),
            hint=getattr(error, "hint", ""),
            trace=traceback.format_exc(),
        )


def _listen(asked: queue.SimpleQueue[int]) -> None:
    for line in sys.stdin:
        asked.put(int(line))
    os._exit(0)


def _work(folder: Path, mark: str, asked: queue.SimpleQueue[int], talk: IO[str]) -> None:
    plan = read_plan(folder)
    # After the plan, so that a worker with nothing to read ends before torch is imported.
    from chymist.lab.compute import compute, pinned
    from chymist.lab.lock import held
    from chymist.lab.measured import kept_input
    from chymist.lab.planning import planned_study
    from chymist.lab.store import seal_chunk

    study = planned_study(plan, folder)
    given = kept_input(folder, plan)
    chunks = chunks_of(plan)
    _say(talk, event="ready")
    with pinned(plan["threads"]), held(folder, mark):
        while True:
            chunk = chunks[asked.get()]
            begun = told = time.perf_counter()

            def progress(label: str, done: int, steps: int) -> None:
                nonlocal told
                if time.perf_counter() - told > SELDOM:
                    told = time.perf_counter()
                    _say(talk, event="progress", label=label, done=done, steps=steps)

            notes: list[str] = []
            data = compute(study, chunk, given, plan["device"], progress, notes.append)
            seal = seal_chunk(folder, chunk, data, time.perf_counter() - begun)
            _say(talk, event="sealed", seal=seal.to_json(), how=list(dict.fromkeys(notes)))


def _say(talk: IO[str], **message: Any) -> None:
    talk.write(json.dumps(message) + "\n")
    talk.flush()


if __name__ == "__main__":
    main()

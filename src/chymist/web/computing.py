"""The process that computes a run for the server, as `chymist resume` would.

`python -m chymist.web.computing` loads its libraries, reads the folder of a run from standard
input, finishes that run, and writes one line of JSON for each thing that happens. It never outlives
the server: when its standard input ends, it stops. What it has sealed by then is kept.
"""

from __future__ import annotations

import _thread
import json
import os
import queue
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import IO, Any

from chymist.errors import ChymistError

SELDOM = 0.2
"""Seconds between two reports of progress."""
GRACE = 1.4
"""Seconds that a computation has to stop by itself."""


def main() -> None:
    """Compute the run that standard input names."""
    # What a study prints must not be taken for a message.
    talk = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    asked: queue.SimpleQueue[Path] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(asked,), daemon=True).start()
    try:
        # Before a run is named: who waits for it need not wait for this.
        from chymist import api  # noqa: F401

        _compute(asked.get(), talk)
    except KeyboardInterrupt as error:
        _say(talk, event="stopped", message=str(error))
    except ChymistError as error:
        _say(talk, event="failed", message=error.message, hint=error.hint)
    except Exception as error:
        traceback.print_exc()
        said = f"{type(error).__name__}: {error}"
        _say(talk, event="failed", message=said, hint="the server's terminal shows where")


def _listen(asked: queue.SimpleQueue[Path]) -> None:
    named = sys.stdin.readline().rstrip("\n")
    if not named:
        os._exit(0)
    asked.put(Path(named))
    for _ in sys.stdin:
        continue
    _thread.interrupt_main()
    time.sleep(GRACE)
    os._exit(130)


def _compute(folder: Path, talk: IO[str]) -> None:
    from chymist import api
    from chymist.lab import runner
    from chymist.lab.events import Event
    from chymist.web.sketch import Sketch

    told = 0.0
    sketch = Sketch()

    def observe(event: Event) -> None:
        nonlocal told
        now = time.perf_counter()
        if event.label in ("starting", "done") or event.notice or now - told > SELDOM:
            told = now
            _say(
                talk,
                event="progress",
                sealed=event.sealed,
                chunks=event.chunks,
                chunk=event.chunk,
                experiment=event.experiment,
                arm=event.arm,
                label=event.label,
                done=event.done,
                steps=event.steps,
                notice=event.notice,
            )
            for drawn in sketch.taken():
                _say(talk, event="drawn", **drawn)

    done = runner.resume(folder, observe=observe, onlooker=sketch.watcher)
    api.write_report(done)
    _say(talk, event="sealed", verdict=done.manifest["verdict"])


def _say(talk: IO[str], **message: Any) -> None:
    talk.write(json.dumps(message) + "\n")
    talk.flush()


if __name__ == "__main__":
    main()

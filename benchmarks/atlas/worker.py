"""Run a study's quick preset and print, as JSON, what it took: SLUG THREADS LAB."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import chymist
from chymist import group, training
from chymist.lab import session
from chymist.native import run as native_run

SPENT: Counter[str] = Counter()
"""Processor time by what was done [s]; what is done within something else counts once."""
DOING = threading.local()
LOCK = threading.Lock()


def switch(what: str) -> str:
    """Count this thread's time from here on as `what`; return as what it counted before."""
    now, before = time.thread_time(), getattr(DOING, "what", "")
    with LOCK:
        SPENT[before] += now - getattr(DOING, "since", now)
    DOING.what, DOING.since = what, now
    return before


def counted(where: Any, name: str, what: str) -> None:
    """Count the time of a function, in whatever thread it is called."""
    function: Callable[..., Any] = getattr(where, name)

    @wraps(function)
    def run(*args: Any, **options: Any) -> Any:
        before = switch(what)
        try:
            return function(*args, **options)
        finally:
            switch(before)

    setattr(where, name, run)


def main() -> None:
    slug, threads, lab = sys.argv[1:]
    counted(native_run, "train", "training")
    counted(training, "_train_by_autograd", "training")
    counted(native_run._Machine, "go_to", "training")
    counted(group.Group, "record", "instruments")
    counted(session, "seal_chunk", "saving")
    chymist.run(slug, lab=lab, threads=int(threads))
    # Not getrusage: it counts the parent's memory before the process became its own.
    status = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    peak = next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM"))
    print(json.dumps({"processor": time.process_time(), "memory": peak, "spent": SPENT}))


if __name__ == "__main__":
    main()

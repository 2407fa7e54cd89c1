"""Asking `renderer`, a process of its own, for drawings; started once, kept for the next."""

from __future__ import annotations

import atexit
import json
import subprocess
import sys
import threading
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

RENDERER = Path(__file__).with_name("renderer.py")
PATIENCE = 60.0
"""Seconds for one drawing."""

_lock = threading.Lock()
_process: subprocess.Popen[bytes] | None = None


def render(spec: dict[str, Any], format: Literal["svg", "png", "pdf"]) -> bytes:
    """Render a specification without a browser and without the network.

    Raises:
        ValueError: it is no specification, or asks for more time or memory than a figure needs.
    """
    return _rendered({"spec": spec, "format": format})


@cache
def library() -> bytes:
    """Return the script that draws specifications in a browser: it defines `vegaEmbed`.

    0.9 MB, made in two to four seconds when it is first asked for.

    Raises:
        ValueError: it cannot be made.
    """
    return _rendered({"spec": {}, "format": "library"})


def library_version() -> str:
    """Return what decides the content of `library`."""
    return version("vl-convert-python")


def _rendered(asked: dict[str, Any]) -> bytes:
    request = json.dumps(asked).encode()
    with _lock:
        try:
            answer = _ask(request)
        except BaseException:  # what it would answer later is no answer to the next request
            _stop()
            raise
        if answer is None:
            _stop()
            raise ValueError("it asks for more time or memory than a figure needs")
    if not answer[0]:
        raise ValueError(answer[1].decode(errors="replace"))
    return answer[1]


def _ask(request: bytes) -> tuple[bool, bytes] | None:
    """Return the renderer's answer; None if it came to an end over it."""
    global _process
    for _ in range(2):
        fresh = _process is None or _process.poll() is not None
        if fresh:
            _stop()
            _process = subprocess.Popen(  # noqa: S603  our own file, by this interpreter
                [sys.executable, "-P", str(RENDERER)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        answer = _exchange(_process, request)
        # One that had been idle may have left just before it was asked.
        if answer is not None or fresh:
            return answer
    return None


def _exchange(process: Any, request: bytes) -> tuple[bool, bytes] | None:
    watch = threading.Timer(PATIENCE, process.kill)
    watch.daemon = True
    watch.start()
    try:
        process.stdin.write(len(request).to_bytes(8, "little") + request)
        process.stdin.flush()
        head = process.stdout.read(9)
        size = int.from_bytes(head[1:], "little")
        content = process.stdout.read(size) if len(head) == 9 else b""
    except OSError:
        return None
    finally:
        watch.cancel()
    return (bool(head[0]), content) if len(head) == 9 and len(content) == size else None


def _stop() -> None:
    global _process
    if _process is not None:
        _process.kill()
        _process.wait()
        for stream in (_process.stdin, _process.stdout):
            if stream:
                try:
                    stream.close()
                except OSError:
                    continue
        _process = None


atexit.register(_stop)

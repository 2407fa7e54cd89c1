"""Ctrl-C and SIGTERM: the first stops within two seconds, the second at once."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)
GRACE = 1.4
"""Seconds that a computation has to stop by itself."""
SHOW_CURSOR = "\x1b[?25h"


class Hint:
    """What to say if the process has to leave without unwinding."""

    text = "interrupted"


@contextlib.contextmanager
def polite() -> Iterator[Hint]:
    """Let the first signal raise KeyboardInterrupt; leave at the second, or after the grace.

    Python runs signal handlers between its own instructions only, which a long operation of torch
    holds up. So a thread listens for the signals, too. Leaving at once is safe at any moment: what
    is not sealed does not exist.
    """
    hint = Hint()
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    once: list[int] = []

    def interrupt(number: int, frame: FrameType | None) -> None:
        if not once:
            once.append(number)
            raise KeyboardInterrupt

    listener = threading.Thread(target=_listen, args=(ours, hint), daemon=True)
    before = {number: signal.signal(number, interrupt) for number in SIGNALS}
    waker = signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
    listener.start()
    try:
        yield hint
    finally:
        signal.set_wakeup_fd(waker)
        for number, handler in before.items():
            signal.signal(number, handler)
        with contextlib.suppress(OSError):
            theirs.send(b"\0")
        listener.join()
        ours.close()
        theirs.close()


def _listen(stream: socket.socket, hint: Hint) -> None:
    heard = 0
    while True:
        try:
            byte = stream.recv(1)
        except TimeoutError:
            _leave(hint)
        if not byte or byte == b"\0":
            return
        if byte[0] in SIGNALS:
            heard += 1
            stream.settimeout(GRACE)
        if heard > 1:
            _leave(hint)


def _leave(hint: Hint) -> None:
    if sys.stderr.isatty():
        os.write(2, SHOW_CURSOR.encode())
    os.write(2, f"\nchymist: {hint.text}\n".encode())
    os._exit(130)

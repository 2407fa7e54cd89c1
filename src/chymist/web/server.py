"""`chymist serve`: a server for the one reader who has its token, on this machine alone."""

from __future__ import annotations

import errno
import os
import secrets
import socket
import sys
import threading
import webbrowser
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
import uvicorn
from starlette.types import ASGIApp

from chymist import catalogue
from chymist.errors import UsageError
from chymist.lab import Lab
from chymist.report import evidence
from chymist.web.app import create, largest
from chymist.web.guard import Guard
from chymist.web.house import House
from chymist.web.queue import Queue
from chymist.web.reading import Reading
from chymist.web.shelf import Shelf

ADDRESS = "127.0.0.1"
USUAL = 8765


def serve(
    files: Sequence[str] = (),
    *,
    port: int | None = None,
    browser: bool = True,
    at_once: int = 1,
    evidence_in: Path = evidence.FOLDER,
    lab: Path | None = None,
    tell: Callable[[str], None] = print,
) -> None:
    """Serve until interrupted. `tell` is given the address, with the token, once it answers.

    Raises:
        UsageError: the port is taken, or a number is out of range.
        UnknownStudy, BadStudy: a file of studies cannot be used.
    """
    if at_once < 1:
        raise UsageError(f"at-once cannot be {at_once}", "allowed: integer >= 1")
    shelf = Shelf(files)
    stream = listening(port)
    number = int(stream.getsockname()[1])
    token = secrets.token_urlsafe(32)
    threads = max(1, torch.get_num_threads() // at_once)
    house = House(
        shelf=shelf,
        reading=Reading(Lab(lab), evidence_folder(evidence_in)),
        queue=Queue(at_once, spare=threads),
        threads=threads,
    )
    server = Server(guarded(house, token, number))
    address = f"http://{ADDRESS}:{number}/?token={token}"

    def announce() -> None:
        tell(address)
        if browser and has_browser():
            webbrowser.open(address)

    server.when_started = announce
    # What pages will ask for is imported while the browser opens.
    threading.Thread(target=_warm, args=(shelf,), daemon=True).start()
    with stream:
        server.run(sockets=[stream])


def guarded(house: House, token: str, port: int) -> ASGIApp:
    """Return the application with its guard."""
    return Guard(create(house), token, f"chymist-{port}", largest)


class Server(uvicorn.Server):
    """A server that says when it has started."""

    def __init__(self, app: ASGIApp) -> None:
        self.when_started: Callable[[], None] = lambda: None
        super().__init__(
            uvicorn.Config(
                app,
                log_level="warning",
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=3,
                limit_concurrency=200,
                ws="none",
            )
        )

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and say so."""
        await super().startup(sockets)
        if self.started:
            self.when_started()


def listening(port: int | None) -> socket.socket:
    """Return a socket of this machine alone: at the port, or else the usual one or any.

    Raises:
        UsageError: the port is taken, or is none.
    """
    if port is not None and not 0 <= port <= 65535:
        raise UsageError(f"port cannot be {port}", "allowed: integer from 0 to 65535, 0 for any")
    for number in (USUAL, 0) if port is None else (port,):
        stream = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if sys.platform != "win32":
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            stream.bind((ADDRESS, number))
            return stream
        except OSError as error:
            stream.close()
            if port is not None:
                why = "is in use" if error.errno == errno.EADDRINUSE else f"is refused: {error}"
                raise UsageError(f"port {port} {why}", "--port 0 takes any free one") from error
    raise UsageError("no port is free on this machine", "end a program that listens")


def evidence_folder(given: Path) -> Path:
    """Return the folder of the evidence: the given one, or else the one beside the source."""
    beside = Path(catalogue.__file__).parents[2] / evidence.FOLDER
    return beside if not given.is_dir() and beside.is_dir() else given


def has_browser() -> bool:
    """Tell whether there is a screen that a browser could open on."""
    if sys.platform in ("win32", "darwin"):
        return True
    return any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))


def _warm(shelf: Shelf) -> None:
    for entry in shelf.entries():
        try:
            shelf.study(entry.slug)
        except Exception:  # noqa: S112  who asks for it will be told
            continue

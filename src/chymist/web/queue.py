"""Runs that a server computes: in a fair order, a few at a time, each in a process of its own.

A run waits as a plan on disk. So nothing that was asked for is lost with the server: a run that was
waiting or was being computed is an unfinished run of the lab, which can be resumed.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chymist.errors import UsageError
from chymist.lab.chunk import Chunk, Seal, read_seals
from chymist.lab.workers import POOLS
from chymist.languages import say, tongue
from chymist.web.remaining import left
from chymist.web.trace import Trace

MOST_WAITING = 50
KEPT = 200
"""Runs that are over and of which the server still knows how they ended."""
LONGEST = 4 * 2**20
"""Bytes of a line that a process says."""
PATIENCE = 3.0
"""Seconds that a process has to stop by itself."""
OVER = ("sealed", "stopped", "failed")


class TooMany(UsageError):
    """More is asked for than the server takes on."""


@dataclass
class Live:
    """A run that waits, is computed, or was.

    `state` is waiting, computing, stopping, and in the end sealed, stopped or failed. `says` is
    what went wrong. `version` grows with every change.
    """

    folder: Path
    study: str
    title: str
    chunks: list[Chunk]
    stated: float
    threads: int
    state: str = "waiting"
    says: str = ""
    notice: str = ""
    seals: dict[int, Seal] = field(default_factory=dict)
    now: Mapping[str, Any] = field(default_factory=dict)
    begun: float = 0.0
    version: int = 0
    trace: Trace = field(default_factory=Trace)

    @property
    def id(self) -> str:
        """The run's 26 characters."""
        return self.folder.name

    @property
    def over(self) -> bool:
        """Whether it is neither waiting nor being computed."""
        return self.state in OVER

    def told(self, place: int) -> dict[str, Any]:
        """Return how it stands as plain JSON; `place` is its turn among those that wait."""
        seconds = None
        if not self.over:
            current = time.monotonic() - self.begun if self.state == "computing" else 0.0
            seconds = left(self.chunks, self.seals, self.stated, current)
        return {
            "run": self.id,
            "study": self.study,
            "title": say(self.title),
            "tongue": tongue(self.title),
            "state": self.state,
            "place": place,
            "sealed": len(self.seals),
            "chunks": len(self.chunks),
            "doing": _doing(self.now),
            "done": self.now.get("done", 0),
            "steps": self.now.get("steps", 0),
            "left": seconds,
            "says": say(self.says),
            "says_tongue": tongue(self.says),
            "notice": self.notice,
        }


def _doing(now: Mapping[str, Any]) -> str:
    if not now:
        return ""
    arm = say(", control") if now["arm"] == "control" else ""
    label = "" if now["label"] in ("starting", "done") else f": {now['label']}"
    return f"{now['experiment']}{arm}{label}"


class Queue:
    """The runs of one server. All methods belong to its event loop."""

    def __init__(self, at_once: int = 1, spare: int = 0) -> None:
        """Compute `at_once` runs at a time.

        With `spare`, a process of so many threads is kept ready: loading torch takes seconds.
        """
        self.at_once, self.spare = at_once, spare
        self._ready: asyncio.subprocess.Process | None = None
        self.runs: dict[str, Live] = {}
        self.version = 0
        self._changed = asyncio.Condition()
        self._served: dict[str, int] = {}
        self._turns = 0
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._processes: dict[str, asyncio.subprocess.Process] = {}
        self._closed = False
        self.ended: Callable[[], None] = lambda: None
        """Called when a run is over."""

    @property
    def closed(self) -> bool:
        """Whether the server is ending."""
        return self._closed

    def waiting(self) -> list[Live]:
        """Return the runs that wait, in the order in which they will be computed.

        Studies take turns, the one that has waited longest for a turn first; the runs of one study
        go in the order in which they came. So many runs of one study hold up no other.
        """
        queued = [live for live in list(self.runs.values()) if live.state == "waiting"]
        served = dict(self._served)
        order: list[Live] = []
        turn = self._turns
        while queued:
            turn += 1
            following = min(queued, key=lambda live: served.get(live.study, 0))
            served[following.study] = turn
            queued.remove(following)
            order.append(following)
        return order

    def active(self) -> list[Live]:
        """Return the runs that are being computed, then those that wait, in their order."""
        busy = [
            live for live in list(self.runs.values()) if live.state in ("computing", "stopping")
        ]
        return busy + self.waiting()

    def told(self, live: Live) -> dict[str, Any]:
        """Return how a run stands as plain JSON."""
        place = self.waiting().index(live) + 1 if live.state == "waiting" else 0
        return live.told(place)

    async def add(self, live: Live) -> None:
        """Let a planned run wait for its turn; one that waits or is computed already, goes on.

        Raises:
            TooMany: too many runs wait.
        """
        there = self.runs.get(live.id)
        if there is not None and not there.over:
            return
        self.require_room()
        self.runs.pop(live.id, None)
        self.runs[live.id] = live
        for old in [run for run, known in self.runs.items() if known.over][:-KEPT]:
            del self.runs[old]
        self._advance()
        await self._tell(live)

    def require_room(self) -> None:
        """Refuse what cannot wait.

        Raises:
            TooMany: too many runs wait, or the server is ending.
        """
        if self._closed:
            raise TooMany("the server is ending", "start it again, then resume")
        if len(self.waiting()) >= MOST_WAITING:
            raise TooMany(f"{MOST_WAITING} runs are waiting already", "stop some, or come later")

    async def stop(self, live: Live) -> None:
        """Let a run wait no longer, or stop computing it; what it has sealed is kept."""
        if live.state == "waiting":
            live.state = "stopped"
        elif live.state == "computing":
            live.state = "stopping"
            self._hint(live)
        await self._tell(live)

    async def changes(self, after: int, patience: float) -> int:
        """Wait until something has changed since version `after`, at most so many seconds."""
        async with self._changed:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(patience):
                    await self._changed.wait_for(lambda: self.version > after or self._closed)
        return self.version

    async def close(self) -> None:
        """Stop all that is computed and wait for its end."""
        self._closed = True
        for live in list(self.runs.values()):
            if live.state == "computing":
                self._hint(live)
        async with self._changed:
            self._changed.notify_all()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        if self._ready is not None:
            await _end(self._ready)

    def _hint(self, live: Live) -> None:
        process = self._processes.get(live.id)
        if process is not None and process.stdin is not None:
            process.stdin.close()

    def _advance(self) -> None:
        """Begin what may begin."""
        while not self._closed and len(self._tasks) < self.at_once and (order := self.waiting()):
            live = order[0]
            self._turns += 1
            self._served[live.study] = self._turns
            live.state, live.begun, live.now = "computing", time.monotonic(), {}
            self._tasks[live.id] = asyncio.create_task(self._compute(live))

    async def _compute(self, live: Live) -> None:
        try:
            await self._converse(live)
        except Exception as error:  # of the system: no process, no pipe
            live.state, live.says = "failed", f"it cannot be computed: {error}"
        finally:
            live.trace = Trace()
            self.ended()
            self._processes.pop(live.id, None)
            self._tasks.pop(live.id, None)
            self._advance()
            await self._tell(live)
            await self.prepare()

    async def prepare(self) -> None:
        """Start the process that is kept ready, if one is and there is none."""
        if self.spare and self._ready is None and not self._closed:
            self._ready = await _started(self.spare)

    async def _take(self, live: Live) -> asyncio.subprocess.Process:
        """Return a process that was told to compute a run: the one that is ready, or a new one."""
        if self._ready is not None and self._ready.returncode is not None:
            self._ready = None
        if self._ready is None or live.threads != self.spare:
            process = await _started(live.threads)
        else:
            process, self._ready = self._ready, None
        if process.stdin is not None:
            process.stdin.write(f"{live.folder.absolute()}\n".encode())
        return process

    async def _converse(self, live: Live) -> None:
        """Let a process compute a run, and listen until it ends."""
        process = await self._take(live)
        self._processes[live.id] = process
        if self._closed or live.state == "stopping":
            self._hint(live)
        ended = ""
        try:
            while process.stdout and (line := await self._line(process.stdout, live)):
                message = json.loads(line)
                ended = self._hear(live, message) or ended
                await self._tell(live)
        finally:
            code = await _end(process)
        live.seals = read_seals(live.folder, live.chunks)
        if not ended and (live.state == "stopping" or self._closed):
            ended = "stopped"
        elif not ended:
            how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
            ended, live.says = "failed", f"its process died ({how}); what is sealed is kept"
        live.state = ended

    async def _line(self, stream: asyncio.StreamReader, live: Live) -> bytes:
        """Return the next line; none if the process was to stop and says nothing more."""
        reading = asyncio.ensure_future(stream.readline())
        while not reading.done():
            stopping = live.state == "stopping" or self._closed
            done, _ = await asyncio.wait([reading], timeout=PATIENCE if stopping else 1.0)
            if not done and stopping:
                reading.cancel()
                return b""
        return reading.result()

    def _hear(self, live: Live, message: Mapping[str, Any]) -> str:
        """Take in what a process says; return how it ended, if that is what it says."""
        event = message["event"]
        if event == "progress":
            live.now = message
            live.notice = message["notice"] or live.notice
            if message["chunks"] != len(live.chunks) or message["sealed"] != len(live.seals):
                live.begun = time.monotonic()
                live.chunks = _chunks(live)
                live.seals = read_seals(live.folder, live.chunks)
            return ""
        if event == "drawn":
            live.trace.take(message)
            return ""
        if event == "failed":
            hint = message["hint"]
            live.says = f"{message['message']} ({hint})" if hint else str(message["message"])
        return str(event)

    async def _tell(self, live: Live) -> None:
        self.version += 1
        live.version = self.version
        async with self._changed:
            self._changed.notify_all()


def surroundings(threads: int) -> dict[str, str]:
    """Return the environment of a process that computes with so many threads."""
    # The pools of threads are sized when libraries are loaded, so before torch is.
    return {
        **os.environ,
        **dict.fromkeys(POOLS, str(threads)),
        "PYTHONPATH": os.pathsep.join(str(Path(p).absolute()) for p in sys.path if p),
    }


async def _started(threads: int) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "chymist.web.computing"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=LONGEST,
        env=surroundings(threads),
        start_new_session=True,  # Ctrl-C is for the server, which tells its processes
    )


async def _end(process: asyncio.subprocess.Process) -> int:
    if process.returncode is None:
        # Not process.kill(), which looks whether it has ended, and then asyncio cannot learn how.
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
    return await process.wait()


def _chunks(live: Live) -> list[Chunk]:
    """Return the chunks of a run, which may have grown."""
    from chymist.lab.plan import chunks_of, read_plan

    return chunks_of(read_plan(live.folder))

"""Chunks shared out among worker processes: this process only schedules."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from chymist import errors
from chymist.errors import ChymistError, WorkerDied
from chymist.lab.chunk import Chunk, Seal
from chymist.lab.lock import mark_of
from chymist.lab.waiting import Waiting

Computed = Generator[tuple[Chunk, Seal], None, None]
Inbox = queue.Queue[tuple["Worker", dict[str, Any]]]
POOLS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


class Worker:
    """A worker process and the chunk it has in hand. Its messages go into an inbox, with itself."""

    def __init__(self, folder: Path, threads: int, inbox: Inbox) -> None:
        # The pools of threads are sized when libraries are loaded, so before torch is.
        here = {
            **os.environ,
            **dict.fromkeys(POOLS, str(threads)),
            "PYTHONPATH": os.pathsep.join(str(Path(p).absolute()) for p in sys.path if p),
        }
        self.chunk: Chunk | None = None
        self.ready = False
        self.process = subprocess.Popen(  # noqa: S603  this Python, on our own module
            [sys.executable, "-P", "-m", "chymist.lab.worker", str(folder), mark_of(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=here,
            text=True,
            encoding="utf-8",
        )
        self.listener = threading.Thread(target=self._listen, args=(inbox,), daemon=True)
        self.listener.start()

    def _listen(self, inbox: Inbox) -> None:
        for line in self.process.stdout or ():
            inbox.put((self, json.loads(line)))
        inbox.put((self, {"event": "ended"}))

    def give(self, chunk: Chunk) -> None:
        """Hand the worker a chunk; if it has died, its end will be heard of."""
        self.chunk = chunk
        if self.process.stdin:
            with contextlib.suppress(BrokenPipeError):
                self.process.stdin.write(f"{chunk.index}\n")
                self.process.stdin.flush()

    def end(self) -> int:
        """End the process, at once, and return its exit code."""
        self.process.kill()
        code = self.process.wait()
        self.listener.join()
        for stream in (self.process.stdin, self.process.stdout):
            if stream:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()
        return code


class Workers:
    """The chunks of a run that are not sealed, shared out among worker processes.

    The costliest go first, as far as sealed chunks of the same experiment tell; of an experiment of
    which none is sealed, before all others. `tell` shows progress, `log` keeps what happened.
    """

    def __init__(
        self,
        folder: Path,
        chunks: Sequence[Chunk],
        seals: Mapping[int, Seal],
        threads: int,
        tell: Callable[..., None],
        log: Callable[..., None],
    ) -> None:
        self.folder, self.threads, self.tell, self.log = folder, threads, tell, log
        self.waiting = Waiting(chunks, seals)
        self.inbox: Inbox = queue.Queue()
        self.workers: list[Worker] = []

    def compute(self, jobs: int) -> Computed:
        """Yield each chunk when it is sealed. A chunk whose worker dies is tried once more.

        Raises:
            WorkerDied: a worker died twice in the same chunk, or before it could take one.
            ChymistError: what went wrong in a worker.
            RuntimeError: an experiment failed otherwise; the worker's traceback is the cause.
        """
        try:
            for _ in range(min(jobs, len(self.waiting))):
                self._start()
            while self.waiting or any(worker.chunk for worker in self.workers):
                worker, message = self._next()
                chunk, event = worker.chunk, message["event"]
                if event == "ready":
                    worker.ready = True
                    self._employ(worker)
                elif event == "failed":
                    fail(message, chunk)
                elif event == "ended":
                    self._replace(worker)
                elif chunk and event == "progress":
                    self.tell(chunk, message["label"], message["done"], message["steps"])
                elif chunk and event == "sealed":
                    seal = Seal(**message["seal"])
                    self.log("trained", chunk, how=message["how"])
                    self.waiting.learn(chunk, seal.seconds)
                    worker.chunk = None
                    self._employ(worker)
                    yield chunk, seal
        finally:
            for worker in self.workers:
                worker.end()

    def _start(self) -> None:
        self.workers.append(Worker(self.folder, self.threads, self.inbox))

    def _next(self) -> tuple[Worker, dict[str, Any]]:
        while True:
            # Short waits let an interrupt through.
            with contextlib.suppress(queue.Empty):
                return self.inbox.get(timeout=0.2)

    def _employ(self, worker: Worker) -> None:
        if self.waiting:
            chunk = self.waiting.take()
            self.log("computing", chunk)
            self.tell(chunk, "starting", 0, 1)
            worker.give(chunk)

    def _replace(self, worker: Worker) -> None:
        """Try the chunk of a worker that died once more, in one that idles or in a new one."""
        self.workers.remove(worker)
        how, chunk = _ending(worker.end()), worker.chunk
        less = "if memory ran out, give fewer --jobs"
        if not worker.ready:
            raise WorkerDied(f"a worker died ({how}) before it was ready", less)
        if chunk is None:
            return
        self.waiting.again(chunk, how, less)
        self.log("died", chunk, how=how)
        self.tell(chunk, "starting", 0, 1, f"a worker died ({how}); {chunk.name} is tried again")
        idle = [w for w in self.workers if w.ready and w.chunk is None]
        if idle:
            self._employ(idle[0])
        else:
            self._start()


def fail(message: Mapping[str, Any], chunk: Chunk | None) -> NoReturn:
    """Raise what a worker met."""
    kind = getattr(errors, message["kind"], None)
    if isinstance(kind, type) and issubclass(kind, ChymistError):
        raise kind(message["message"], message["hint"])
    where = f"in chunk {chunk.name}" if chunk else "in a worker that started"
    said = RuntimeError(f"{message['kind']} {where}: {message['message']}")
    said.add_note(message["trace"])
    raise said


def _ending(code: int) -> str:
    if code < 0:
        return signal.Signals(-code).name
    return f"exit code {code}"

"""Chunks shared out over the machines of a Ray cluster: this process schedules, and alone seals.

A task is one chunk (`remote`): plain values go out, the bytes of a netCDF file come back. Only this
process, which holds the run's lock, writes to the lab, each chunk once. So a node needs neither the
lab's disk nor any shared storage, and an answer that comes late, or twice, from a node that was
taken for dead is never read: it can harm nothing.

Ray trusts whoever reaches it, in both directions: use a cluster of your own.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import IO, Any, cast

from chymist.errors import BadCluster, BadParameter, did_you_mean
from chymist.lab.chunk import Chunk, Seal
from chymist.lab.remote import answer, order
from chymist.lab.store import seal_content
from chymist.lab.waiting import Waiting
from chymist.lab.workers import Computed, fail

EXECUTORS = ("local", "ray")
PATIENCE = 5.0
"""Seconds that a cluster has to answer, and between two looks at its nodes while nothing ends."""
NEEDS = "ray>=2.60"
_ENDINGS = {
    "NodeDiedError": "its node died",
    "ObjectLostError": "its node died",
    "OwnerDiedError": "its node died",
    "OutOfMemoryError": "out of memory",
    "WorkerCrashedError": "its process died",
}


def chosen(executor: str, address: str) -> AbstractContextManager[Any]:
    """Return what connects to the cluster that is to compute; to nothing for executor "local".

    Raises:
        BadParameter: there is no such executor, or it takes no address.
    """
    if executor not in EXECUTORS:
        raise BadParameter(f"unknown executor {executor}", did_you_mean(executor, EXECUTORS))
    if executor == "ray":
        return connected(address)
    if address:
        raise BadParameter(f"ray address {address} given without executor ray", "--executor ray")
    return nullcontext()


@contextlib.contextmanager
def connected(address: str = "") -> Iterator[Any]:
    """Connect to the cluster at HOST:PORT, else at $RAY_ADDRESS, else this machine's; yield ray.

    A connection that the program has made itself is used, and left open.

    Raises:
        BadCluster: Ray is not installed, or no cluster answers within some seconds.
    """
    ray = _imported()
    if ray.is_initialized():
        there = ray.get_runtime_context().gcs_address
        if address not in ("", there):
            raise BadCluster(
                f"this program is connected to a Ray cluster at {there}, not {address}",
                "call ray.shutdown() first",
            )
        yield ray
        return
    address = address or os.environ.get("RAY_ADDRESS", "") or "auto"
    _reach(address)
    with _handlers_kept():
        try:
            ray.init(address=address, logging_level="ERROR", log_to_driver=False)
        except Exception as error:  # of many kinds
            said = str(error).strip().partition("\n")[0]
            raise BadCluster(
                f"no Ray cluster can be used at {address}: {said}", _HOW_TO_START
            ) from error
    try:
        with contextlib.redirect_stdout(cast(IO[str], _Unmixed(sys.stdout))):
            yield ray
    finally:
        ray.shutdown()


_HOW_TO_START = "start one with ray start --head, and give its HOST:PORT with --ray-address"


class Tasks:
    """A run's unsealed chunks as tasks of a cluster.

    A node that is not what the run was planned with is refused by name. The processors of nodes may
    differ; then the last bits of a number can, too, which is told once. `tell` shows progress,
    `log` keeps what happened.
    """

    def __init__(
        self,
        ray: Any,
        folder: Path,
        plan: Mapping[str, Any],
        chunks: Sequence[Chunk],
        seals: Mapping[int, Seal],
        tell: Callable[..., None],
        log: Callable[..., None],
    ) -> None:
        self.ray, self.folder, self.plan, self.tell, self.log = ray, folder, plan, tell, log
        self.waiting = Waiting(chunks, seals)
        self.going: dict[Any, Chunk] = {}
        self.processors = {plan["machine"]["processor"]}

    def compute(self, jobs: int) -> Computed:
        """Yield each chunk when it is sealed; `jobs` are computed at a time.

        A chunk whose node or process dies is tried once more, elsewhere if there is elsewhere.

        Raises:
            BadCluster: no node can take a chunk, or one is not what the run was planned with.
            WorkerDied: a node or process died twice in the same chunk.
            ChymistError: what went wrong in a task.
            RuntimeError: an experiment failed otherwise; the node's traceback is the cause.
        """
        threads = self.plan["threads"]
        self._require_node(threads)
        ordered = self.ray.put(order(self.folder, self.plan))
        task = self.ray.remote(answer).options(
            num_cpus=threads, max_retries=0, scheduling_strategy="SPREAD"
        )
        looked = time.monotonic()
        try:
            while self.waiting or self.going:
                while self.waiting and len(self.going) < jobs:
                    chunk = self.waiting.take()
                    self.log("computing", chunk)
                    self.tell(chunk, "starting", 0, 1)
                    self.going[task.remote(ordered, chunk.to_json())] = chunk
                # Short waits let an interrupt through.
                done, _ = self.ray.wait(list(self.going), num_returns=1, timeout=0.2)
                for reference in done:
                    chunk = self.going.pop(reference)
                    message = self._answer(reference, chunk)
                    if message is not None:
                        yield chunk, self._sealed(chunk, message)
                if not done and time.monotonic() - looked > PATIENCE:
                    self._require_node(threads)
                    looked = time.monotonic()
        finally:
            for reference in self.going:
                self.ray.cancel(reference, force=True)

    def _answer(self, reference: Any, chunk: Chunk) -> dict[str, Any] | None:
        """Return what a task has to say, or nothing if it died and its chunk waits again."""
        errors = self.ray.exceptions
        try:
            message: dict[str, Any] = self.ray.get(reference)
        except errors.RayTaskError as error:
            # Its own errors it would have said: it could not even be begun.
            said = str(error).strip().rpartition("\n")[2]
            raise BadCluster(
                f"a node of the cluster cannot compute chunks: {said}", "install chymist there"
            ) from error
        except errors.RayError as error:
            how = _ENDINGS.get(type(error).__name__, type(error).__name__)
            self.waiting.again(chunk, how, "if memory ran out, give fewer --jobs")
            self.log("died", chunk, how=how)
            said = f"a worker died ({how}); {chunk.name} is tried again"
            self.tell(chunk, "starting", 0, 1, said)
            return None
        if message["event"] == "failed":
            fail(message, chunk)
        return message

    def _sealed(self, chunk: Chunk, message: Mapping[str, Any]) -> Seal:
        processor = message["processor"]
        if processor not in self.processors:
            self.processors.add(processor)
            said = (
                f"a node computes with another processor ({processor}) than the plan's: the last "
                "bits of its numbers may be others"
            )
            self.tell(chunk, "starting", 0, 1, said)
        self.log("trained", chunk, how=message["how"], processor=processor)
        self.waiting.learn(chunk, message["seconds"])
        return seal_content(self.folder, chunk, message["content"], message["seconds"])

    def _require_node(self, threads: int) -> None:
        """Refuse to wait for a node that is not there."""
        alive = [node["Resources"].get("CPU", 0.0) for node in self.ray.nodes() if node["Alive"]]
        largest = int(max(alive, default=0))
        if largest < threads:
            raise BadCluster(
                f"no node of the cluster has {threads} processors for the run's threads",
                f"the largest of {len(alive)} has {largest}",
            )


class _Unmixed:
    """Standard output without what Ray's own threads print there: it is for the user's data."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write, unless a thread of Ray does."""
        if threading.current_thread().name.startswith("ray_"):
            return len(text)
        return int(self._stream.write(text))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _imported() -> Any:
    # Whether it is used is nobody else's business.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError:
        raise BadCluster(
            "executor ray needs Ray, which is not installed", f"pip install '{NEEDS}'"
        ) from None
    return ray


def _reach(address: str) -> None:
    """Refuse at once what Ray would wait for, and warn of, for more than a minute."""
    words = ["-P", "-m", "ray.scripts.scripts", "health-check"]
    try:
        if address != "auto":
            host, _, port = address.rpartition(":")
            if "/" in address or not host or not port.isdecimal():
                raise BadCluster(f"ray address {address} cannot be read", "write HOST:PORT")
            socket.create_connection((host.strip("[]"), int(port)), timeout=PATIENCE).close()
            words += ["--address", address]
        # Also for this machine's own cluster: Ray looks for one that may have ended.
        subprocess.run(  # noqa: S603  Ray's own check, by this Python
            [sys.executable, *words],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=PATIENCE,
            check=True,
        )
    except (OSError, OverflowError, ValueError, subprocess.SubprocessError):
        where = "on this machine" if address == "auto" else f"at {address}"
        raise BadCluster(f"no Ray cluster answers {where}", _HOW_TO_START) from None


@contextlib.contextmanager
def _handlers_kept() -> Iterator[None]:
    """Keep the handlers of signals that Ray would replace with its own."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            for number, handler in before.items():
                signal.signal(number, handler)

"""A server's application without a server: requests are handed to it as they come from a socket."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from chymist.web.server import guarded

ROOT = Path(__file__).parents[1]
STUDIES = ROOT / "tests" / "studies"
TOKEN, PORT = "t" * 43, 8765
HOST, ORIGIN = f"127.0.0.1:{PORT}", f"http://127.0.0.1:{PORT}"
COOKIE = f"chymist-{PORT}={TOKEN}"
RIGHT = [("host", HOST), ("cookie", COOKIE), ("origin", ORIGIN)]


def at(path, run):
    """Return an address of a route at which there is something."""
    given = {
        "run:id": run,
        "slug:slug": "sgd-escape",
        "preset:slug": "quick",
        "figure:slug": "means" if path.startswith("/runs") else "course",
        "file:file": "web.css" if path.startswith("/static") else "verdicts.json",
    }
    return re.sub(r"{([a-z:]+)}", lambda found: given[found[1]], path)


@dataclass(frozen=True)
class Answer:
    status: int
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def text(self):
        return self.body.decode()

    def header(self, name):
        return ", ".join(value for key, value in self.headers if key == name)


class Asker:
    """Asks an application; a stream is left after its first part."""

    def __init__(self, house):
        self.house = house
        self.loop = asyncio.new_event_loop()
        self.app = guarded(house, TOKEN, PORT)

    def __call__(self, method, target, headers=RIGHT, body=b""):
        return self.loop.run_until_complete(
            asyncio.wait_for(self._ask(method, target, headers, body), 60)
        )

    def close(self):
        self.loop.run_until_complete(self.house.queue.close())
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                self.loop.run_until_complete(task)
        self.loop.close()

    async def _ask(self, method, target, headers, body):
        path, _, query = target.partition("?")
        raw = path.encode("utf-8", "surrogateescape")
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": unquote(raw.decode("latin-1")),
            "raw_path": raw,
            "query_string": query.encode("utf-8", "surrogateescape"),
            "root_path": "",
            "headers": [(n.encode(), v.encode("utf-8")) for n, v in headers],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", PORT),
        }
        left, enough = [body], asyncio.Event()
        start, parts = {}, []

        async def receive():
            if left:
                return {"type": "http.request", "body": left.pop(), "more_body": False}
            await enough.wait()
            return {"type": "http.disconnect"}

        async def send(message):
            if message["type"] == "http.response.start":
                assert not start, "answered twice"
                start.update(message)
            else:
                parts.append(message.get("body", b""))
                enough.set()

        await self.app(scope, receive, send)
        found = [(n.decode("latin-1"), v.decode("latin-1")) for n, v in start["headers"]]
        return Answer(start["status"], found, b"".join(parts))


class Serving:
    """`chymist serve` as a process."""

    def __init__(self, lab: Path, *words: str, studies=("tiny.py", "pair.py")):
        self.lab, self.words, self.studies, self.port = lab, words, studies, "0"
        self.start()

    def start(self):
        here = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), *sys.path])}
        here |= dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        files = [str(STUDIES / name) for name in self.studies]
        words = ["serve", *files, "--port", self.port, "--no-browser", "--lab", str(self.lab)]
        words += ["--evidence", str(ROOT / "docs" / "evidence"), *self.words]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "chymist", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=here,
            cwd=self.lab.parent,
        )
        self.address = self.process.stdout.readline().strip()
        assert self.address.startswith("http://127.0.0.1:"), self.process.stderr.read()
        self.base = self.address.partition("/?")[0]
        self.port = self.base.rpartition(":")[2]

    def end(self, kill=False):
        """End it, and return what it complained of."""
        self.process.kill() if kill else self.process.terminate()
        _, said = self.process.communicate(timeout=30)
        return said

"""How the server holds under many readers while it computes.

Run: .venv/bin/python benchmarks/web/load.py [--readers 50] [--studies 4] [--seconds 120]

Fills a lab with ten thousand runs, serves it, starts studies that take long, and lets each reader
ask for one page after another with a second's pause. Prints by kind of page the median and the 95th
percentile of the time to the last byte, errors, and the server's memory at the start and the end;
then whether the bounds held: 95 % of all pages within BOUND, no error, memory up by at most GROWTH.
Exit code 1 if they did not. The bounds are for two idle cores; the studies wait more than they
compute, so that it is the server that is measured.
"""

from __future__ import annotations

import argparse
import http.client
import random
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from pathlib import Path
from urllib.parse import urlencode

BOUND = 0.2
"""Seconds within which 95 % of all pages are answered."""
GROWTH = 100.0
"""Megabytes by which the server's memory may grow."""
ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))
from lab import fill  # noqa: E402

from chymist.lab import Lab  # noqa: E402

STUDIES = ROOT / "tests" / "studies"
PAGES = {
    "atlas": lambda chance, runs: "/?q=" + chance.choice(["", "network", "order"]),
    "study": lambda chance, runs: (
        "/studies/" + chance.choice(["frequency-principle", "ricci-flow"])
    ),
    "lab": lambda chance, runs: (
        f"/runs?page={chance.randint(1, 200)}&sort=" + chance.choice(["id", "seconds", "study"])
    ),
    "live run": lambda chance, runs: f"/runs/{chance.choice(runs)}",
}


class Reader:
    """Asks for pages over one connection."""

    def __init__(self, port: int, cookie: str) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self.headers = {"cookie": cookie}

    def ask(self, target: str, body: str | None = None) -> tuple[int, dict[str, str], bytes]:
        method, headers = ("GET", self.headers) if body is None else ("POST", dict(self.headers))
        if body is not None:
            headers["origin"] = f"http://127.0.0.1:{self.connection.port}"
        self.connection.request(method, target, body, headers)
        answer = self.connection.getresponse()
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()


def memory(process: int) -> float:
    """Return the memory that a process holds now [MB]."""
    text = Path(f"/proc/{process}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", text)[1]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--readers", type=int, default=50)
    parser.add_argument("--studies", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--runs", type=int, default=10_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        lab = Path(place) / "lab"
        fill(lab, given.runs)
        Lab(lab).listing(limit=1)
        words = [
            "serve",
            str(STUDIES / "pair.py"),
            "--port",
            "0",
            "--no-browser",
            "--lab",
            str(lab),
        ]
        words += ["--at-once", str(given.studies), "--evidence", str(ROOT / "docs" / "evidence")]
        server = subprocess.Popen(
            [sys.executable, "-m", "chymist", *words], stdout=subprocess.PIPE, text=True
        )
        try:
            address = server.stdout.readline().strip()
            held = measure(given, server.pid, address)
        finally:
            server.terminate()
            server.wait()
    sys.exit(0 if held else 1)


def measure(given: argparse.Namespace, process: int, address: str) -> bool:
    """Let readers read, print what they met, and return whether the bounds held."""
    port = int(re.search(r":(\d+)/", address)[1])
    cookie = f"chymist-{port}={address.partition('token=')[2]}"
    first = Reader(port, cookie)
    fields = {"preset": "quick", "pause": str(given.seconds / 4)}
    runs = []
    for _ in range(given.studies):
        status, headers, _ = first.ask("/studies/pair/runs", urlencode(fields))
        assert status == 303, status
        runs.append(headers["location"].rpartition("/")[2])
    for make in PAGES.values():
        first.ask(make(random.Random(0), runs))
    begun, held = time.monotonic(), memory(process)
    times: dict[str, list[float]] = defaultdict(list)
    errors: list[str] = []

    def read(number: int) -> None:
        chance, reader = random.Random(number), Reader(port, cookie)
        time.sleep(chance.random())
        while time.monotonic() - begun < given.seconds:
            kind = chance.choice(list(PAGES))
            target = PAGES[kind](chance, runs)
            clock = time.perf_counter()
            try:
                status, _, _ = reader.ask(target)
                if status != 200:
                    errors.append(f"{target}: {status}")
            except OSError as error:
                errors.append(f"{target}: {error!r}")
            times[kind].append(time.perf_counter() - clock)
            time.sleep(1.0)

    readers = [threading.Thread(target=read, args=(n,)) for n in range(given.readers)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    print(f"{given.readers} readers, {given.studies} studies, {given.seconds:.0f} s")
    print(f"{'page':<10} {'number':>7} {'median':>8} {'95 %':>8}  [ms]")
    for kind, found in [*times.items(), ("all", [t for some in times.values() for t in some])]:
        high = statistics.quantiles(found, n=20)[18]
        print(f"{kind:<10} {len(found):>7} {statistics.median(found) * 1e3:8.0f} {high * 1e3:8.0f}")
    print(f"errors: {len(errors)} {errors[:3]}")
    end = memory(process)
    print(f"memory of the server: {held:.0f} MB at first, {end:.0f} MB at the end")
    kept = {
        f"95 % of all pages within {BOUND * 1e3:.0f} ms": high <= BOUND,
        "no error": not errors,
        f"memory up by at most {GROWTH:.0f} MB": end - held <= GROWTH,
    }
    for bound, holds in kept.items():
        print(f"{'held' if holds else 'NOT HELD'}: {bound}")
    return all(kept.values())


if __name__ == "__main__":
    main()

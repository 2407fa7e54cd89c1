"""How quickly a lab of many runs is listed.

Run: .venv/bin/python benchmarks/lab.py [--runs 10000]

Makes one run of a study that takes no time, copies its manifest to many others with other
verdicts, times and lengths, and prints the best of several rounds, with the memory that a process
took at its highest. The folder's files are in the page cache, as they are when one works in a lab.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import chymist
from chymist.lab import Lab
from chymist.lab.lab import new_id
from chymist.lab.listed import COLUMNS
from chymist.lab.seal import seal_manifest

TINY = Path(__file__).parents[1] / "tests" / "studies" / "tiny.py"
CODE = """
import sys
from chymist.cli import execute
code = execute(sys.argv[1:])
# Not getrusage: it counts the parent's memory before the process became its own.
lines = open("/proc/self/status").read().splitlines()
print(next(int(l.split()[1]) / 1024 for l in lines if l.startswith("VmHWM")), file=sys.stderr)
sys.exit(code)
"""


def fill(lab: Path, runs: int) -> None:
    made = chymist.run(TINY, lab=lab)
    manifest = json.loads((made.folder / "run.json").read_text())
    manifest.pop("seal")
    chance = random.Random(0)
    shutil.rmtree(made.folder)
    for number in range(runs):
        folder = lab / "runs" / new_id()
        folder.mkdir()
        manifest["id"] = folder.name
        manifest["study"]["slug"] = f"study-{number % 40}"
        manifest["verdict"] = chance.choice(["supported", "refuted", "inconclusive", "broken"])
        manifest["seconds"] = round(chance.expovariate(0.01), 1)
        seal_manifest(folder, json.dumps(manifest, indent=1, ensure_ascii=False))


def best(rounds: int, work: Callable[[], object]) -> float:
    times = []
    for _ in range(rounds):
        begun = time.perf_counter()
        work()
        times.append(time.perf_counter() - begun)
    return min(times)


def command(lab: Path, *words: str) -> float:
    """Run a whole process; return its highest memory [MB]."""
    done = subprocess.run(
        [sys.executable, "-c", CODE, *words, "--lab", str(lab)],
        capture_output=True,
        text=True,
        check=True,
    )
    return float(done.stderr.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=10_000)
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as folder:
        lab = Path(folder)
        fill(lab, runs)
        size = (next((lab / "runs").iterdir()) / "run.json").stat().st_size
        print(f"{runs} runs, manifests of {size} bytes")
        home = Lab(lab)
        print(f"rebuild                        {best(2, home.index.rebuild):8.3f} s")
        for column in COLUMNS:
            first = best(5, lambda column=column: home.listing(sort=column, limit=50))
            ending = {"sort": column, "limit": 50, "offset": runs - 50}
            last = best(5, lambda ending=ending: home.listing(**ending))
            print(f"first, last page by {column:10} {first:8.3f} s {last:8.3f} s")
        one = best(5, lambda: home.listing(study="study-7", verdict="refuted", limit=50))
        soon = best(5, lambda: home.listing(sort="seconds", limit=50, within=60))
        print(f"first page, seen just before   {soon:8.4f} s")
        print(f"first page of a study's refuted{one:8.3f} s")
        print(f"all lines                      {best(5, home.listing):8.3f} s")
        for words in (("runs", "--json"), ("runs",), ("runs", "--limit", "0")):
            took = best(3, lambda words=words: command(lab, *words))
            print(f"chymist {' '.join(words):22} {took:8.3f} s, {command(lab, *words):.0f} MB")
        for words in (["--help"], ["list"], ["runs"]):
            call = [sys.executable, "-m", "chymist", *words]
            took = best(5, lambda call=call: subprocess.run(call, capture_output=True, cwd=folder))
            print(f"chymist {' '.join(words):22} {took:8.3f} s, no lab")
        (lab / "index.sqlite").unlink()
        print(f"chymist runs, no index         memory {command(lab, 'runs'):.0f} MB")
        size = (lab / "index.sqlite").stat().st_size / 1e6
        print(f"index.sqlite                   {size:.0f} MB")


if __name__ == "__main__":
    main()

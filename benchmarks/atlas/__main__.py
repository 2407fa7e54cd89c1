"""What the quick preset of each study costs, and where the time goes.

Run: .venv/bin/python benchmarks/atlas [SLUG ...] [--threads 1] [--parts]

Each study runs once in a process of its own, from start to report. The table gives the wall time
and the processor time of the process, the cost that the study states, the most memory that the
process held, and shares of the processor time: training, instruments that record it, saving (chunks
and their seals), and the rest, which is imports, what experiments compute by themselves (theory,
solvers, graphs), judging, figures and the report. The last column says how many kinds of training
of how many the compiled kernel did, as the run's log has it. With --parts follow the experiments'
seconds by the wall, from the log as well.

On one thread the wall time of an idle machine is the processor time; a loaded machine's is not, so
costs are stated by processor time. Compare the ratios; the levels are the machine's.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from chymist import catalogue

LIMIT = 60.0
"""Seconds above which a quick preset has to say why."""
HERE = Path(__file__).parent
SHARES = ("training", "instruments", "saving")


def measured(slug: str, threads: int) -> dict[str, Any]:
    """Run a study in a process of its own; return its times [s], memory [MB] and log."""
    with tempfile.TemporaryDirectory() as lab:
        words = [sys.executable, str(HERE / "worker.py"), slug, str(threads), lab]
        begun = time.perf_counter()
        done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True)
        wall = time.perf_counter() - begun
        [log] = Path(lab).glob("runs/*/log.jsonl")
        lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    return {**json.loads(done.stdout.splitlines()[-1]), "wall": wall, "log": lines}


def row(slug: str, found: dict[str, Any]) -> str:
    processor, spent = found["processor"], found["spent"]
    stated = catalogue.find(slug).cost["quick"]
    shares = [spent.get(name, 0.0) / processor for name in SHARES]
    hows = {how for line in found["log"] for how in line.get("how", ())}
    kernel = sum(" by compiled kernel" in how for how in hows)
    cells = [
        slug,
        f"{found['wall']:.0f}",
        f"{processor:.0f}" + (" !" if processor > LIMIT else ""),
        f"{stated:.0f}",
        f"{found['memory']:.0f}",
        *[f"{100 * share:.1f}" for share in [*shares, 1 - sum(shares)]],
        f"{kernel} of {len(hows)}" if hows else "none",
    ]
    return f"| {' | '.join(cells)} |"


def parts(slug: str, found: dict[str, Any]) -> list[str]:
    seconds: Counter[tuple[str, str]] = Counter()
    for line in found["log"]:
        if line["event"] == "sealed":
            _, experiment, arm = line["chunk"].split(".")
            seconds[experiment, arm] += line["seconds"]
    return [f"| {slug} | {e} | {arm} | {s:.1f} |" for (e, arm), s in seconds.items()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("studies", nargs="*", help="slugs; all without")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--parts", action="store_true", help="seconds of every experiment, too")
    options = parser.parse_args()
    known = [entry.slug for entry in catalogue.entries()]
    unknown = [slug for slug in options.studies if slug not in known]
    if unknown:
        parser.error(f"no study {', '.join(unknown)}: choose from {', '.join(known)}")
    print("| study | wall s | processor s | stated s | peak MB | training % | instruments % "
          "| saving % | rest % | by the kernel |\n" + "|---" * 10 + "|")  # fmt: skip
    below = []
    for slug in options.studies or known:
        found = measured(slug, options.threads)
        print(row(slug, found), flush=True)
        below += parts(slug, found)
    if options.parts:
        print("\n| study | experiment | arm | wall s |\n|---|---|---|---|", *below, sep="\n")


if __name__ == "__main__":
    main()

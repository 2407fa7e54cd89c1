"""Time and peak memory of finding the lexicon of a large text, in a process of its own.

`python benchmarks/words.py [MB...]` (1, 10 and 100 by default) draws sentences of words from a
lexicon of 50,000 random strings, writes them to a temporary file, and runs the study on it with
`--data`: all that a user waits for, from reading the file to the report.

On two cores that other programs used too: 1 MB took 23 s and 437 MiB, 10 MB 59 s and 678 MiB,
100 MB 352 s (403 s of processor time) and 1717 MiB. Writing lexicon and cut text of the last took
12 s, in 1566 MiB (`chymist export --outputs`).
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

KINDS = 50_000
LETTERS = np.array(list("abcdefghijklmnopqrstuvwxyz"))
SENTENCE = 15


def write_corpus(path: Path, megabytes: float) -> None:
    """Write sentences of words drawn independently, rank r with a chance of 1 / r."""
    rng = np.random.default_rng(0)
    chance = 1 / np.arange(1, 27)
    lexicon: dict[str, None] = {}
    while len(lexicon) < KINDS:
        size = int(rng.integers(2, 11))
        lexicon["".join(rng.choice(LETTERS, size, p=chance / chance.sum()))] = None
    words = sorted(lexicon, key=len)
    often = 1 / np.arange(1, KINDS + 1)
    often /= often.sum()
    with path.open("w") as stream:
        while stream.tell() < megabytes * 1e6:
            drawn = [words[i] for i in rng.choice(KINDS, 200 * SENTENCE, p=often)]
            rows = (drawn[i : i + SENTENCE] for i in range(0, len(drawn), SENTENCE))
            stream.write("".join(" ".join(row) + ".\n" for row in rows))


def main(sizes: list[float]) -> None:
    """Print a line a size."""
    print("MB      wall s   CPU s   peak MiB   tokens kinds of word")
    for megabytes in sizes:
        with tempfile.TemporaryDirectory() as folder:
            corpus = Path(folder, "corpus.txt")
            write_corpus(corpus, megabytes)
            lab = Path(folder, "lab")
            command = [sys.executable, "-m", "chymist", "run", "minimum-entropy-words"]
            begin = time.perf_counter()
            child = subprocess.Popen(
                [*command, "--data", str(corpus), "--lab", str(lab)],
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )  # fmt: skip
            _, status, used = os.wait4(child.pid, 0)
            wall = time.perf_counter() - begin
            if os.waitstatus_to_exitcode(status) not in (0, 3, 4):
                raise SystemExit("the run failed")
            cpu = used.ru_utime + used.ru_stime
            print(
                f"{megabytes:<7g} {wall:7.1f} {cpu:7.1f} {_mebibytes(used):10.0f}   {_found(lab)}"
            )


def _mebibytes(used: resource.struct_rusage) -> float:
    # Linux tells kibibytes, macOS bytes.
    return used.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def _found(lab: Path) -> str:
    from chymist.lab import Lab

    data = Lab(lab).open("latest").data["least-bits"].to_dataset()
    return f"{int(data.copies.sum())} {data.sizes['entry']}"


if __name__ == "__main__":
    main([float(size) for size in sys.argv[1:]] or [1, 10, 100])

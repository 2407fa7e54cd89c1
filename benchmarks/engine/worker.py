"""One process that trains a workload in one way, whenever it is told to.

Reads lines from its standard input, a number of steps each; answers with the seconds they took.
After the last line it says by how much its memory grew at most.
"""

from __future__ import annotations

import resource
import sys
import time

import torch
from candidates import CANDIDATES
from workloads import workloads


def main() -> None:
    candidate, name, lanes, threads = sys.argv[1:5]
    torch.set_num_threads(int(threads))
    (work,) = (w for w in workloads() if w.name == name)
    run = CANDIDATES[candidate]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print("ready", flush=True)
    for line in sys.stdin:
        start = time.perf_counter()
        run(work, int(lanes), int(line))
        print(time.perf_counter() - start, flush=True)
    print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024, flush=True)


main()

"""What tables of integer complexity cost, each in a process of its own.

Run: .venv/bin/python benchmarks/integer_complexity.py [--numpy]

Prints processor seconds (one core, compiling left out), wall seconds, and the most memory that the
process took, Python and NumPy included; with --numpy also those of the way without a compiler. The
sum of f tells that all made the same table.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys

CODE = """
import json, sys, time
from chymist.data import integer_complexity as module
from chymist.data.ones import Search
last, native = int(sys.argv[1]), sys.argv[2] == "native"
if native:
    module._kernel()
begun, clock = time.process_time(), time.perf_counter()
table = module.complexity_table(last, native=native)
spent, waited = time.process_time() - begun, time.perf_counter() - clock
lines = open("/proc/self/status").read().splitlines()
memory = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024
begun = time.process_time()
search = Search(table)
found = search.write(353942783), search.write(353942782)
print(json.dumps({
    "by": table.by, "cpu": spent, "wall": waited, "memory": memory,
    "sum": sum(int(f.sum(dtype="int64")) for _, f in table.blocks()),
    "search": time.process_time() - begun, "ones": [w.ones for w in found],
}))
"""
SUMS = {10**6: 39519866, 10**7: 465166034, 10**8: 5348591431}


def measure(last: int, way: str) -> None:
    command = [sys.executable, "-c", CODE, str(last), way]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    known = SUMS.get(last)
    assert known in (None, found["sum"]), (last, found["sum"])
    assert found["ones"] == [63, 63]
    print(
        f"{last:>12,}  {found['cpu']:7.2f} s processor  {found['wall']:7.2f} s wall  "
        f"{found['memory'] / 1e6:6.0f} MB  sum {found['sum']}  {found['by']}; then 353942783 and "
        f"its neighbour {found['search']:.2f} s"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--numpy", action="store_true", help="also without the compiled kernel")
    arguments = parser.parse_args()
    for last in (10**6, 10**7, 10**8, 520_000_000):
        measure(last, "native")
    for last in (10**6, 10**7, 10**8) if arguments.numpy else ():
        measure(last, "numpy")


if __name__ == "__main__":
    main()

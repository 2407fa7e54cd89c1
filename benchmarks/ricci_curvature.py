"""Ollivier-Ricci curvature of all edges, beside GraphRicciCurvature with two processes.

    python benchmarks/ricci_curvature.py --peer /path/to/python/of/an/environment/with/the/peer

The peer needs an environment of its own (`pip install GraphRicciCurvature==0.6.1`); without
`--peer` only this code is timed. Both are exact: the largest difference of any edge is printed.
Wall and processor time (of all processes) are the least of several calls; the first call, which
compiles here and imports there, is not counted.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time

ALPHA = 0.5
PEER = """
import json, os, sys, time
import networkx as nx
from GraphRicciCurvature.OllivierRicci import OllivierRicci
told = json.load(sys.stdin)
def clock():
    t = os.times()
    return t.user + t.system + t.children_user + t.children_system
wall, cpu = [], []
for _ in range(told["calls"] + 1):
    graph = nx.Graph()
    graph.add_nodes_from(range(told["nodes"]))
    graph.add_edges_from(told["ends"], weight=1.0)
    orc = OllivierRicci(graph, alpha=told["alpha"], method="OTD", proc=2, exp_power=0,
                        verbose="ERROR")
    start, used = time.perf_counter(), clock()
    found = orc.compute_ricci_curvature_edges()
    wall.append(time.perf_counter() - start)
    cpu.append(clock() - used)
value = {tuple(sorted(e)): k for e, k in found.items()}
out = {"wall": min(wall[1:]), "cpu": min(cpu[1:]),
       "value": [value[tuple(sorted(e))] for e in told["ends"]]}
print(json.dumps(out))
"""


def graphs():
    import networkx as nx

    yield "Barabasi-Albert, 1,000 nodes, m = 4", nx.barabasi_albert_graph(1000, 4, seed=1)
    yield "small world, 1,000 nodes, k = 8", nx.watts_strogatz_graph(1000, 8, 0.1, seed=1)
    yield "two blocks of 250", nx.planted_partition_graph(2, 250, 0.15, 0.05, seed=1)
    yield "karate club", nx.karate_club_graph()


def ours(nodes, ends, calls):
    from chymist.graphs import Graph, ollivier

    graph = Graph.of(nodes, ends)
    found = ollivier(graph, ALPHA)
    wall, cpu = [], []
    for _ in range(calls):
        graph = Graph.of(nodes, ends)
        start, used = time.perf_counter(), time.process_time()
        found = ollivier(graph, ALPHA)
        wall.append(time.perf_counter() - start)
        cpu.append(time.process_time() - used)
    return {"wall": min(wall), "cpu": min(cpu), "value": found.value, "gap": found.gap.max()}


def theirs(python, nodes, ends, calls):
    told = {"nodes": nodes, "ends": ends, "calls": calls, "alpha": ALPHA}
    clean = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        [python, "-c", PEER], input=json.dumps(told), capture_output=True, text=True, env=clean
    )
    if done.returncode:
        sys.exit(f"the peer failed: {done.stderr.strip().splitlines()[-1]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer", help="Python of an environment with GraphRicciCurvature")
    parser.add_argument("--calls", type=int, default=3)
    given = parser.parse_args()
    for name, graph in graphs():
        ends = [list(e) for e in graph.edges]
        own = ours(len(graph), ends, given.calls)
        line = f"{name}, {len(ends)} edges: {own['wall']:.4f} s wall, {own['cpu']:.4f} s processor"
        print(f"{line}; gap of the dual {own['gap']:.0e}")
        if given.peer:
            peer = theirs(given.peer, len(graph), ends, given.calls)
            apart = max(abs(a - b) for a, b in zip(own["value"], peer["value"], strict=True))
            print(
                f"  peer, 2 processes: {peer['wall']:.4f} s wall, {peer['cpu']:.4f} s processor:"
                f" {peer['wall'] / own['wall']:.1f} x wall, {peer['cpu'] / own['cpu']:.1f} x"
                f" processor; largest difference {apart:.0e}"
            )


if __name__ == "__main__":
    main()

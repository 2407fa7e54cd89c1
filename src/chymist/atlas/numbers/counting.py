"""What the table of `integer-complexity` holds, counted, and what is published of it.

`p` is a cell of its parameters. All values are exact.
"""

from __future__ import annotations

import hashlib
from itertools import pairwise
from typing import Any

import numpy as np
import xarray as xr

from chymist import data
from chymist.atlas.numbers.complexities import about, table
from chymist.bench import Bench
from chymist.theory import integer_complexity as theory

KNOWN = 66
"""Least numbers of k ones are known here up to this k."""
REFEREE = 10**6
"""NumPy's way makes the table again up to here."""
SIZES = np.unique(np.round(np.geomspace(2, 10**11, 99)).astype(np.int64))
"""Where the figure's bins of numbers begin."""


def count_table(p: Any, bench: Bench) -> xr.Dataset:
    """What the table holds, with two of its entries exchanged where `swapped`.

    Returns:
        apart: of how many n up to `dense` the table and the programme that tries every pair
        differ. least, largest, how_many (ones): of the numbers of the table with so many ones; 0
        where there is none. powers_apart: for how many k f(2^k) != 2k. tried (number): how many
        summands beyond 1 had been tried by this number. share (number_bin, ones): of the numbers
        from this one on to the next bin. ratio (number_bin): mean of f(n) / (3 log3 n) there.
        defects (defect): how many numbers have so many ones beyond 3 log3 n. digest (way).
    """
    made = table(p, bench)
    head = made.values(1, p.dense + 1)
    if p.swapped:
        chance = bench.key(0, "swap").numpy()
        one, other = chance.integers(0, p.dense, 2)
        while head[one] == head[other]:
            other = chance.integers(0, p.dense)
        head[[one, other]] = head[[other, one]]
    dense = data.dense_complexity(p.dense)[0][1:]
    again = min(REFEREE, p.up_to)
    second = data.complexity_table(again, native=False)
    digests = [_sha(v) for v in (
        head, dense, made.values(1, again + 1), second.values(1, again + 1)
    )]  # fmt: skip
    counted = _counted(made, lambda done: bench.progress("counting", done, p.up_to))
    powers = [k for k in range(1, p.up_to.bit_length()) if made[2**k] != 2 * k]
    places = np.unique(np.geomspace(1, len(made.tried), 60).astype(int)) - 1
    number, trials = made.tried[places].T if len(made.tried) else np.empty((2, 0), dtype=int)
    whole = {
        "apart": ((), int((head != dense).sum()), about("entries that differ")),
        "powers_apart": ((), len(powers), about("powers of two with f(2^k) != 2k")),
        "tried": ("number", np.where(trials < 0, np.nan, trials), about("summands tried")),
        "digest": ("way", digests, about("SHA-256 of f as bytes")),
    }
    return counted.assign(whole).assign_coords(
        number=number, way=["head", "pairs", "table", "NumPy"]
    )


def published(p: Any, run: xr.Dataset) -> xr.Dataset:
    """Least, largest and how many numbers have so many ones, where the table reaches: theory."""
    ones = run.ones.values.tolist()
    largest = [theory.largest_with(k) for k in ones]
    many = [*theory.HOW_MANY, *[0] * KNOWN][:KNOWN]
    # All numbers of k ones are in the table if the largest is.
    many = [m if e <= p.up_to else 0 for m, e in zip(many, largest, strict=False)]
    return xr.Dataset(
        {
            "least": ("ones", [n if n <= p.up_to else 0 for n in theory.LEAST_WITH]),
            "largest": ("ones", [e if e <= p.up_to else 0 for e in largest]),
            "how_many": ("ones", many),
        },
        coords={"ones": ones},
    )


def _counted(made: data.ComplexityTable, told: Any) -> xr.Dataset:
    """Count the table's entries by ones, by size and by defect, a bin of numbers at a time."""
    last, ones = made.last, np.arange(1, KNOWN + 1)
    edges = [1, *(int(e) for e in SIZES if e <= last), last + 1]
    least, largest, many = (np.zeros(256, dtype=np.int64) for _ in range(3))
    share, ratio, defects = [], [], np.zeros(60, dtype=np.int64)
    for low, high in pairwise(edges):
        counts, total = np.zeros(256, dtype=np.int64), 0.0
        for n in range(low, high, 2**22):
            f = made.values(n, min(n + 2**22, high))
            here = np.bincount(f, minlength=256)
            for k in np.flatnonzero(here):
                if not least[k]:
                    least[k] = n + int(np.argmax(f == k))
                largest[k] = n + len(f) - 1 - int(np.argmax(f[::-1] == k))
            counts += here
            bound = 3 * np.log(np.arange(n, n + len(f))) / np.log(3)
            if low > 1:
                total += float((f / bound).sum())
            # Exact powers of three have none; rounding must not take them below.
            cells = (4 * (f - bound) + 1e-6).astype(np.int64)
            defects += np.bincount(cells, minlength=60)[:60]
            told(n + len(f) - 1)
        many += counts
        share.append(counts[ones] / (high - low))
        ratio.append(total / (high - low) if low > 1 else np.nan)
    return xr.Dataset(
        {
            "least": ("ones", least[ones], about("least number")),
            "largest": ("ones", largest[ones], about("largest number")),
            "how_many": ("ones", many[ones], about("numbers")),
            "share": (("number_bin", "ones"), np.array(share), about("share of the numbers")),
            "ratio": ("number_bin", ratio, about("mean of f(n) / (3 log3 n)")),
            "defects": ("defect", defects, about("numbers")),
        },
        coords={"ones": ones, "number_bin": edges[:-1], "defect": np.arange(60) / 4},
    )


def _sha(values: np.ndarray) -> str:
    return hashlib.sha256(values.astype(np.uint8).tobytes()).hexdigest()

"""What `integer-complexity` computes: formulas, tables, and what is counted in them.

`p` is a cell of its parameters. All values are exact.
"""

from __future__ import annotations

import hashlib
from itertools import pairwise
from typing import Any

import numpy as np
import xarray as xr

from chymist import data
from chymist.bench import Bench
from chymist.data.ones import Search, Written, evaluate
from chymist.theory import integer_complexity as theory

PRIME = 353_942_783
"""Guy's conjecture fails here first."""
KNOWN = 66
"""Least numbers of k ones are known here up to this k."""
REFEREE = 10**6
"""NumPy's way makes the table again up to here."""
LISTED = 8
SIZES = np.unique(np.round(np.geomspace(2, 10**11, 99)).astype(np.int64))
"""Where the figure's bins of numbers begin."""


def table(p: Any, bench: Bench, summands: Any = None) -> data.ComplexityTable:
    """Return the table up to `up_to`, telling the bench what made it and how far it is."""
    made = data.complexity_table(
        p.up_to, summands=summands or p.summands,
        progress=lambda done, of: bench.progress("table", done, of),
    )  # fmt: skip
    bench.note(f"table by {made.by}")
    return made


def write_numbers(p: Any, bench: Bench) -> xr.Dataset:
    """Formulas of the user's numbers, or of `n`; of the prime alone where the only summand is 1.

    Returns:
        Along n: `formula`; `ones`, how many it has; `least`, how many any has; `proved`, whether
        `least` was reached, or the search gave up and it is a bound; `defect`, ones beyond
        3 log3 n; `summand`, the least that a shortest formula must add: 0 where a product is as
        good, 1 for n - 1.
    """
    numbers = p.n.values if bench.input is None else bench.input.numbers.values
    if p.summands == "one":
        numbers = np.array([PRIME])
    found = _written(table(p, bench, "all"), numbers)
    shown = _written(table(p, bench), numbers) if p.summands == "one" else found
    columns = {
        "formula": ([w.formula for w in shown], "formula of ones"),
        "ones": ([w.ones for w in shown], "ones in the formula"),
        "least": ([w.least for w in found], "ones that any formula has at least"),
        "proved": ([int(w.exact) for w in found], "whether a formula of so few is known"),
        "defect": ([w.ones - 3 * np.log(w.n) / np.log(3) for w in shown], "ones beyond 3 log3 n"),
        "summand": ([w.summand for w in found], "least summand of a shortest formula"),
    }
    return xr.Dataset(
        {name: ("n", values, _says(says)) for name, (values, says) in columns.items()},
        coords={"n": numbers},
    )


def _written(made: data.ComplexityTable, numbers: np.ndarray) -> list[Written]:
    search = Search(made)
    return [search.write(int(n)) for n in numbers]


def follow_primes(p: Any, bench: Bench) -> xr.Dataset:
    """The complexity of the prime and its neighbours, and every prime and sum of the table.

    Returns:
        near (n): f from 12 below the prime to 4 above; formula_near (n). primes: how many were
        scanned. broken (rank): the first eight primes with f(p) != f(p - 1) + 1, then 0;
        needed (rank): the same of numbers that need a sum beyond n - 1 and 1; first_sum (summand):
        the first number whose best sum is with it and beats f(n - 1) + 1, 0 if there is none; sums
        (summand): how many there are. digest: SHA-256 of the whole table as bytes. sampled_apart:
        how many of 24 entries a search that knows f up to 10^5 alone finds to be wrong.
    """
    made = table(p, bench)
    near = np.arange(PRIME - 12, PRIME + 5)
    written = _written(made, near)
    scanned, broken, digest = _scan_primes(made)
    sums = _better_sums(made)
    needed = [n for n, _ in sums if _best_product(made, n) > made[n]]
    summands = [6, 8, 9, 12]
    firsts = [[n for n, a in sums if a == s] for s in summands]
    base = Search(data.complexity_table(min(10**5, p.up_to), summands=p.summands))
    sample = np.unique(np.linspace(2, p.up_to, 24).astype(np.int64)).tolist()
    apart = sum(base.write(n).ones != made[n] for n in sample)
    return xr.Dataset(
        {
            "near": ("n", [w.ones for w in written], _says("complexity")),
            "formula_near": ("n", [w.formula for w in written], _says("formula of ones")),
            "primes": ((), scanned, _says("primes scanned")),
            "broken": ("rank", _padded(broken), _says("primes with f(p) != f(p - 1) + 1")),
            "needed": ("rank", _padded(needed), _says("numbers that need a summand beyond 1")),
            "first_sum": ("summand", [min(f, default=0) for f in firsts], _says("first number")),
            "sums": ("summand", [len(f) for f in firsts], _says("numbers")),
            "digest": ((), digest, _says("SHA-256 of f(1), ..., as bytes")),
            "sampled_apart": ((), apart, _says("sampled entries that a search contradicts")),
        },
        coords={"n": near, "rank": range(1, LISTED + 1), "summand": summands},
    )


def known_exceptions(p: Any, run: xr.Dataset) -> xr.Dataset:
    """The published exceptions as far as the table goes."""
    reached = [n for n in theory.WITH_SIX if n <= p.up_to]
    first = [n if n <= p.up_to else 0 for n in (21_080_618, 385_159_320)]
    return xr.Dataset(
        {
            "broken": ("rank", _padded([n for n in reached if n == PRIME])),
            "needed": ("rank", _padded(reached)),
            "first_sum": ("summand", [*first, 0, 0]),
        },
        coords={c: run[c] for c in ("rank", "summand")},
    )


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
        "apart": ((), int((head != dense).sum()), _says("entries that differ")),
        "powers_apart": ((), len(powers), _says("powers of two with f(2^k) != 2k")),
        "tried": ("number", np.where(trials < 0, np.nan, trials), _says("summands tried")),
        "digest": ("way", digests, _says("SHA-256 of f as bytes")),
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


def _scan_primes(made: data.ComplexityTable) -> tuple[int, list[int], str]:
    """Return how many primes, those with f(p) != f(p - 1) + 1, and the table's digest."""
    scanned, broken, before, digest = 0, [], 0, hashlib.sha256()
    for n, f in made.blocks():
        digest.update(f.tobytes())
        prime = data.are_prime(n, n + len(f))
        scanned += int(prime.sum())
        wrong = prime & (f != np.concatenate([[before], f[:-1]]).astype(np.uint8) + np.uint8(1))
        broken += [int(i) for i in n + np.flatnonzero(wrong)]
        before = f[-1]
    return scanned, broken, digest.hexdigest()


def _better_sums(made: data.ComplexityTable) -> list[tuple[int, int]]:
    """Return the numbers whose best sum beats f(n - 1) + 1, with the least summand of one."""
    found = []
    first, _, total = data.dense_complexity(1023)
    solid = [a for a in range(6, 1024) if first[a] < total[a]]
    start = 1024
    while start <= made.last:
        stop = min(2 * start, start + 2**22, made.last + 1)
        f = made.values(start - 1023, stop)
        best = f[1022:-1] + np.uint8(1)
        most = theory.product_limit(int(best.max()) - 1)
        here = best.copy()
        with_summand = np.zeros(len(best), dtype=np.int64)
        for a in solid:
            if a * (start - a) > most:
                break
            sums = f[1023 - a : len(f) - a] + first[a]
            better = np.flatnonzero(sums < here)
            here[better], with_summand[better] = sums[better], a
        found += [(start + int(i), int(with_summand[i])) for i in np.flatnonzero(here < best)]
        start = stop
    return found


def _best_product(made: data.ComplexityTable, n: int) -> int:
    return min((made[d] + made[n // d] for d in data.divisors(n)), default=250)


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
            "least": ("ones", least[ones], _says("least number")),
            "largest": ("ones", largest[ones], _says("largest number")),
            "how_many": ("ones", many[ones], _says("numbers")),
            "share": (("number_bin", "ones"), np.array(share), _says("share of the numbers")),
            "ratio": ("number_bin", ratio, _says("mean of f(n) / (3 log3 n)")),
            "defects": ("defect", defects, _says("numbers")),
        },
        coords={"ones": ones, "number_bin": edges[:-1], "defect": np.arange(60) / 4},
    )


def holds(n: int, formula: str, ones: int) -> bool:
    """Whether a formula has the value n and so many ones, by evaluating it."""
    return evaluate(formula) == (n, ones)


def _sha(values: np.ndarray) -> str:
    return hashlib.sha256(values.astype(np.uint8).tobytes()).hexdigest()


def _padded(numbers: list[int]) -> list[int]:
    return [*numbers, *[0] * LISTED][:LISTED]


def _says(words: str) -> dict[str, str]:
    return {"long_name": words, "units": "1"}

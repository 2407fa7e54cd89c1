"""Guy's conjecture on primes, and the numbers that need a sum beyond n - 1: `integer-complexity`.

`p` is a cell of its parameters. All values are exact.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import xarray as xr

from chymist import data
from chymist.atlas.numbers import integer_figures as draw
from chymist.atlas.numbers.complexities import PRIME, about, formula_of, last, table, written
from chymist.bench import Bench
from chymist.claims import Certificate, Claim, Published, exactly
from chymist.data.ones import Search
from chymist.study import Control, Experiment, Figure
from chymist.theory import integer_complexity as theory

LISTED = 8


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
    found = written(made, near)
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
            "near": ("n", [w.ones for w in found], about("complexity")),
            "formula_near": ("n", [w.formula for w in found], about("formula of ones")),
            "primes": ((), scanned, about("primes scanned")),
            "broken": ("rank", _padded(broken), about("primes with f(p) != f(p - 1) + 1")),
            "needed": ("rank", _padded(needed), about("numbers that need a summand beyond 1")),
            "first_sum": ("summand", [min(f, default=0) for f in firsts], about("first number")),
            "sums": ("summand", [len(f) for f in firsts], about("numbers")),
            "digest": ((), digest, about("SHA-256 of f(1), ..., as bytes")),
            "sampled_apart": ((), apart, about("sampled entries that a search contradicts")),
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


def _padded(numbers: list[int]) -> list[int]:
    return [*numbers, *[0] * LISTED][:LISTED]


def step(run: xr.Dataset) -> xr.DataArray:
    """f(353942783) - f(353942782), which Guy's conjecture says is 1."""
    return run.near.sel(n=PRIME, drop=True) - run.near.sel(n=PRIME - 1, drop=True)


def split(run: xr.Dataset) -> list[Certificate]:
    run = last(run)
    around = [run.sel(n=n) for n in (PRIME, PRIME - 1, PRIME - 6)]
    return [formula_of(int(r.n), str(r.formula_near.item()), int(r.near)) for r in around]


def unexpected(run: xr.Dataset) -> xr.DataArray:
    """Places at which the list of primes with f(p) != f(p - 1) + 1 differs from 353942783 alone."""
    return (run.broken != run.predicted_broken).sum("rank")


def unexpected_needs(run: xr.Dataset) -> xr.DataArray:
    """Places at which the list of numbers that need 6 + (n - 6) differs from the published one."""
    return (run.needed != run.predicted_needed).sum("rank")


def first_sums(run: xr.Dataset) -> xr.DataArray:
    """First number whose best sum has the summand and beats f(n - 1) + 1, less the published."""
    return (run.first_sum - run.predicted_first_sum).sel(summand=[6, 8])


def whole_table(run: xr.Dataset) -> list[Certificate]:
    run = last(run)
    found = [int(p) for p in run.broken.values if p] or "none"
    return [
        Certificate(f"of {int(run.primes)} primes up to {int(run.up_to)}, those that break the "
                    f"rule: {found}; the SHA-256 of f(1), f(2), ... as bytes, to be compared with "
                    "another program's", str(run.digest.item()), int(run.sampled_apart) == 0),
    ]  # fmt: skip


GUY = Experiment(
    "primes", "Follows $f(p) = f(p - 1) + 1$ over every prime of the table, and around the prime "
    "353942783 by search; finds every number whose best sum beats $f(n - 1) + 1$.", follow_primes,
    prediction=known_exceptions, claims=(
        Claim("counterexample", "Guy's conjecture fails at the prime 353942783: $f(p) = f(p - 1)$.",
              step, exactly(0), certificates=split, published=(
                  Published(0.0, "the prime 353942783, reported in 2008", "fuller2008program"),
                  Published(0.0, "the same, first in a journal", "wang2013counterexample"),)),
        Claim("no-other-prime", "As far as the table goes no other prime breaks it.",
              unexpected, exactly(0), certificates=whole_table),
        Claim("sums-needed", "As far as the table goes no number but 353942783 and 516743639 "
              "needs another sum than $(n - 1) + 1$.",
              unexpected_needs, exactly(0), certificates=whole_table),
        Claim("first-sums", "The first number whose best sum beats $f(n - 1) + 1$ is 21080618, "
              "with 6; the first with 8 is 385159320, where the table reaches it.",
              first_sums, exactly(0), certificates=whole_table),
    ),
    figures=(Figure("around-the-prime", "$f$ around 353942783; bars: $f(n - 1) + 1$. In "
                    "the control nothing but 1 is added.", draw.around),),
    control=Control("Whoever adds nothing but ones finds Guy's conjecture true there.",
                    {"summands": "one"}, flips=("counterexample",)),
)  # fmt: skip

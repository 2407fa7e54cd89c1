"""What is claimed of the table of `integer-complexity` as a whole. All values are exact."""

from __future__ import annotations

import numpy as np
import xarray as xr

from chymist import data
from chymist.atlas.numbers import integer_figures as draw
from chymist.atlas.numbers.complexities import last
from chymist.atlas.numbers.counting import count_table, published
from chymist.claims import Certificate, Claim, exactly
from chymist.study import Control, Experiment, Figure


def apart(run: xr.Dataset) -> xr.DataArray:
    """Numbers at which the table and the programme that tries every pair differ."""
    return run.apart


def two_ways(run: xr.Dataset) -> list[Certificate]:
    digest = last(run).digest
    pairs = (("head", "pairs", "trying every sum and every product of the first numbers"),
             ("table", "NumPy", "NumPy's way, which shares no loop with the compiled one"))
    return [Certificate(f"SHA-256 of f(1), f(2), ... as bytes, by {says}",
                        str(digest.sel(way=other).item()),
                        digest.sel(way=one).item() == digest.sel(way=other).item())
            for one, other, says in pairs]  # fmt: skip


def wrong(name: str, run: xr.Dataset) -> xr.DataArray:
    theory = run[f"predicted_{name}"]
    return ((run[name] != theory) & (theory > 0)).sum("ones")


def wrong_largest(run: xr.Dataset) -> xr.DataArray:
    """How many k have another largest number in the table than A000792(k)."""
    return wrong("largest", run)


def wrong_least(run: xr.Dataset) -> xr.DataArray:
    """How many k have another least number than A005520(k)."""
    return wrong("least", run)


def wrong_counts(run: xr.Dataset) -> xr.DataArray:
    """How many k have another count of numbers than A005421(k)."""
    return wrong("how_many", run)


def above(run: xr.Dataset) -> xr.DataArray:
    """How many k > 1 have a least number m with k > 3 log2 m, that is 2^k > m^3."""
    k = run.ones.where(run.ones > 1, 0)
    return (k > 3 * np.log2(run.least.where(run.least > 0, 2.0**60)) + 1e-9).sum("ones")


def powers_apart(run: xr.Dataset) -> xr.DataArray:
    """How many powers of two in the table have f(2^k) other than 2k."""
    return run.powers_apart


def composite(run: xr.Dataset) -> xr.DataArray:
    """Records from the 26th on that are no primes, and from the 45th on other than -1 mod 120."""
    least = run.least.where(run.predicted_least > 0, 0).astype(int)
    prime = xr.apply_ufunc(is_prime, least)
    odd = (least % 120 != 119) & (run.ones >= 45)
    return ((least > 0) & (run.ones >= 26) & (~prime | odd)).sum("ones")


def is_prime(numbers: np.ndarray) -> np.ndarray:
    known = [n > 1 and not data.divisors(int(n)) for n in np.ravel(numbers)]
    return np.reshape(known, np.shape(numbers))


def powers(run: xr.Dataset) -> list[Certificate]:
    run = last(run)
    largest = [(int(k), int(n)) for k, n in zip(run.ones, run.predicted_largest, strict=True) if n]
    threes = [(k, n) for k, n in largest if k % 3 == 0]
    k, n = threes[-1]
    return [Certificate(f"{n} needs {k} ones and is the largest that they write",
                        f"3^{k // 3} = {n}", 3 ** (k // 3) == n)]  # fmt: skip


def least_numbers(run: xr.Dataset) -> list[Certificate]:
    run = last(run)
    shown = [(int(k), int(m)) for k, m in zip(run.ones, run.least, strict=True) if m and k > 1]
    return [Certificate(f"{m}, the least number of {k} ones, is above 2^({k}/3)",
                        f"{m}^3 = {m**3} >= {2**k} = 2^{k}", m**3 >= 2**k)
            for k, m in shown[-3:]]  # fmt: skip


TABLE = Experiment(
    "table", "Counts what the table holds, and compares it with a programme that tries every pair.",
    count_table, prediction=published, claims=(
        Claim("referee", "Trying every sum and product gives the same $f$.",
              apart, exactly(0), certificates=two_ways),
        Claim("largest", "The largest number of $k$ ones is A000792(k): so $f(n) \\geq 3 \\log_3 "
              "n$, with equality at the powers of 3 alone.",
              wrong_largest, exactly(0), certificates=powers),
        Claim("upper-bound", "$f(n) \\leq 3 \\log_2 n$ for $n \\geq 2$.",
              above, exactly(0), certificates=least_numbers),
        Claim("powers-of-two", "$f(2^k) = 2k$ for every $2^k$ in the table.",
              powers_apart, exactly(0), certificates=two_ways),
        Claim("records", "The least number of $k$ ones is A005520(k).",
              wrong_least, exactly(0), certificates=two_ways),
        Claim("counts", "How many numbers have $k$ ones is A005421(k), where the table has all.",
              wrong_counts, exactly(0), certificates=two_ways),
        Claim("prime-records", "From the 26th on all records are primes, from the 45th on "
              "-1 modulo 120.", composite, exactly(0), certificates=least_numbers),
    ),
    figures=(
        Figure("complexities", "Share of numbers with so many ones; lines: the bounds $3 \\log_3 "
               "n$ and $3 \\log_2 n$; dots: records.", draw.complexities),
        Figure("defects", "Numbers by their ones beyond $3 \\log_3 n$, and the mean of "
               "$f(n) / (3 \\log_3 n)$.", draw.defects),
        Figure("trials", "Summands beyond 1 that the table tried, and the local exponent of their "
               "number: it falls, so that a line fitted to small tables misleads.", draw.trials),
    ),
    control=Control("A table in which two entries are exchanged is found out.",
                    {"swapped": True}, flips=("referee",)),
)  # fmt: skip

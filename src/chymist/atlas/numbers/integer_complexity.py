"""Writing numbers with ones: Guy's conjecture on primes, where it fails, and what is almost true.

Everything is exact: a table of all numbers up to a limit, a search beyond it, and formulas of ones
that a reader can check with a pencil. There are no seeds.
"""

from typing import Literal

import numpy as np
import xarray as xr
from pydantic import field_validator

from chymist import data, references
from chymist.atlas.numbers import integer_figures as draw
from chymist.atlas.numbers.complexities import (
    PRIME,
    count_table,
    follow_primes,
    holds,
    known_exceptions,
    published,
    write_numbers,
)
from chymist.claims import Certificate, Claim, exactly
from chymist.data.ones import shortened
from chymist.params import Axis, ExactParams, Field, Lane
from chymist.study import Control, Experiment, Figure, Input, Study


class IntegerParams(ExactParams):
    """Which numbers, how far the table goes, and what the controls change."""

    n: Lane[int] = Field((PRIME,), ge=1, le=10**12, description=(
        "numbers to write with ones; 1-100 stands for all from 1 to 100"))
    up_to: Axis[int] = Field((30_000_000,), ge=100_000, le=10**11, description=(
        "the table's last number: half a byte of memory each"))
    summands: Literal["all", "one"] = Field("all", description="which numbers may be added")
    dense: int = Field(8192, ge=1024, le=50_000, description="every pair is tried up to here")
    swapped: bool = Field(False, description="exchange two entries of the table up to `dense`")

    @field_validator("n", mode="before")
    @classmethod
    def ranges(cls, values):
        """Read 3-7 as 3, 4, 5, 6, 7; at most 1000 numbers."""
        return data.whole_ranges(values)


def last(run):
    return run.isel(up_to=-1) if "up_to" in run.dims else run


def formula_of(n, formula, ones):
    says = f"{n} = {shortened(formula)}, which is {ones} ones"
    return Certificate(says, formula, holds(n, formula, ones))


def excess(run):
    """Ones in the formula beyond the fewest possible; not known where the search gave up."""
    return (run.ones - run.least).where(run.proved == 1)


def formulas(run):
    run = last(run)
    return [formula_of(int(r.n), str(r.formula.item()), int(r.ones))
            for r in (run.isel(n=i) for i in range(run.sizes["n"]))]


NUMBERS = Experiment(
    "formulas", "Writes numbers with as few ones as possible: those of the table by the table, "
    "others, up to $10^{12}$, by a search that goes down to it.", write_numbers,
    claims=(Claim("shortest", "The formula shown has $f(n)$ ones: no other has fewer.",
                  excess, exactly(0), certificates=formulas),),
    figures=(Figure("formulas", "$f(n)$ between its bounds, $3 \\log_3 n$ and $3 \\log_2 n$.",
                    draw.numbers),),
    control=Control("Whoever adds nothing but ones needs 64 ones for 353942783.",
                    {"summands": "one"}, flips=("shortest",)),
    reads="numbers",
)  # fmt: skip


def step(run):
    """f(353942783) - f(353942782), which Guy's conjecture says is 1."""
    return run.near.sel(n=PRIME, drop=True) - run.near.sel(n=PRIME - 1, drop=True)


def split(run):
    run = last(run)
    around = [run.sel(n=n) for n in (PRIME, PRIME - 1, PRIME - 6)]
    return [formula_of(int(r.n), str(r.formula_near.item()), int(r.near)) for r in around]


def unexpected(run):
    """Places at which the list of primes with f(p) != f(p - 1) + 1 differs from 353942783 alone."""
    return (run.broken != run.predicted_broken).sum("rank")


def unexpected_needs(run):
    """Places at which the list of numbers that need 6 + (n - 6) differs from the published one."""
    return (run.needed != run.predicted_needed).sum("rank")


def first_sums(run):
    """First number whose best sum has the summand and beats f(n - 1) + 1, less the published."""
    return (run.first_sum - run.predicted_first_sum).sel(summand=[6, 8])


def whole_table(run):
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
              step, exactly(0), certificates=split),
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


def apart(run):
    """Numbers at which the table and the programme that tries every pair differ."""
    return run.apart


def two_ways(run):
    digest = last(run).digest
    pairs = (("head", "pairs", "trying every sum and every product of the first numbers"),
             ("table", "NumPy", "NumPy's way, which shares no loop with the compiled one"))
    return [Certificate(f"SHA-256 of f(1), f(2), ... as bytes, by {says}",
                        str(digest.sel(way=other).item()),
                        digest.sel(way=one).item() == digest.sel(way=other).item())
            for one, other, says in pairs]  # fmt: skip


def wrong(name, run):
    theory = run[f"predicted_{name}"]
    return ((run[name] != theory) & (theory > 0)).sum("ones")


def wrong_largest(run):
    """How many k have another largest number in the table than A000792(k)."""
    return wrong("largest", run)


def wrong_least(run):
    """How many k have another least number than A005520(k)."""
    return wrong("least", run)


def wrong_counts(run):
    """How many k have another count of numbers than A005421(k)."""
    return wrong("how_many", run)


def above(run):
    """How many k > 1 have a least number m with k > 3 log2 m, that is 2^k > m^3."""
    k = run.ones.where(run.ones > 1, 0)
    return (k > 3 * np.log2(run.least.where(run.least > 0, 2.0**60)) + 1e-9).sum("ones")


def powers_apart(run):
    """How many powers of two in the table have f(2^k) other than 2k."""
    return run.powers_apart


def composite(run):
    """Records from the 26th on that are no primes, and from the 45th on other than -1 mod 120."""
    least = run.least.where(run.predicted_least > 0, 0).astype(int)
    prime = xr.apply_ufunc(is_prime, least)
    odd = (least % 120 != 119) & (run.ones >= 45)
    return ((least > 0) & (run.ones >= 26) & (~prime | odd)).sum("ones")


def is_prime(numbers):
    known = [n > 1 and not data.divisors(int(n)) for n in np.ravel(numbers)]
    return np.reshape(known, np.shape(numbers))


def powers(run):
    run = last(run)
    largest = [(int(k), int(n)) for k, n in zip(run.ones, run.predicted_largest, strict=True) if n]
    threes = [(k, n) for k, n in largest if k % 3 == 0]
    k, n = threes[-1]
    return [Certificate(f"{n} needs {k} ones and is the largest that they write",
                        f"3^{k // 3} = {n}", 3 ** (k // 3) == n)]  # fmt: skip


def least_numbers(run):
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


STUDY = Study(
    slug="integer-complexity", family="numbers", title="Writing numbers with ones",
    question="Is a prime always written best as one more than its neighbour?",
    params=IntegerParams, experiments=(NUMBERS, GUY, TABLE),
    theory=r"""
$f(n)$ is the least number of ones that write $n$ with $+$, $\times$ and brackets: $f(1) = 1$ and
$f(n) = \min \{f(a) + f(b) : a + b = n \text{ or } ab = n\}$. The largest number of $k$ ones is
$E(k) = 3^{k/3}$, $4 \cdot 3^{(k-4)/3}$ or $2 \cdot 3^{(k-2)/3}$ for $k = 0, 1, 2$ modulo 3: so
$3 \log_3 n \leq f(n)$; binary digits give $f(n) \leq 3 \log_2 n$. What $t$ ones write as $a + b$
has $ab \leq 3^{t/3}$: if $n$ can be written with $t$ ones already, only $a$ with $a (n - a) \leq
3^{(t-1)/3}$ can do better, a few dozen numbers, and of those only what no sum writes as well:
$6, 8, 9, 12, \ldots$ The sum $(n - 1) + 1$ is best so nearly always that Guy asked whether
$f(p) = f(p - 1) + 1$ for every prime. But $353942783 = 6 + (1 + 2^2 3^2)(2 + 3^4 (1 + 2 \cdot
3^{10}))$ has $5 + 58$ ones, as many as $p - 1$.
""",
    limits="The preset quick proves that 353942783 is a counterexample, by search, and that no "
           "prime below 30000000 is one; that it is the smallest the preset paper proves, whose "
           "table passes it. The formula shows that f(n) is at most its number of ones; that "
           "none is shorter rests on the table and the search, which two other ways confirm where "
           "they reach. M. Fuller reported 353942783 and 516743639 on the SeqFan list in 2008; "
           "Wang's paper of 2013 is the first in a journal.",
    references=references("guy1986suspiciously", "mahler1953maximum", "fuller2008program",
        "wang2013counterexample", "iraids2012integer", "altman2012numbers",
        "cordwell2017algorithms", "he2023improved"),
    presets={"quick": {}, "paper": {"up_to": (520_000_000,)}},
    cost={"quick": 15, "paper": 120},
    input=Input("a CSV whose first column holds whole numbers", (".csv",), data.whole_numbers),
)  # fmt: skip

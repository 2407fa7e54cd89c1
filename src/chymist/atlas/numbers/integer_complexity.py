"""Writing numbers with ones: Guy's conjecture on primes, where it fails, and what is almost true.

Everything is exact: a table of all numbers up to a limit, a search beyond it, and formulas of ones
that a reader can check with a pencil. There are no seeds.
"""

from typing import Literal

from pydantic import field_validator

from chymist import data, references
from chymist.atlas.numbers import integer_figures as draw
from chymist.atlas.numbers.complexities import PRIME, formula_of, last, write_numbers
from chymist.atlas.numbers.primes import GUY
from chymist.atlas.numbers.tallies import TABLE
from chymist.claims import Claim, exactly
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
    answers=("numbers",),
    cover="around-the-prime",
    input=Input("a CSV whose first column holds whole numbers", (".csv",), data.whole_numbers),
)  # fmt: skip

"""The table and the formulas of ones that the experiments of `integer-complexity` share.

`p` is a cell of its parameters. All values are exact.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from chymist import data
from chymist.bench import Bench
from chymist.claims import Certificate
from chymist.data.ones import Search, Written, evaluate, shortened

PRIME = 353_942_783
"""Guy's conjecture fails here first."""


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
    found = written(table(p, bench, "all"), numbers)
    shown = written(table(p, bench), numbers) if p.summands == "one" else found
    columns = {
        "formula": ([w.formula for w in shown], "formula of ones"),
        "ones": ([w.ones for w in shown], "ones in the formula"),
        "least": ([w.least for w in found], "ones that any formula has at least"),
        "proved": ([int(w.exact) for w in found], "whether a formula of so few is known"),
        "defect": ([w.ones - 3 * np.log(w.n) / np.log(3) for w in shown], "ones beyond 3 log3 n"),
        "summand": ([w.summand for w in found], "least summand of a shortest formula"),
    }
    return xr.Dataset(
        {name: ("n", values, about(says)) for name, (values, says) in columns.items()},
        coords={"n": numbers},
    )


def written(made: data.ComplexityTable, numbers: np.ndarray) -> list[Written]:
    """Write numbers with as few ones as possible, by the table and a search above it."""
    search = Search(made)
    return [search.write(int(n)) for n in numbers]


def last(run: xr.Dataset) -> xr.Dataset:
    """Return what was found with the largest table."""
    return run.isel(up_to=-1) if "up_to" in run.dims else run


def formula_of(n: int, formula: str, ones: int) -> Certificate:
    """Return the formula of a number as a certificate that it needs no more ones."""
    says = f"{n} = {shortened(formula)}, which is {ones} ones"
    return Certificate(says, formula, holds(n, formula, ones))


def holds(n: int, formula: str, ones: int) -> bool:
    """Whether a formula has the value n and so many ones, by evaluating it."""
    return evaluate(formula) == (n, ones)


def about(words: str) -> dict[str, str]:
    """Return the attributes of a variable that is a number without unit."""
    return {"long_name": words, "units": "1"}

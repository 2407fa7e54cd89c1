"""Formulas of ones: fewest ones that write a number, found by search above a table, and checked.

A formula is text of `1`, `+`, `*` and brackets. `evaluate` reads one and knows nothing of how it
was found, so that what it says is a check.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from chymist.data.integer_complexity import START, ComplexityTable
from chymist.data.prime_numbers import divisors
from chymist.theory.integer_complexity import least_ones, product_limit

LARGEST = 10**12
"""Largest number that is searched for."""
LOOKS = 100_000
"""How many numbers beyond the table a search may look at: about twenty seconds."""


@dataclass(frozen=True)
class Written:
    """A number as a formula of `ones` ones; `least` is what it certainly needs.

    `summand` is the smallest that an exact formula could begin with, 0 where a product is as good.
    """

    n: int
    least: int
    ones: int
    formula: str
    summand: int = 0

    @property
    def exact(self) -> bool:
        """Whether no formula has fewer ones."""
        return self.least == self.ones


@dataclass
class Search:
    """The complexity of numbers beyond a table, by going down to it.

    Whether n can be written with t ones is asked for growing t, and of every part what is left to
    it: the table's bounds allow few numbers below n, and each product halves them. What a table
    was made with (`summands`) is what the search does.

    Raises:
        ValueError: the table ends before 1023.
    """

    table: ComplexityTable
    looks: int = LOOKS
    _exact: dict[int, int] = field(default_factory=dict)
    _above: dict[int, int] = field(default_factory=dict)
    _upper: dict[int, tuple[int, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.table.last < START - 1:
            raise ValueError(f"the table must reach {START - 1}, got {self.table.last}")

    def write(self, n: int) -> Written:
        """Return the shortest formula of n; the shortest found where the search gives up.

        Raises:
            ValueError: n is below 1 or above 10^12.
        """
        if not 1 <= n <= LARGEST:
            raise ValueError(f"n must lie in 1 to {LARGEST}, got {n}")
        ones = min(n, least_ones(n)) or 1
        left = self.looks
        try:
            while self.at_most(n, ones) is None:
                ones += 1
        except _TooMany:
            self.looks = left
            found, formula = self._greedy(n)
            return Written(n, ones, found, formula)
        self.looks = left
        tree = self._formula(n, ones)
        summand = evaluate(_joined(tree[1]))[0] if tree[0] == "+" and len(tree) == 3 else 0
        return Written(n, ones, ones, _joined(tree), summand)

    def at_most(self, n: int, ones: int) -> int | None:
        """Return the complexity of n if it is at most `ones`, else None."""
        if n <= self.table.last:
            found = self.table[n]
            return found if found <= ones else None
        if n in self._exact:
            return self._exact[n] if self._exact[n] <= ones else None
        if ones <= self._above.get(n, least_ones(n) - 1):
            return None
        self.looks -= 1
        if self.looks < 0:
            raise _TooMany
        best = ones + 1
        for d in divisors(n):
            part = self.at_most(d, best - 1)
            rest = self.at_most(n // d, best - 1 - part) if part else None
            if part and rest:
                best = part + rest
        for a in self._summands():
            if a * (n - a) > product_limit(best - 1):
                break
            rest = self.at_most(n - a, best - 1 - self.table[a])
            if rest:
                best = self.table[a] + rest
        if best > ones:
            self._above[n] = ones
            return None
        self._exact[n] = best
        return best

    def _summands(self) -> Iterator[int]:
        """Yield what may be added to another part, ascending; more than any number needs."""
        yield 1
        yield from self.table.summands.tolist()
        if len(self.table.summands):
            raise AssertionError("the table has too few summands")

    def _formula(self, n: int, ones: int) -> _Tree:
        """Return the formula of a number that needs just so many ones: a product if there is."""
        if n == 1:
            return "1"
        for d in divisors(n):
            part = self.at_most(d, ones)
            if part and self.at_most(n // d, ones - part) == ones - part:
                return "*", self._formula(d, part), self._formula(n // d, ones - part)
        for a in self._summands():
            part = self.table[a]
            if self.at_most(n - a, ones - part) == ones - part:
                return "+", self._formula(a, part), self._formula(n - a, ones - part)
        raise AssertionError(f"the table says {ones} ones for {n}, and no formula has them")

    def _greedy(self, n: int) -> tuple[int, str]:
        """Return some formula of n: digits in small bases, down to the table."""
        if n not in self._upper:
            if n <= self.table.last:
                ones = self.table[n]
                self._upper[n] = (ones, _joined(self._formula(n, ones)))
            else:
                found = [self._with_base(n, d) for d in (2, 3, 4, 5, 6, 7, 9)]
                self._upper[n] = min(found)
        return self._upper[n]

    def _with_base(self, n: int, base: int) -> tuple[int, str]:
        ones, formula = self._greedy(n // base)
        more, factor = self._greedy(base)
        ones += more
        formula = f"({factor})*({formula})"
        if n % base:
            more, digit = self._greedy(n % base)
            ones += more
            formula = f"{digit}+{formula}"
        return ones, formula


class _TooMany(Exception):
    """The search has looked at as many numbers as it may."""


_Tree = str | tuple[str, "_Tree", "_Tree"]


def _joined(tree: _Tree, inside: str = "+") -> str:
    """Write a formula with brackets around sums inside products alone."""
    if isinstance(tree, str):
        return tree
    sign, left, right = tree
    text = f"{_joined(left, sign)}{sign}{_joined(right, sign)}"
    return f"({text})" if sign == "+" and inside == "*" else text


def shortened(formula: str) -> str:
    """Return a formula with 2 and 3 for their ones, to be read.

    >>> shortened("(1+1+1)*(1+(1+1)*(1+1+1))")
    '3*(1+2*3)'
    """
    formula = formula.replace("(1+1+1)", "3").replace("(1+1)", "2")
    formula = re.sub(r"(?<![\d*])1\+1\+1(?![\d*+])", "3", formula)
    return re.sub(r"(?<![\d*])1\+1(?![\d*+])", "2", formula)


def evaluate(formula: str) -> tuple[int, int]:
    """Return the value of a formula of ones, and how many ones it has.

    Raises:
        ValueError: it has other signs than 1 + * ( ), or is no formula.

    >>> evaluate("(1+1)*(1+1+1)")
    (6, 5)
    """
    if re.sub(r"[1+*()]", "", formula) or "11" in formula:
        raise ValueError("a formula of ones has the signs 1 + * ( ) and single ones alone")
    values: list[int] = []
    signs: list[str] = []

    def apply(until: str) -> None:
        while signs and signs[-1] in until:
            sign, right, left = signs.pop(), values.pop(), values.pop()
            values.append(left + right if sign == "+" else left * right)

    before = "("
    for sign in formula:
        if (sign in "1(") != (before in "+*("):
            raise ValueError(f"{sign} cannot follow {before} in a formula")
        if sign == "1":
            values.append(1)
        elif sign == "(":
            signs.append(sign)
        else:
            apply("*" if sign == "*" else "+*")
            if sign == ")":
                if not signs:
                    raise ValueError("a bracket is closed that was not opened")
                signs.pop()
            else:
                signs.append(sign)
        before = sign
    if before in "+*(":
        raise ValueError("the formula is not complete")
    apply("+*")
    if signs:
        raise ValueError("the formula is not complete")
    return values[0], formula.count("1")

"""The doctor's rules and quantities as tables: `python -m chymist.doctor.handbook` writes them.

The page `docs/doctor.md` has a place for each table between two comments; all else is written by
hand. A test holds the page to the rules as they are.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from chymist.doctor.finding import is_built
from chymist.doctor.quantities import QUANTITIES
from chymist.doctor.quantity import Quantity
from chymist.doctor.rule import Rule
from chymist.doctor.rules import RULES

PAGE = Path("docs/doctor.md")


def rules(of: Sequence[Rule] = RULES) -> str:
    """Return the rules as a table, each with the study that it rests on."""
    rows = []
    for rule in of:
        if is_built(rule.study):
            study = f"[{rule.study}](atlas/{rule.study}.md)"
        else:
            study = f"{rule.study} (provisional)"
        reads = ", ".join(name.replace("_", " ") for name in rule.reads)
        explains = ", ".join(f"`{name}`" for name in rule.explains)
        rows.append((f"`{rule.name}`", rule.looks_for, reads, study, explains))
    return table(("rule", "looks for", "reads", "study", "accounts for"), rows)


def quantities(of: Sequence[Quantity] = QUANTITIES) -> str:
    """Return what is measured as a table, with its price in gradient evaluations."""
    rows = [
        (
            quantity.name.replace("_", " "),
            _first_line(quantity),
            f"{quantity.price:g}",
            " and ".join(quantity.moments),
        )
        for quantity in of
    ]
    return table(("quantity", "what is entered", "gradients", "when"), rows)


def table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    r"""Write a table in Markdown.

    >>> print(table(("a", "b"), [("1", "x | y")]))
    | a | b |
    |---|---|
    | 1 | x \| y |
    """
    heads = list(header)
    lines = [_row(heads), "|" + "---|" * len(heads)]
    return "\n".join([*lines, *(_row([cell.replace("|", r"\|") for cell in row]) for row in rows)])


def filled(page: str) -> str:
    """Return a page with the tables between their comments as they are now.

    Raises:
        ValueError: the page has no place for a table.
    """
    for name, made in (("rules", rules()), ("quantities", quantities())):
        begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
        parts = re.split(f"{begin}.*?{end}", page, flags=re.DOTALL)
        if len(parts) != 2:
            raise ValueError(f"{len(parts) - 1} places for {name}")
        page = f"{begin}\n\n{made}\n\n{end}".join(parts)
    return page


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _first_line(quantity: Quantity) -> str:
    words = (inspect.getdoc(quantity.measure) or "").partition("\n\n")[0]
    line = " ".join(words.split()).removeprefix("Enter ").removesuffix(".")
    return line[:1].lower() + line[1:] if not line[:2].isupper() else line


if __name__ == "__main__":
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else PAGE
    path.write_text(filled(path.read_text(encoding="utf-8")), encoding="utf-8")

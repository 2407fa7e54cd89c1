"""`chymist measure`."""

from __future__ import annotations

import inspect
from typing import Annotated, Any

from cyclopts import Parameter
from rich.table import Table

from chymist.cli.output import out, print_json

TERSE = 8
"""Numbers of a row that a table shows."""


def measure_(
    factory: str = "",
    /,
    *,
    instrument: str = "",
    json: Annotated[bool, Parameter(negative="")] = False,
    **options: str,
) -> None:
    """Measure your own network with chymist's instruments. This runs your code.

    Options of the instruments are flags as well (`--k 5`). Without a factory the instruments are
    listed.

    Parameters
    ----------
    factory
        module:function or file.py:function; the function takes nothing and returns (model, loss,
        (inputs, targets)).
    instrument
        One or several, separated by commas: --instrument sharpness,trace
    json
        Print the results as JSON.
    """
    from chymist import measuring

    if not factory:
        listed = {n: _first_line(f) for n, f in measuring.measurable().items()}
        if json:
            print_json(listed)
        else:
            _print({n: {"": says} for n, says in listed.items()})
        return
    names = [name.strip() for name in instrument.split(",") if name.strip()]
    results = measuring.measure(factory, names, options)
    if json:
        print_json(results)
    else:
        _print(results)


def _print(results: dict[str, dict[str, Any]]) -> None:
    table = Table(box=None, pad_edge=False, show_edge=False, show_header=False)
    for name, fields in results.items():
        for i, (field, value) in enumerate(fields.items()):
            table.add_row("" if i else name, field.replace("_", " "), _text(value))
    out().print(table)


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list):
        shown = ", ".join(map(_text, value[:TERSE]))
        more = f", ... ({len(value)})" if len(value) > TERSE else ""
        return f"[{shown}{more}]" if value and isinstance(value[0], list) else f"{shown}{more}"
    if isinstance(value, dict):
        return ", ".join(f"{n} {_text(v)}" for n, v in value.items())
    return str(value)


def _first_line(function: Any) -> str:
    return (inspect.getdoc(function) or "").partition("\n")[0]

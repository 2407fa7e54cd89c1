"""`chymist preflight`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from chymist.cli.findings import print_checkup
from chymist.errors import UsageError

FORM = "return (model, loss, batch) or (model, loss, batch, optimizer)"


def preflight_(
    factory: str,
    /,
    *,
    table: Annotated[bool, Parameter(negative="")] = False,
    report: Path | None = None,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Examine your own training before its first step. This runs your code.

    Exit code 0: nothing above a note. 3: a warning, or nothing could be measured. 4: something
    critical, which would break the training.

    Parameters
    ----------
    factory
        module:function or file.py:function; the function takes nothing and returns (model, loss,
        batch) or (model, loss, batch, optimizer), as `chymist.preflight` takes them.
    table
        Print every reading, by layer, as well.
    report
        Write a report to this file, as one page of HTML.
    json
        Print findings and readings as JSON.
    """
    from chymist import factories

    made = factories.made(factory)
    if not (isinstance(made, tuple) and len(made) in (3, 4)):
        many = f" of {len(made)}" if isinstance(made, tuple) else ""
        raise UsageError(f"{factory} returned {type(made).__name__}{many}", FORM)
    return print_checkup(_examined(factory, made), json=json, table=table, report=report)


def _examined(factory: str, made: tuple[Any, ...]) -> Any:
    import torch

    from chymist.doctor import preflight

    if not isinstance(made[0], torch.nn.Module):
        raise UsageError(f"{factory} returned {type(made[0]).__name__} as the model", FORM)
    if len(made) == 4 and not isinstance(made[3], torch.optim.Optimizer | None):
        raise UsageError(f"{factory} returned {type(made[3]).__name__} as the optimizer", FORM)
    return preflight(*made)

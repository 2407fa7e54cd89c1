"""The arrays that a user's own function returned, or one line that says why they cannot be used."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy import ndarray

from chymist.errors import BadInput
from chymist.keys import Key


def numbers(what: str, value: Any) -> ndarray[Any, Any]:
    """Return an array of real numbers; of a tensor its values, floating ones in float64.

    Raises:
        BadInput: it is no such array; `what` names it.
    """
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        value = (value.double() if value.is_floating_point() else value).numpy()
    try:
        found = np.asarray(value)
    except ValueError:
        found = np.empty(0, dtype=object)
    if found.dtype.kind not in "fiub" or not found.ndim:
        raise BadInput(f"{what} is no array of real numbers but {_kind(value)}", "return an array")
    return found


def two_of(made: Any, wanted: str) -> tuple[Any, Any]:
    """Return the two things that a function returned; `wanted` says which they are.

    Raises:
        BadInput: it returned something else.
    """
    if not isinstance(made, tuple | list) or len(made) != 2:
        size = f" of {len(made)}" if isinstance(made, tuple | list) else ""
        raise BadInput(f"the function returns {_kind(made)}{size}", f"return {wanted}")
    return made[0], made[1]


def sampled(f: Any, sample: Any, rows: int) -> tuple[ndarray[Any, Any], ndarray[Any, Any]]:
    """Draw so many points x (rows, inputs) by sample(rng, rows), and return them and f(x) (rows).

    The points are the same in every call: `rng` is a NumPy generator of a key of its own.

    Raises:
        BadInput: one of the two fails, or returns no array of this shape.
    """
    rng = Key("data", "your function", 0, "points").numpy()
    x = numbers(f"sample(rng, {rows})", _called("sample", sample, rng, rows))
    if x.ndim != 2 or len(x) != rows:
        raise BadInput(f"sample(rng, {rows}) has the shape {x.shape}",
                       f"return ({rows}, inputs): a point in each row")  # fmt: skip
    y = numbers("f(x)", _called("f", f, x))
    if y.shape not in ((rows,), (rows, 1)):
        raise BadInput(f"f(x) has the shape {y.shape} for x of shape {x.shape}",
                       f"return ({rows},): a value for each row")  # fmt: skip
    return x, y.reshape(rows).astype(float)


def _called(name: str, function: Callable[..., Any], *given: Any) -> Any:
    try:
        return function(*given)
    except Exception as error:
        raise BadInput(f"{name} failed: {type(error).__name__}: {error}"[:200],
                       "mend it") from error  # fmt: skip


def _kind(value: Any) -> str:
    return "None" if value is None else f"a {type(value).__name__}"

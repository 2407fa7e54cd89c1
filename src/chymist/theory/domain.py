"""The numbers on which a formula holds; whatever lies outside is refused with its name and value.

Each argument is a number or an array of numbers (also with named dimensions); of an array the first
entry that does not fit is named. NaN fits nowhere.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def positive(**numbers: Any) -> None:
    """Refuse what is not above 0 and finite.

    Raises:
        ValueError: with the name and the value.

    >>> positive(lr=0.1)
    >>> positive(lr=[0.1, -2.0])
    Traceback (most recent call last):
    ValueError: lr must be positive, got -2.0
    """
    for name, value in numbers.items():
        x = np.asarray(value, dtype=float)
        _refuse(name, x, (x > 0) & np.isfinite(x), "be positive")


def at_least(least: float, **numbers: Any) -> None:
    """Refuse what is below `least` or not finite.

    Raises:
        ValueError: with the name and the value.
    """
    for name, value in numbers.items():
        x = np.asarray(value, dtype=float)
        _refuse(name, x, (x >= least) & np.isfinite(x), f"be at least {least:g}")


def between(low: float, high: float, **numbers: Any) -> None:
    """Refuse what is not in [low, high).

    Raises:
        ValueError: with the name and the value.
    """
    for name, value in numbers.items():
        x = np.asarray(value, dtype=float)
        _refuse(name, x, (x >= low) & (x < high), f"lie in [{low:g}, {high:g})")


def whole(least: int, **numbers: Any) -> None:
    """Refuse what is not a whole number of at least `least`.

    Raises:
        ValueError: with the name and the value.
    """
    for name, value in numbers.items():
        x = np.asarray(value, dtype=float)
        fits = (x >= least) & (x == np.floor(x)) & np.isfinite(x)
        _refuse(name, x, fits, f"be a whole number from {least}")


def finite(**numbers: Any) -> None:
    """Refuse NaN and infinity.

    Raises:
        ValueError: with the name and the value.
    """
    for name, value in numbers.items():
        x = np.asarray(value, dtype=float)
        _refuse(name, x, np.isfinite(x), "be finite")


def _refuse(name: str, values: Any, fits: Any, allowed: str) -> None:
    if not np.all(fits):
        found = float(np.ravel(values)[np.argmin(np.ravel(fits))])
        raise ValueError(f"{name.replace('_', ' ')} must {allowed}, got {found}")

"""Gradient flow dw/dt = -grad L(w): what gradient descent becomes as its step size goes to 0."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from chymist.theory import domain

Vector = ndarray[Any, Any]


def gradient_flow(
    gradient: Callable[[Vector], Vector],
    start: Float[ndarray, " p"],
    times: Float[ndarray, " time"],
    *,
    tolerance: float = 1e-8,
) -> Float[ndarray, "time p"]:
    """Path of gradient flow from `start` at time 0, at increasing `times` of at least 0.

    Gradient descent of step size eta is at t = k eta after k steps, to first order in eta. By an
    explicit Runge-Kutta method of order 5 whose step follows an estimate of its error, `tolerance`
    relative and absolute; it takes about sharpness / 3 evaluations of the gradient a unit of time
    or more.

    Raises:
        ValueError: times do not increase or begin below 0, or the tolerance is not positive.
        ArithmeticError: the flow leaves the floating-point range.

    >>> gradient_flow(lambda w: 2 * w, np.ones(1), np.array([0.0, 0.5])).round(6).tolist()
    [[1.0], [0.367879]]
    """
    from scipy.integrate import solve_ivp

    when = np.asarray(times, dtype=float)
    domain.positive(tolerance=tolerance)
    domain.at_least(0, times=when)
    if when.ndim != 1 or not len(when) or (np.diff(when) <= 0).any():
        raise ValueError(f"times must increase, got {np.array2string(when, threshold=6)}")
    first = np.asarray(start, dtype=float)
    if when[-1] == 0:
        return first[None]
    found = solve_ivp(
        lambda _, w: -gradient(w), (0, when[-1]), first, t_eval=when, rtol=tolerance, atol=tolerance
    )
    if not found.success or not np.isfinite(found.y).all():
        raise ArithmeticError(f"gradient flow cannot be followed: {found.message}")
    path: Vector = found.y.T
    return path

"""Bounds on the average and last loss of SGD on convex losses, for any schedule of step sizes.

Losses are convex with (sub)gradients of norm at most G; R is the distance of the start from the
optimum, D the diameter of the domain; eta_1..eta_T the steps. Every bound is on a loss above the
optimum's, in units of the loss. Sources: Zinkevich (ICML 2003) for the average; Shamir and Zhang
(ICML 2013), Orabona (2020), Zamani and Glineur (2023), arXiv:2307.11134, and Defazio et al. (2023),
arXiv:2310.07831, for the last iterate. In float64; cost linear in T, but where stated.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from chymist.theory import domain


def average_on_bounded_domain(
    steps: Float[ndarray, " step"], diameter: float, gradient: float
) -> float:
    """Mean regret of projected SGD on every single path: D^2/(2 T eta_T) + (G^2/2T) sum eta_t.

    Of the sampled losses, (1/T) sum L(x_t, theta_t) - L(x_t, theta*), without any expectation.

    Raises:
        ValueError: a step, D or G is not positive, or the steps increase.

    >>> average_on_bounded_domain(np.full(4, 0.5), 1.0, 1.0)
    0.5
    """
    eta = _schedule(steps, falling=True)
    domain.positive(diameter=diameter, gradient=gradient)
    t = len(eta)
    return float(diameter**2 / (2 * t * eta[-1]) + gradient**2 * eta.sum() / (2 * t))


def average(steps: Float[ndarray, " step"], distance: float, gradient: float) -> float:
    """Expected mean loss on an unbounded domain, R^2/(2 T eta_T) + (G^2/2T) sum eta_t^2/eta_T.

    Raises:
        ValueError: a step, R or G is not positive, or the steps increase.

    >>> average(np.full(4, 0.5), 1.0, 1.0)
    0.5
    """
    eta = _schedule(steps, falling=True)
    domain.positive(distance=distance, gradient=gradient)
    total = distance**2 + gradient**2 * (eta**2).sum()
    return float(total / (2 * len(eta) * eta[-1]))


def weighted_average(steps: Float[ndarray, " step"], distance: float, gradient: float) -> float:
    """Expected mean loss with weights eta_t, (R^2 + G^2 sum eta_t^2)/(2 sum eta_t).

    Raises:
        ValueError: a step, R or G is not positive.

    >>> weighted_average(np.full(4, 0.5), 1.0, 1.0)
    0.5
    """
    eta = _schedule(steps)
    domain.positive(distance=distance, gradient=gradient)
    return float((distance**2 + gradient**2 * (eta**2).sum()) / (2 * eta.sum()))


def last_of_falling(steps: Float[ndarray, " step"], distance: float, gradient: float) -> float:
    """Expected last loss for steps that do not increase.

    R^2/(2 T eta_T) + G^2 eta_T/2 + (G^2/2) sum_(t<T) (eta_t^2/eta_T)/(T - t).

    Raises:
        ValueError: a step, R or G is not positive, or the steps increase.

    >>> last_of_falling(np.ones(2), 1.0, 1.0)
    1.25
    """
    eta = _schedule(steps, falling=True)
    domain.positive(distance=distance, gradient=gradient)
    t = len(eta)
    past = (eta[:-1] ** 2 / np.arange(t - 1, 0, -1)).sum() / eta[-1]
    return float(distance**2 / (2 * t * eta[-1]) + gradient**2 / 2 * (eta[-1] + past))


def last(
    steps: Float[ndarray, " step"],
    distance: float,
    gradient: Float[ndarray, " step"] | float,
) -> float:
    """Expected last loss for any schedule, R^2/(2 eta_1:T) + (1/2) sum_t G_t^2 eta_t^2/eta_t+:T.

    eta_a:b is the sum of steps a to b, t+ = min(t + 1, T); `gradient` is G, or one a step.

    Raises:
        ValueError: a step or R is not positive, or a G is negative.

    >>> last(np.ones(2), 1.0, 1.0)
    1.25
    """
    eta = _schedule(steps)
    domain.positive(distance=distance)
    domain.at_least(0, gradient=gradient)
    return float(distance**2 / (2 * eta.sum()) + (gradient**2 * _cost(eta)).sum() / 2)


def best_base_step(shape: Float[ndarray, " step"], distance: float, gradient: float) -> float:
    """Factor alpha that makes `last` of the steps alpha s_t least.

    R/(G sqrt(s_1:T sum_t s_t^2/s_t+:T)): linear decay attains 2 sqrt(2) R G/sqrt(T) at most.

    Raises:
        ValueError: an entry of the shape, R or G is not positive.

    >>> best_base_step(np.ones(1), 1.0, 2.0)
    0.5
    """
    s = _schedule(shape)
    domain.positive(distance=distance, gradient=gradient)
    return float(distance / (gradient * np.sqrt(s.sum() * _cost(s).sum())))


def linear_decay(steps: int) -> Float[ndarray, " step"]:
    """The shape 1 - t/(T + 1), t = 1..T, optimal for `last` in the limit of many steps.

    Raises:
        ValueError: steps is not a count.

    >>> linear_decay(3).tolist()
    [0.75, 0.5, 0.25]
    """
    domain.whole(1, steps=steps)
    found: ndarray[Any, Any] = 1 - np.arange(1, steps + 1) / (steps + 1)
    return found


def _cost(eta: ndarray[Any, Any]) -> ndarray[Any, Any]:
    after = np.cumsum(eta[::-1])[::-1]
    found: ndarray[Any, Any] = eta**2 / np.append(after[1:], eta[-1])
    return found


def _schedule(steps: Any, *, falling: bool = False) -> ndarray[Any, Any]:
    eta = np.asarray(steps, dtype=float)
    if eta.ndim != 1 or not len(eta):
        raise ValueError(f"the steps must be a list of at least one, got shape {eta.shape}")
    domain.positive(step=eta)
    rises = np.diff(eta) > 1e-12 * eta[:-1]
    if falling and rises.any():
        at = int(rises.argmax())
        raise ValueError(f"the steps must not increase, got {eta[at]} and then {eta[at + 1]}")
    return eta

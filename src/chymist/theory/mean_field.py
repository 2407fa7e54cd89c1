"""Two-layer networks as particles: the mean-field flow, and how fast finite widths approach it.

f(x) = (1/m) sum_j a_j phi(w_j . x); each neuron moves by m times the gradient of
R = (1/2n) sum_i (f(x_i) - y_i)^2, so that its speed does not depend on the width m. Sources: Mei,
Montanari, Nguyen (PNAS 2018), arXiv:1804.06561; Chizat and Bach (NeurIPS 2018), arXiv:1805.09545.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from chymist.theory import domain

Function = Callable[[ndarray[Any, Any]], ndarray[Any, Any]]


class Particles(NamedTuple):
    """Output weights and input weights of all neurons of each group (one network a group)."""

    a: Float[ndarray, "*group m"]
    w: Float[ndarray, "*group m feature"]


def outputs(
    particles: Particles, x: Float[ndarray, "n feature"], phi: Function
) -> Float[ndarray, "*group n"]:
    """Outputs f(x) = (1/m) sum_j a_j phi(w_j . x).

    >>> pair = Particles(np.array([1.0, 3.0]), np.array([[1.0], [1.0]]))
    >>> outputs(pair, np.array([[2.0]]), lambda u: u).tolist()
    [4.0]
    """
    hidden = phi(particles.w @ np.asarray(x, dtype=float).T)
    total: ndarray[Any, Any] = np.einsum("...m,...mn->...n", particles.a, hidden)
    mean: ndarray[Any, Any] = total / particles.a.shape[-1]
    return mean


def flow(
    start: Particles,
    x: Float[ndarray, "n feature"],
    y: Float[ndarray, " n"],
    phi: Function,
    derivative: Function,
    time_step: float,
    steps: int,
) -> Particles:
    """Particles after `steps` Euler steps of the flow, each group by itself.

    da_j/dt = -(1/n) sum_i r_i phi(w_j . x_i), dw_j/dt = -(1/n) sum_i r_i a_j phi'(w_j . x_i) x_i,
    r = f - y. Error of order time_step; compare widths at one time_step. Cost a step: four products
    of size m n features.

    Raises:
        ValueError: time_step is not positive, steps is not a count, or a number is not finite.

    >>> one = Particles(np.ones(1), np.ones((1, 1)))
    >>> moved = flow(one, np.ones((1, 1)), np.zeros(1), lambda u: u, np.ones_like, 0.5, 1)
    >>> moved.a.tolist(), moved.w.tolist()
    ([0.5], [[0.5]])
    """
    domain.positive(time_step=time_step)
    domain.whole(0, steps=steps)
    domain.finite(x=x, y=y, a=start.a, w=start.w)
    points, target = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    a, w = np.asarray(start.a, dtype=float), np.asarray(start.w, dtype=float)
    rate = time_step / len(target)
    for _ in range(steps):
        inside = w @ points.T
        hidden = phi(inside)
        residual = np.einsum("...m,...mn->...n", a, hidden) / a.shape[-1] - target
        pull = residual[..., None, :] * derivative(inside)
        a, w = (
            a - rate * (hidden @ residual[..., None])[..., 0],
            w - rate * a[..., None] * (pull @ points),
        )
    return Particles(a, w)


def fluctuation(
    particles: Particles, x: Float[ndarray, "n feature"], phi: Function
) -> Float[ndarray, "*group"]:
    """Constant m E (f_m - f)^2 of the start, averaged over x.

    The variance of a phi(w . x) over independent neurons, estimated without bias from those given;
    relative standard error at most about sqrt((k - 1)/m), k the kurtosis of a phi(w . x).

    Raises:
        ValueError: fewer than 2 neurons.

    >>> pair = Particles(np.array([1.0, 3.0]), np.array([[1.0], [1.0]]))
    >>> float(fluctuation(pair, np.array([[1.0]]), lambda u: u))
    2.0
    """
    domain.whole(2, neurons=particles.a.shape[-1])
    each = particles.a[..., None] * phi(particles.w @ np.asarray(x, dtype=float).T)
    found: ndarray[Any, Any] = each.var(axis=-2, ddof=1).mean(-1)
    return found


def movement_exponent(scale: float) -> float:
    """Power of the width by which weights move, s - 1, for f = m^-s sum_j a_j phi(w_j . x).

    With a loss that falls by O(1): 0 in the mean-field limit s = 1, -1/2 for the tangent kernel's
    s = 1/2.

    Raises:
        ValueError: s is not in [1/2, 1].

    >>> movement_exponent(0.5), movement_exponent(1.0)
    (-0.5, 0.0)
    """
    if not 0.5 <= scale <= 1:
        raise ValueError(f"the scale must lie in [1/2, 1], got {scale}")
    return scale - 1

"""How neurons turn to few lines at first, and how well few of them can fit.

f(x) = sum_j a_j phi(w_j . (x, 1)), phi(z) = k z^p + ... with k not 0, p its multiplicity; while
weights are small, da/dt = k P(w) and dw/dt = k a grad P(w) with
P(w) = (1/n) sum_i y_i (w . (x_i, 1))^p. For p = 1, P(w) = w . c with c = (1/n) sum_i y_i (x_i, 1),
and the flow is linear. Source: Zhou et al. (NeurIPS 2022), arXiv:2105.11686. In float64.
"""

from __future__ import annotations

from math import comb
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.integrate import solve_ivp
from scipy.optimize import least_squares
from scipy.stats import qmc

from chymist.theory import domain


class Neurons(NamedTuple):
    """Output and input weights of each neuron, the bias being the last input weight."""

    a: Float[ndarray, "*step m"]
    w: Float[ndarray, "*step m feature"]


def drift(x: Float[ndarray, "n feature"], y: Float[ndarray, " n"]) -> Float[ndarray, " feature"]:
    """The vector c = (1/n) sum_i y_i (x_i, 1) to whose line all neurons turn.

    For the loss (1/2n) sum (f - y)^2; of one entry more than x has features.

    Raises:
        ValueError: x or y is not finite, or their numbers of rows differ.

    >>> drift(np.array([[2.0], [4.0]]), np.array([1.0, 1.0])).tolist()
    [3.0, 1.0]
    """
    domain.finite(x=x, y=y)
    points, target = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    if len(points) != len(target):
        raise ValueError(f"x and y must have as many rows, got {len(points)} and {len(target)}")
    found: ndarray[Any, Any] = target @ np.column_stack([points, np.ones(len(points))])
    return found / len(target)


def initial_flow(
    start: Neurons, toward: Float[ndarray, " feature"], slope: float, time: Float[ndarray, " step"]
) -> Neurons:
    """Neurons at given times: along c/|c| they grow as cosh and sinh of k |c| t, across they stay.

    a(t) = a cosh + w_c sinh, w_c(t) = w_c cosh + a sinh, w_c the part of w along c/|c|: an exact
    solution of the linearised flow, which itself holds while the loss is near its start.

    Raises:
        ValueError: c is 0, the slope is not finite, or a time is negative.

    >>> one = Neurons(np.array([1.0]), np.array([[0.0, 0.5]]))
    >>> initial_flow(one, np.array([1.0, 0.0]), 1.0, np.array([np.log(2)])).w.tolist()
    [[[0.75, 0.5]]]
    """
    domain.finite(slope=slope)
    domain.at_least(0, time=time)
    c = np.asarray(toward, dtype=float)
    length = float(np.linalg.norm(c))
    domain.positive(length_of_c=length)
    angle = slope * length * np.asarray(time, dtype=float)[:, None]
    along = start.w @ c / length
    a = start.a * np.cosh(angle) + along * np.sinh(angle)
    grown = along * np.cosh(angle) + start.a * np.sinh(angle)
    return Neurons(a, start.w + (grown - along)[..., None] * c / length)


def potential(
    w: Float[ndarray, "*lane m feature"],
    x: Float[ndarray, "*lane n input"],
    y: Float[ndarray, "*lane n"],
    multiplicity: int,
) -> Float[ndarray, "*lane m"]:
    """P(w) = (1/n) sum_i y_i (w . (x_i, 1))^p, whose extrema on the sphere attract neurons.

    Raises:
        ValueError: something is not finite, or p is no whole number from 1.

    >>> x, y = np.array([[2.0], [4.0]]), np.array([1.0, 1.0])
    >>> potential(np.array([[3.0, 1.0]]), x, y, 2).tolist()
    [109.0]
    """
    projections, y = _projections(w, x, y, multiplicity)
    found: ndarray[Any, Any] = (projections**multiplicity * y[..., None, :]).mean(-1)
    return found


def potential_gradient(
    w: Float[ndarray, "*lane m feature"],
    x: Float[ndarray, "*lane n input"],
    y: Float[ndarray, "*lane n"],
    multiplicity: int,
) -> Float[ndarray, "*lane m feature"]:
    """The gradient of `potential`, (p/n) sum_i y_i (w . (x_i, 1))^(p-1) (x_i, 1); c for p = 1.

    It lies along w where w/|w| is a critical point of P on the sphere.

    Raises:
        ValueError: something is not finite, or p is no whole number from 1.

    >>> x, y = np.array([[2.0], [4.0]]), np.array([1.0, 1.0])
    >>> potential_gradient(np.array([[9.0, 9.0]]), x, y, 1).tolist()  # the drift
    [[3.0, 1.0]]
    """
    projections, y = _projections(w, x, y, multiplicity)
    weights = multiplicity * projections ** (multiplicity - 1) * y[..., None, :]
    found: ndarray[Any, Any] = weights @ _with_one(x) / y.shape[-1]
    return found


def orientation_flow(
    start: Neurons,
    x: Float[ndarray, "*lane n input"],
    y: Float[ndarray, "*lane n"],
    multiplicity: int,
    clock: Float[ndarray, " step"],
) -> Neurons:
    """Neurons theta_j = (a_j, w_j) / |theta_j| along the initial flow, each by its own clock.

    The clock s of a neuron runs as ds = |d theta_j / dt| dt / |w_j|: all turn about as fast,
    whatever their size; orbits are those of the flow. For k > 0 (with k < 0 change the sign of a).
    `start` has shapes (*lane, m) and (*lane, m, feature); steps come last but one in front of the
    features of w, last of a: (*lane, m, step), (*lane, m, step, feature). Error: 1e-6, by an
    adaptive integrator of eighth order.

    Raises:
        ValueError: something is not finite, p is no whole number from 1, the clock does not rise
            from 0 on, or a neuron has no input weights.

    For p = 1 all end on the line of c, here (1, 1):

    >>> x, y = np.array([[1.0]]), np.array([1.0])
    >>> one = Neurons(np.array([0.1]), np.array([[0.0, 1.0]]))
    >>> end = orientation_flow(one, x, y, 1, np.array([0.0, 30.0]))
    >>> np.allclose(end.w[0, -1], [0.5, 0.5]), np.allclose(end.a[0, -1], 0.5**0.5)
    (True, True)
    """
    domain.whole(1, multiplicity=multiplicity)
    domain.finite(x=x, y=y, a=start.a, w=start.w, clock=clock)
    clock = np.asarray(clock, dtype=float)
    if len(clock) < 2 or clock[0] < 0 or not (np.diff(clock) > 0).all():
        raise ValueError(f"the clock must rise from 0 on, got {clock.tolist()[:4]}")
    w0 = np.asarray(start.w, dtype=float)
    sizes = np.linalg.norm(w0, axis=-1, keepdims=True)
    domain.positive(size_of_input_weights=sizes)
    points, target = np.asarray(x, dtype=float), np.asarray(y, dtype=float)

    # In r = a / |w| and u = w / |w| a direction stays known however small the weights become.
    def velocity(_: float, state: ndarray[Any, Any]) -> ndarray[Any, Any]:
        here = state.reshape(*w0.shape[:-1], -1)
        r, u = here[..., :1], here[..., 1:]
        u = u / np.linalg.norm(u, axis=-1, keepdims=True)
        rate = potential(u, points, target, multiplicity)[..., None]
        pull = np.concatenate(
            [rate, r * potential_gradient(u, points, target, multiplicity)], axis=-1
        )
        size = np.linalg.norm(pull, axis=-1, keepdims=True)
        along = np.divide(pull, size, out=np.zeros_like(pull), where=size > 0)
        growth = (along[..., 1:] * u).sum(-1, keepdims=True)
        moved = np.concatenate([along[..., :1] - r * growth, along[..., 1:] - u * growth], axis=-1)
        return moved.ravel()

    begin = np.concatenate([np.asarray(start.a, dtype=float)[..., None], w0], axis=-1) / sizes
    path = solve_ivp(
        velocity, (0.0, clock[-1]), begin.ravel(), "DOP853", clock, rtol=1e-6, atol=1e-8
    ).y
    path = np.moveaxis(path.reshape(*begin.shape, len(clock)), -1, -2)
    r, u = path[..., 0], path[..., 1:]
    length = np.sqrt(1 + r**2)
    return Neurons(r / length, u / np.linalg.norm(u, axis=-1, keepdims=True) / length[..., None])


def orientations(
    x: Float[ndarray, "n 1"], y: Float[ndarray, " n"], multiplicity: int
) -> Float[ndarray, " line"]:
    """Angles in [0, pi) of the lines (cos, sin) . (x, 1) to which neurons of one input turn.

    They are the critical points of P on the circle: where |P| is largest, neurons grow; where |P|
    is least and not 0, the input weights of those with a P < 0 fade. P is a homogeneous polynomial
    of degree p in two variables, so its derivative along the circle is another, with at most p
    zeros on half of it: at most p lines, 2 p directions. In t = tan(angle) they are roots of a
    polynomial of degree p, found as eigenvalues.

    Raises:
        ValueError: x is not one input, something is not finite, or p is no whole number from 1.

    >>> x, y = np.array([[1.0]]), np.array([1.0])
    >>> np.degrees(orientations(x, y, 1)).round(6).tolist()  # that of c = (1, 1)
    [45.0]
    """
    domain.whole(1, multiplicity=multiplicity)
    domain.finite(x=x, y=y)
    points, target = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    if points.ndim != 2 or points.shape[1] != 1:
        raise ValueError(f"lines are for one input, got x of shape {points.shape}")
    p, z = multiplicity, points[:, 0]
    # P(c, s) = (1/n) sum_i y_i (c z_i + s)^p; along the circle P' = c dP/ds - s dP/dc; t = s / c.
    powers = np.stack([comb(p - 1, j) * z**j for j in range(p)])
    slope = np.polysub(powers @ target, np.polymul([1.0, 0.0], (powers * z) @ target))
    roots = np.roots(slope)
    angles = np.arctan(roots[abs(roots.imag) < 1e-9 * (1 + abs(roots))].real) % np.pi
    if len(roots) < p:
        # A leading coefficient of 0 is a root at infinity.
        angles = np.append(angles, np.pi / 2)
    found: ndarray[Any, Any] = np.sort(angles)
    return found


def best_relu_loss(
    x: Float[ndarray, "n 1"], y: Float[ndarray, " n"], neurons: int, starts: int = 64
) -> float:
    """The least of half the mean squared error of sum_j a_j relu(w_j . (x, 1)), one input.

    Where a network condensed to so many directions can rest. Output weights are solved for; of the
    directions' angles the best of many local searches from low-discrepancy starts is taken: an
    upper bound, which more starts can only lower.

    Raises:
        ValueError: x is not one input, something is not finite, or there are no neurons or starts.

    >>> x = np.linspace(-1, 1, 9)[:, None]
    >>> round(best_relu_loss(x, 3 * np.maximum(x[:, 0] - 0.2, 0), 1), 12)
    0.0
    """
    domain.whole(1, neurons=neurons, starts=starts)
    domain.finite(x=x, y=y)
    points, target = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    if points.ndim != 2 or points.shape[1] != 1:
        raise ValueError(f"angles are for one input, got x of shape {points.shape}")

    def residual(angles: ndarray[Any, Any]) -> ndarray[Any, Any]:
        features = np.maximum(points * np.cos(angles) + np.sin(angles), 0)
        weights = np.linalg.lstsq(features, target, rcond=1e-10)[0]
        left: ndarray[Any, Any] = features @ weights - target
        return left

    sobol = qmc.Sobol(neurons, rng=np.random.default_rng(0))
    found = [
        least_squares(residual, angles).cost / len(target)
        for angles in 2 * np.pi * sobol.random(starts)
    ]
    return float(min(found))


def _projections(w: Any, x: Any, y: Any, multiplicity: int) -> tuple[Any, Any]:
    domain.whole(1, multiplicity=multiplicity)
    domain.finite(w=w, x=x, y=y)
    return np.asarray(w, float) @ np.swapaxes(_with_one(x), -1, -2), np.asarray(y, dtype=float)


def _with_one(x: Any) -> Any:
    points = np.asarray(x, dtype=float)
    return np.concatenate([points, np.ones((*points.shape[:-1], 1))], axis=-1)

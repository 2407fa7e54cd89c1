"""Central flow: the time average of gradient descent at the edge of stability.

Beyond sharpness 2 / lr gradient descent oscillates along the critical eigenvectors; its average w
drifts as dw/dt = -lr [grad L + (1/2) grad <H, Sigma>], t in steps, where the covariance Sigma of
the oscillation is the one that keeps the critical eigenvalues at most 2 / lr. Source: Cohen,
Damian, Talwalkar, Kolter, Lee (ICLR 2025), arXiv:2410.24206. In float64, for some hundred
parameters.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from chymist.theory import domain

Vector = ndarray[Any, Any]
TOP = 6
"""Eigenvalues that are found first; more where all of these are critical."""
SMALL = 64
"""Parameters up to which all of a Hessian is diagonalised: a search would cost no less."""


class CentralPath(NamedTuple):
    """The average iterate and the oscillation about it, before the first step and after each.

    The average loss of gradient descent is L(w) + tr(Sigma) / lr.
    """

    w: Float[ndarray, "step p"]
    variance: Float[ndarray, " step"]
    sharpness: Float[ndarray, " step"]


def central_flow(
    gradient: Callable[[Vector], Vector],
    hessian: Callable[[Vector], Vector],
    start: Float[ndarray, " p"],
    lr: float,
    steps: int,
    *,
    substeps: int = 4,
    near: float = 0.975,
    difference: float = 1e-3,
) -> CentralPath:
    """Average path of gradient descent of step size lr from `start`, over `steps` of its steps.

    Eigenvalues above `near` 2 / lr count as critical. Each substep dt solves for X >= 0 on them, so
    that 2 / lr - lambda does not become negative to first order in dt. Third derivatives along them
    come from gradients at a distance `difference`. Euler in t: error of order 1/substeps. Cost a
    substep: a Hessian and its largest eigenvalues, 1 + 2 k^2 gradients, k the critical eigenvalues.

    Raises:
        ValueError: lr is not positive, steps or substeps is not a count, or near not in (0, 1).

    >>> path = central_flow(lambda w: w, lambda w: np.eye(1), np.ones(1), 0.5, 1, substeps=1)
    >>> path.w.ravel().tolist(), path.variance.tolist()
    ([1.0, 0.5], [0.0, 0.0])
    """
    domain.positive(lr=lr, difference=difference, near=near)
    domain.between(0, 1, near=near)
    domain.whole(0, steps=steps)
    domain.whole(1, substeps=substeps)
    w = np.asarray(start, dtype=float)
    dt = 1 / substeps
    values, vectors = _top(hessian(w), near * 2 / lr, np.ones(len(w)))
    path, variances, sharpnesses = [w], [0.0], [float(values[-1])]
    for _ in range(steps):
        spread = 0.0
        for _ in range(substeps):
            slope = gradient(w)
            critical = values > near * 2 / lr
            push = np.zeros_like(w)
            if critical.any():
                u = vectors[:, critical]
                turns = _third(gradient, w, slope, u, difference)
                room = np.diag(2 / lr - values[critical]) + dt * lr * turns @ slope
                effect = dt * lr / 2 * np.einsum("ijp,klp->ijkl", turns, turns)
                covariance = complementarity(room, effect)
                push = np.einsum("ij,ijp->p", covariance, turns) / 2
                spread += float(np.trace(covariance)) * dt
            w = w - lr * dt * (slope + push)
            values, vectors = _top(hessian(w), near * 2 / lr, vectors.sum(1))
        path.append(w)
        variances.append(spread)
        sharpnesses.append(float(values[-1]))
    return CentralPath(np.stack(path), np.array(variances), np.array(sharpnesses))


def complementarity(
    room: Float[ndarray, "k k"], effect: Float[ndarray, "k k k k"], accuracy: float = 1e-10
) -> Float[ndarray, "k k"]:
    """X with X >= 0, A + B[X] >= 0 and <X, A + B[X]> = 0, as matrices; A `room`, B `effect`.

    The least point of <X, B[X]>/2 + <A, X> over positive semidefinite X. Where A + B[X] = 0 has a
    solution among these that is it; else by accelerated projected gradient; for one eigenvalue
    max(0, -A/B). Where B is singular and A negative along its kernel
    there is none: the result then stops at 20 000 iterations.

    Raises:
        ValueError: shapes do not fit, or an entry is not finite.

    >>> complementarity(-np.eye(1), 2 * np.ones((1, 1, 1, 1))).tolist()
    [[0.5]]
    """
    a, b = np.asarray(room, dtype=float), np.asarray(effect, dtype=float)
    domain.finite(room=a, effect=b)
    k = len(a)
    if a.shape != (k, k) or b.shape != (k, k, k, k):
        raise ValueError(f"A and B must be (k, k) and (k, k, k, k), got {a.shape} and {b.shape}")
    if k == 1:
        sole = a.item() / b.item() if b.item() else 0.0
        return np.array([[max(0.0, -sole)]])
    flat, scale = b.reshape(k * k, k * k), max(abs(a).max(), 1e-300)
    free: np.ndarray = -np.linalg.lstsq(flat, a.ravel())[0].reshape(k, k)
    free = (free + free.T) / 2
    left = abs(a.ravel() + flat @ free.ravel()).max()
    if left <= accuracy * scale and np.linalg.eigvalsh(free)[0] >= 0:
        return free
    largest = float(np.linalg.eigvalsh(flat)[-1])
    x = moved = np.zeros((k, k))
    inertia = 1.0
    for _ in range(20_000 if largest > 0 else 0):
        down = a + (flat @ moved.ravel()).reshape(k, k)
        after = _positive_part(moved - down / largest)
        following = (1 + np.sqrt(1 + 4 * inertia**2)) / 2
        # Momentum that points uphill is dropped, which makes the end approach exponential.
        uphill = ((moved - after) * (after - x)).sum() > 0
        moved = after if uphill else after + (inertia - 1) / following * (after - x)
        inertia = 1.0 if uphill else following
        change = abs(after - x).max()
        x = after
        if change * largest <= accuracy * scale:
            break
    return x


def _positive_part(matrix: Vector) -> Vector:
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    found: Vector = (vectors * np.maximum(values, 0)) @ vectors.T
    return found


def _top(matrix: Vector, above: float, near: Vector) -> tuple[Vector, Vector]:
    """Eigenvalues, increasing, and eigenvectors: all those above a bound, and the largest.

    Lanczos' method starts from `near`, best a sum of the eigenvectors of a matrix close by.
    """
    from scipy.sparse.linalg import ArpackNoConvergence, eigsh

    count = TOP
    while count < len(matrix) / 2 and len(matrix) > SMALL:
        try:
            values, vectors = eigsh(matrix, count, which="LA", v0=near, tol=1e-12)
        except ArpackNoConvergence:
            break
        if values[0] <= above:
            return values, vectors
        count *= 2
    return np.linalg.eigh(matrix)


def _third(
    gradient: Callable[[Vector], Vector], w: Vector, slope: Vector, u: Vector, difference: float
) -> Vector:
    """Gradients of u_i . H u_j, of shape (k, k, p), by central differences along u_i and u_j.

    `slope` is the gradient at w.
    """
    steps = difference * u.T
    found = np.empty((len(steps), len(steps), len(w)))
    for i, one in enumerate(steps):
        found[i, i] = gradient(w + one) - 2 * slope + gradient(w - one)
        for j, other in enumerate(steps[:i]):
            along, across = one + other, one - other
            outer = gradient(w + along) + gradient(w - along)
            found[i, j] = found[j, i] = (
                outer - gradient(w + across) - gradient(w - across)
            ) / 4  # fmt: skip
    return found / difference**2

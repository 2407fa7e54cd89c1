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
    difference: float = 1e-4,
) -> CentralPath:
    """Average path of gradient descent of step size lr from `start`, over `steps` of its steps.

    Eigenvalues above `near` 2 / lr count as critical. Each substep dt solves for X >= 0 on them, so
    that 2 / lr - lambda does not become negative to first order in dt. Third derivatives along them
    come from Hessians at a distance `difference`. Euler in t: error of order 1/substeps. Cost a
    substep: an eigendecomposition of size p and 1 + 2 k Hessians, k the critical eigenvalues.

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
    path, variances, sharpnesses = [w], [0.0], [float(np.linalg.eigvalsh(hessian(w))[-1])]
    for _ in range(steps):
        spread = 0.0
        for _ in range(substeps):
            slope = gradient(w)
            values, vectors = np.linalg.eigh(hessian(w))
            critical = values > near * 2 / lr
            push = np.zeros_like(w)
            if critical.any():
                u = vectors[:, critical]
                turns = _third(hessian, w, u, difference)
                room = np.diag(2 / lr - values[critical]) + dt * lr * turns @ slope
                effect = dt * lr / 2 * np.einsum("ijp,klp->ijkl", turns, turns)
                covariance = complementarity(room, effect)
                push = np.einsum("ij,ijp->p", covariance, turns) / 2
                spread += float(np.trace(covariance)) * dt
            w = w - lr * dt * (slope + push)
        path.append(w)
        variances.append(spread)
        sharpnesses.append(float(np.linalg.eigvalsh(hessian(w))[-1]))
    return CentralPath(np.stack(path), np.array(variances), np.array(sharpnesses))


def complementarity(
    room: Float[ndarray, "k k"], effect: Float[ndarray, "k k k k"], accuracy: float = 1e-10
) -> Float[ndarray, "k k"]:
    """X with X >= 0, A + B[X] >= 0 and <X, A + B[X]> = 0, as matrices; A `room`, B `effect`.

    The least point of <X, B[X]>/2 + <A, X> over positive semidefinite X, by accelerated projected
    gradient; for one eigenvalue max(0, -A/B). Where B is singular and A negative along its kernel
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
    largest = float(np.linalg.eigvalsh(b.reshape(k * k, k * k))[-1])
    x = moved = np.zeros((k, k))
    inertia, scale = 1.0, max(abs(a).max(), 1e-300)
    for _ in range(20_000 if largest > 0 else 0):
        down = a + np.einsum("ijkl,kl->ij", b, moved)
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


def _third(hessian: Callable[[Vector], Vector], w: Vector, u: Vector, difference: float) -> Vector:
    """Gradients of u_i . H u_j, of shape (k, k, p), by central differences along u_i."""
    along = [
        (hessian(w + difference * each) - hessian(w - difference * each)) / (2 * difference)
        for each in u.T
    ]
    turns = np.einsum("ipq,qj->ijp", np.stack(along), u)
    found: Vector = (turns + turns.swapaxes(0, 1)) / 2
    return found

"""Fits of ReLU neurons to a function on the sphere by exact population losses: no sample, no noise.

x uniform on S^(d-1), neurons relu(w . x); errors are E (f - g)^2/E f^2. Sources: Cho and Saul
(NeurIPS 2009) for the inner products, `theory.subspheres` for the targets.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from chymist.theory import domain, subspheres


class Combinations(NamedTuple):
    """Of the best combination of the first m features: its error, and the sum of a_j^2."""

    error: Float[ndarray, "size target"]
    squares: Float[ndarray, "size target"]


class Neurons(NamedTuple):
    """Fitted neurons w_j of signs s_j: their error, the sum of |w_j|, and the evaluations used."""

    w: Float[ndarray, "m feature"]
    error: float
    path_norm: float
    evaluations: int


def least_squares(
    gram: Float[ndarray, "m m"],
    inner: Float[ndarray, "m target"],
    square: float | Float[ndarray, " target"],
    sizes: Sequence[int],
    jitter: float = 1e-14,
) -> Combinations:
    """Best linear combinations of the first m features for several targets, for each m of `sizes`.

    `gram` holds the features' inner products, `inner` those with the targets, `square` each
    target's own. By Cholesky with `jitter` times the mean of the diagonal added to it; the error is
    that of the coefficients found. Below about 1e-10 it is rounding. Cost: a third of m^3 for
    each size.

    Raises:
        ValueError: a size is no count or more than there are features.
        numpy.linalg.LinAlgError: the Gram matrix is not positive within the jitter.

    >>> least_squares(np.eye(2), np.array([[0.6], [0.8]]), 1.0, [1, 2]).error.round(6).tolist()
    [[0.64], [0.0]]
    """
    from scipy.linalg import cho_factor, cho_solve

    domain.whole(1, sizes=sizes)
    if max(sizes) > len(gram):
        raise ValueError(f"sizes must be at most {len(gram)}, got {max(sizes)}")
    shift = jitter * float(np.mean(np.diag(gram)))
    errors, squares = [], []
    for m in sizes:
        own, right = gram[:m, :m], inner[:m]
        shifted = own.copy()
        shifted.flat[:: m + 1] += shift
        a = cho_solve(cho_factor(shifted, overwrite_a=True, check_finite=False), right)
        errors.append((square - (a * (2 * right - own @ a)).sum(0)) / square)
        squares.append((a**2).sum(0))
    return Combinations(np.array(errors), np.array(squares))


def subsphere_error(
    w: Float[ndarray, "m feature"], signs: Float[ndarray, " m"], k: int
) -> tuple[float, Float[ndarray, "m feature"]]:
    """Error of sum_j s_j relu(w_j . x) for the mean over the first k coordinates, and its gradient.

    Raises:
        ValueError: not 2 <= k <= features, or a w_j is 0 or not finite.

    >>> error, slope = subsphere_error(np.array([[0.3, 0.4], [-0.3, -0.4]]), np.ones(2), 2)
    >>> round(error, 4), slope.shape
    (0.2337, (2, 2))
    """
    d = w.shape[1]
    length = np.sqrt((w * w).sum(1))
    domain.positive(length_of_w=length)
    u = w / length[:, None]
    cosine = np.clip(u @ u.T, -1, 1)
    # Rounding of the angle of a neuron with itself would be 1e-8.
    np.fill_diagonal(cosine, 1)
    sine = np.sqrt((1 - cosine) * (1 + cosine))
    angle = np.pi - np.arccos(cosine)
    scaled = signs * length
    share = np.minimum((u[:, :k] ** 2).sum(1), 1)
    value = subspheres.inner_product(share, k, d)
    total = subspheres.square(k, d)
    quadratic = scaled @ (sine + angle * cosine) @ scaled / (2 * np.pi * d)
    error = (quadratic - 2 * scaled @ value + total) / total
    slope = (angle * signs) @ w + (sine @ scaled)[:, None] * u
    slope /= np.pi * d
    inside = np.where(np.arange(d) < k, u, 0) - share[:, None] * u
    turning = subspheres.inner_product_slope(share, k, d)
    slope -= 2 * (value[:, None] * u + 2 * turning[:, None] * inside)
    return float(error), signs[:, None] * slope / total


def fit_subsphere(
    start: Float[ndarray, "m feature"],
    signs: Float[ndarray, " m"],
    k: int,
    *,
    evaluations: int = 20_000,
    tolerance: float = 1e-12,
) -> Neurons:
    """Train all w_j of sum_j s_j relu(w_j . x) on the exact population loss by L-BFGS.

    The signs stay. Since relu(w . x) is homogeneous, |w_j| stands for the outer weight as well.
    Stops where an
    iteration lowers the error by less than `tolerance`. Finds a local minimum.

    Raises:
        ValueError: see `subsphere_error`.

    >>> start = np.array([[0.5, 0.1], [-0.4, 0.2]])
    >>> fitted = fit_subsphere(start, np.ones(2), 2)
    >>> abs(fitted.error - subspheres.polygon_error(2)) < 1e-9  # two opposite neurons
    True
    """
    from scipy.optimize import minimize

    def loss(flat: ndarray[Any, Any]) -> tuple[float, ndarray[Any, Any]]:
        error, slope = subsphere_error(flat.reshape(start.shape), signs, k)
        return error, slope.ravel()

    done = minimize(
        loss, start.ravel(), jac=True, method="L-BFGS-B",
        options={"maxiter": evaluations, "maxfun": evaluations, "ftol": tolerance, "gtol": 1e-10,
                 "maxcor": 30},
    )  # fmt: skip
    w = done.x.reshape(start.shape)
    return Neurons(w, float(done.fun), float(np.linalg.norm(w, axis=1).sum()), int(done.nfev))

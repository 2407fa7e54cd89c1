"""Training under a fixed kernel: the outputs on training and other points after each step.

Gradient descent on the loss (1/2) sum_i (f(x_i) - y_i)^2 with step size lr; the time of gradient
flow is lr times the step. For half the MEAN square replace lr by lr / n. Sources: Lee et al.
(2019), arXiv:1902.06720; Jacot et al. (2018), arXiv:1806.07572. In float64.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from chymist.theory import domain


def learnt_share(
    eigenvalue: Float[ndarray, " eigen"], lr: float, step: Float[ndarray, " step"]
) -> Float[ndarray, "step eigen"]:
    """Share of each eigenvector learnt after each step, 1 - (1 - lr lambda)^step. Unit 1.

    A step may be infinite: 1 for what is learnt at all (0 < lr lambda < 2), 0 where lambda is 0.
    Accurate for small lr lambda too.

    Raises:
        ValueError: lr is not positive, or a step is neither a whole number nor infinite.

    >>> learnt_share(np.array([1.0, 0.0]), 0.5, np.array([0, 1, 2, np.inf])).tolist()
    [[0.0, 0.0], [0.5, 0.0], [0.75, 0.0], [1.0, 0.0]]
    """
    domain.positive(lr=lr)
    t = np.asarray(step, dtype=float)
    domain.whole(0, step=np.where(t == np.inf, 0, t))
    part = lr * np.asarray(eigenvalue, dtype=float)
    t = t[..., None]
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        rate = np.log1p(-np.where(part > 1, 2 - part, part))  # log |1 - part|
        # 0 for no step and for no eigenvalue, also where the other factor is infinite.
        share = -np.expm1(np.where((t == 0) | (rate == 0), 0.0, t * rate)) + 0.0
        # Beyond lr lambda = 1 the sign alternates.
        found: ndarray[Any, Any] = np.where((part > 1) & (t % 2 == 1), 2 - share, share)
    return found


def predict(
    kernel: Float[ndarray, "n n"],
    target: Float[ndarray, " n"],
    lr: float,
    step: Float[ndarray, " step"],
    *,
    start: Float[ndarray, " n"] | None = None,
    cross: Float[ndarray, "m n"] | None = None,
    cross_start: Float[ndarray, " m"] | None = None,
) -> Float[ndarray, "step point"]:
    """Outputs at given steps: on the training points, or on others by their kernel `cross`.

    f_t(x) = f_0(x) + Theta(x, X) Theta^-1 (1 - (1 - lr Theta)^t)(y - f_0(X)); training points have
    cross = Theta. `start` and `cross_start` are f_0 there, 0 if none. Infinite steps give the
    kernel's interpolant. Eigenvalues below 1e-12 of the largest count as 0 and are not learnt.
    Cost: one eigendecomposition of size n.

    Raises:
        ValueError: the kernel is not symmetric or not finite, shapes do not fit, lr is not
            positive, or a step is neither a whole number nor infinite.

    >>> predict(np.diag([1.0, 2.0]), np.array([1.0, 1.0]), 0.5, np.array([1])).tolist()
    [[0.5, 1.0]]
    """
    theta = np.asarray(kernel, dtype=float)
    y = np.asarray(target, dtype=float)
    domain.finite(kernel=theta, target=y)
    if theta.shape != (len(y), len(y)):
        raise ValueError(f"a kernel of {len(y)} targets must be square, got {theta.shape}")
    defect = abs(theta - theta.T).max()
    if defect > 1e-8 * abs(theta).max():
        raise ValueError(f"the kernel must be symmetric, got a defect of {defect}")
    values, vectors = np.linalg.eigh((theta + theta.T) / 2)
    values = np.where(values > 1e-12 * values[-1], values, 0.0)
    error = y - (0 if start is None else np.asarray(start, dtype=float))
    share = learnt_share(values, lr, step) * (vectors.T @ error)
    if cross is None:
        begin: Any = 0 if start is None else np.asarray(start, dtype=float)
        found: ndarray[Any, Any] = begin + share @ vectors.T
        return found
    reach = np.asarray(cross, dtype=float) @ vectors
    weights = np.divide(share, values, out=np.zeros_like(share), where=values > 0)
    begin = 0 if cross_start is None else np.asarray(cross_start, dtype=float)
    found = begin + weights @ reach.T
    return found

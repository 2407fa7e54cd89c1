"""The largest curvature that full-batch methods stand: thresholds, and motion on a quadratic.

Along an eigenvector of the Hessian with eigenvalue lambda each method is a linear recursion; it is
stable while lambda is below the threshold. Updates are those of PyTorch: the momentum buffer is
m <- beta m + g, not an average. Sources: Polyak (1964); Cohen et al. (ICLR 2021), arXiv:2103.00065,
for gradient descent and momentum; Cohen et al. (2022), arXiv:2207.14484, for the preconditioned
methods. All in float64; each threshold has the unit 1/step size of the curvature it bounds.
"""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
import xarray as xr
from jaxtyping import Float
from numpy import ndarray

from chymist.theory import domain

Number = TypeVar("Number", float, ndarray[Any, Any], xr.DataArray)
"""A number, an array, or an array with named dimensions, which the result then has too."""


def gradient_descent(lr: Number) -> Number:
    """Largest stable eigenvalue of the Hessian, 2 / lr, under w <- w - lr g.

    RMSProp without momentum has the same, for the largest eigenvalue of P^-1 H with
    P = diag(sqrt(v_hat) + eps).

    Raises:
        ValueError: lr is not positive.

    >>> gradient_descent(0.5)
    4.0
    """
    domain.positive(lr=lr)
    return 2 / lr


def heavy_ball(lr: Number, momentum: float) -> Number:
    """Largest stable eigenvalue, (2 + 2 beta)/lr, under m <- beta m + g, w <- w - lr m.

    Raises:
        ValueError: lr is not positive, or momentum is not in [0, 1).

    >>> round(heavy_ball(0.1, 0.9), 9)
    38.0
    """
    domain.positive(lr=lr)
    domain.between(0, 1, momentum=momentum)
    return (2 + 2 * momentum) / lr


def nesterov(lr: Number, momentum: float) -> Number:
    """Largest stable eigenvalue, (2 + 2 beta)/(lr (1 + 2 beta)), under w <- w - lr (g + beta m).

    Here m <- beta m + g comes first. The threshold is below that of gradient descent.

    Raises:
        ValueError: lr is not positive, or momentum is not in [0, 1).

    >>> nesterov(1.0, 0.5)
    1.5
    """
    domain.positive(lr=lr)
    domain.between(0, 1, momentum=momentum)
    return (2 + 2 * momentum) / (lr * (1 + 2 * momentum))


def adam(lr: Number, beta1: float = 0.9) -> Number:
    """Largest stable eigenvalue of P^-1 H under Adam, (2 + 2 beta1)/((1 - beta1) lr).

    P = (1 - beta1^t) diag(sqrt(v_hat) + eps), with v_hat of the same step, held fixed. For
    beta1 = 0.9 it is 38 / lr.

    Raises:
        ValueError: lr is not positive, or beta1 is not in [0, 1).

    >>> round(adam(1.0), 9)
    38.0
    """
    domain.positive(lr=lr)
    domain.between(0, 1, beta1=beta1)
    return (2 + 2 * beta1) / ((1 - beta1) * lr)


def growth(
    eigenvalue: Float[ndarray, "*shape"] | float,
    lr: float,
    momentum: float = 0.0,
    *,
    lookahead: bool = False,
) -> Float[ndarray, "*shape"]:
    """Factor a step by which motion along an eigenvector grows in the long run. Unit 1.

    The larger modulus of the roots of z^2 - (1 + beta - lr lambda) z + beta, or, with `lookahead`
    (Nesterov), of z^2 - (1 + beta)(1 - lr lambda) z + beta (1 - lr lambda). Above 1 beyond the
    threshold; exact for a quadratic.

    Raises:
        ValueError: lr is not positive, or momentum is not in [0, 1).

    >>> growth(np.array([1.0, 4.0, 6.0]), 0.5)
    array([0.5, 1. , 2. ])
    """
    domain.positive(lr=lr)
    domain.between(0, 1, momentum=momentum)
    left = 1 - lr * np.asarray(eigenvalue, dtype=float)
    total = (1 + momentum) * left if lookahead else momentum + left
    product = momentum * left if lookahead else momentum * np.ones_like(left)
    root = np.sqrt((total**2 / 4 - product).astype(complex))
    largest: ndarray[Any, Any] = np.maximum(abs(total / 2 + root), abs(total / 2 - root))
    return largest


def quadratic_path(
    eigenvalue: Float[ndarray, "*shape"] | float,
    lr: float,
    steps: int,
    momentum: float = 0.0,
    *,
    lookahead: bool = False,
) -> Float[ndarray, " step *shape"]:
    """Iterates w_0 = 1, w_1, ..., w_steps on lambda w^2 / 2, the buffer m starting at 0.

    Gradient descent, heavy ball or, with `lookahead`, Nesterov's method. Exact to rounding; the
    cost is a few operations a step.

    Raises:
        ValueError: lr is not positive, momentum is not in [0, 1), or steps is not a count.

    >>> quadratic_path(1.0, 0.5, 2).tolist()
    [1.0, 0.5, 0.25]
    """
    domain.positive(lr=lr)
    domain.between(0, 1, momentum=momentum)
    domain.whole(0, steps=steps)
    curvature = np.asarray(eigenvalue, dtype=float)
    w, buffer = np.ones_like(curvature), np.zeros_like(curvature)
    path = [w]
    for _ in range(steps):
        gradient = curvature * w
        buffer = momentum * buffer + gradient
        w = w - lr * (gradient + momentum * buffer if lookahead else buffer)
        path.append(w)
    return np.stack(path)


def product_flow_sharpness(x: Number, y: Number) -> Number:
    """Sharpness of the minimum of (1 - x^2 y^2)^2 / 4 at which gradient flow from (x, y) ends.

    The flow conserves c = x^2 - y^2 and ends where x y = 1 or -1, with largest eigenvalue
    2 (x^2 + y^2) = 2 sqrt(c^2 + 4). Gradient descent with 2 / lr below it ends elsewhere, at a
    flatter minimum. Neither x nor y may be 0, from where the flow ends at a saddle.

    Raises:
        ValueError: x or y is 0 or not finite.

    >>> product_flow_sharpness(1.0, 1.0)
    4.0
    """
    domain.positive(**{"the product |x y|": np.abs(np.asarray(x * y, dtype=float))})
    found: Number = 2 * ((x**2 - y**2) ** 2 + 4) ** 0.5
    return found

"""When to stop: the risk along gradient descent under a fixed kernel, and rules without the truth.

y = f* + noise of variance sigma^2 on n points; under K each eigenvector v_i is left by
s_i(t) = (1 - lr lambda_i / n)^t of itself (loss: half the mean square), so that training is a
spectral filter. Sources: Yao, Rosasco, Caponnetto (2007); Raskutti, Wainwright, Yu (JMLR 2014),
arXiv:1306.3574; Stein (1981); Golub, Heath, Wahba (1979). Sums over points, not means. In float64.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from chymist.theory import domain


class Risk(NamedTuple):
    """Expected |f_t - f*|^2 and its two parts, each at every step."""

    total: Float[ndarray, " step"]
    bias: Float[ndarray, " step"]
    variance: Float[ndarray, " step"]


def left(
    eigenvalue: Float[ndarray, " eigen"], lr: float, step: Float[ndarray, " step"], samples: int
) -> Float[ndarray, "step eigen"]:
    """What is left of each eigenvector, s_i(t) = (1 - lr lambda_i / n)^t. Unit 1.

    Raises:
        ValueError: lr is not positive, samples is not a count, or a step is not a whole number.

    >>> left(np.array([2.0]), 1.0, np.array([0, 1, 2]), 4).ravel().tolist()
    [1.0, 0.5, 0.25]
    """
    domain.positive(lr=lr)
    domain.whole(1, samples=samples)
    domain.whole(0, step=step)
    base = 1 - lr * np.asarray(eigenvalue, dtype=float) / samples
    found: ndarray[Any, Any] = base ** np.asarray(step)[..., None]
    return found


def expected_risk(
    remaining: Float[ndarray, "step eigen"], signal: Float[ndarray, " eigen"], noise: float
) -> Risk:
    """R(t) = sum_i s_i^2 (v_i . f*)^2 + (1 - s_i)^2 sigma^2, bias and variance.

    `signal` holds v_i . f* (of f* - f_0 if the start is not 0), `noise` is sigma.

    Raises:
        ValueError: the noise is negative.

    >>> expected_risk(np.array([[1.0], [0.5]]), np.array([2.0]), 1.0).total.tolist()
    [4.0, 1.25]
    """
    domain.at_least(0, noise=noise)
    bias = (remaining**2 * np.asarray(signal, dtype=float) ** 2).sum(-1)
    variance = ((1 - remaining) ** 2).sum(-1) * noise**2
    return Risk(bias + variance, bias, variance)


def realised_risk(
    remaining: Float[ndarray, "step eigen"],
    signal: Float[ndarray, " eigen"],
    observed: Float[ndarray, " eigen"],
) -> Float[ndarray, " step"]:
    """|f_t - f*|^2 for the noise that there was: sum_i (v_i . f* - (1 - s_i) v_i . y)^2.

    >>> realised_risk(np.array([[0.5]]), np.array([1.0]), np.array([2.0])).tolist()
    [0.0]
    """
    found: ndarray[Any, Any] = ((signal - (1 - remaining) * observed) ** 2).sum(-1)
    return found


def degrees_of_freedom(remaining: Float[ndarray, "step eigen"]) -> Float[ndarray, " step"]:
    """Effective number of parameters fitted, sum_i (1 - s_i): the trace of y -> f_t.

    >>> degrees_of_freedom(np.array([[1.0, 1.0], [0.5, 0.0]])).tolist()
    [0.0, 1.5]
    """
    found: ndarray[Any, Any] = (1 - remaining).sum(-1)
    return found


def unbiased_risk(
    residual: Float[ndarray, " step"], freedom: Float[ndarray, " step"], samples: int, noise: float
) -> Float[ndarray, " step"]:
    """Stein's estimate of |f_t - f*|^2/n: |f_t - y|^2/n - sigma^2 + 2 sigma^2 df/n.

    `residual` is |f_t - y|^2, `freedom` as from `degrees_of_freedom`; needs sigma (`noise`).

    Raises:
        ValueError: samples is not a count, or the noise is negative.

    >>> unbiased_risk(np.array([4.0]), np.array([1.0]), 4, 1.0).tolist()
    [0.5]
    """
    domain.whole(1, samples=samples)
    domain.at_least(0, noise=noise)
    found: ndarray[Any, Any] = (residual + 2 * noise**2 * freedom) / samples - noise**2
    return found


def cross_validation_score(
    residual: Float[ndarray, " step"], freedom: Float[ndarray, " step"], samples: int
) -> Float[ndarray, " step"]:
    """Generalised cross-validation, (|f_t - y|^2/n)/(1 - df/n)^2; needs no sigma.

    Infinite where df reaches n.

    Raises:
        ValueError: samples is not a count.

    >>> cross_validation_score(np.array([4.0]), np.array([2.0]), 4).tolist()
    [4.0]
    """
    domain.whole(1, samples=samples)
    rest = 1 - np.asarray(freedom, dtype=float) / samples
    mean = np.asarray(residual, dtype=float) / samples
    found: ndarray[Any, Any] = np.divide(
        mean, rest**2, out=np.full(np.shape(mean), np.inf), where=rest > 0
    )
    return found

"""Kernels of infinitely wide dense networks: the Gaussian process at the start, and the NTK.

f(x) = sigma_w a . phi(h_depth)/sqrt(width) + sigma_b b, h_(l+1) = sigma_w W phi(h_l)/sqrt(width) +
sigma_b b, h_1 = sigma_1 W x/sqrt(features) + sigma_b b, all parameters N(0, 1) and trained.
Sources: Jacot, Gabriel, Hongler (2018), arXiv:1806.07572; Lee et al. (2019), arXiv:1902.06720. In
float64.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from chymist.theory import domain
from chymist.theory.dual_activations import Dual


class Kernels(NamedTuple):
    """Covariance of the outputs at the start (`nngp`), and neural tangent kernel (`ntk`)."""

    nngp: Float[ndarray, "n m"]
    ntk: Float[ndarray, "n m"]


def kernels(
    x: Float[ndarray, "n feature"],
    other: Float[ndarray, "m feature"],
    activation: Dual,
    depth: int,
    *,
    weight_variance: float = 1.0,
    bias_variance: float = 0.0,
    first_variance: float | None = None,
) -> Kernels:
    """Both kernels between two sets of inputs, for `depth` hidden layers.

    K_1 = sigma_1^2 x . x'/features + sigma_b^2, T_1 = K_1, and a layer up
    K_(l+1) = sigma_w^2 E phi phi + sigma_b^2, T_(l+1) = K_(l+1) + sigma_w^2 T_l E phi' phi', with
    averages under K_l; returned at l = depth + 1. `first_variance` is sigma_1^2 where it differs:
    networks of sqrt(2) relu with weights N(0, 1) are `weight_variance=2, first_variance=1`. Cost:
    depth operations of size n m.

    Raises:
        ValueError: the inputs have different numbers of features or are not finite; a variance is
            negative; depth is not a count.

    >>> from chymist.theory.dual_activations import leaky_relu
    >>> x = np.array([[1.0], [-1.0]])
    >>> pair = kernels(x, x[:1], leaky_relu(), 1, weight_variance=2, first_variance=1)
    >>> pair.nngp.ravel().round(12).tolist(), pair.ntk.ravel().round(12).tolist()
    ([1.0, 0.0], [2.0, 0.0])
    """
    x, other = np.asarray(x, dtype=float), np.asarray(other, dtype=float)
    domain.finite(inputs=x, other_inputs=other)
    if x.ndim != 2 or other.ndim != 2 or x.shape[1] != other.shape[1]:
        raise ValueError(
            f"the inputs must be (samples, features) alike, got {x.shape}, {other.shape}"
        )
    domain.whole(0, depth=depth)
    first = weight_variance if first_variance is None else first_variance
    domain.at_least(
        0, weight_variance=weight_variance, bias_variance=bias_variance, first_variance=first
    )
    features = x.shape[1]
    q: ndarray[Any, Any] = first * (x**2).sum(1)[:, None] / features + bias_variance
    r: ndarray[Any, Any] = first * (other**2).sum(1)[None] / features + bias_variance
    k: ndarray[Any, Any] = first * x @ other.T / features + bias_variance
    tangent = k
    for _ in range(depth):
        slope = weight_variance * activation.slope(q, r, k)
        k = weight_variance * activation.value(q, r, k) + bias_variance
        tangent = k + tangent * slope
        q = weight_variance * activation.value(q, q, q) + bias_variance
        r = weight_variance * activation.value(r, r, r) + bias_variance
    return Kernels(k, tangent)

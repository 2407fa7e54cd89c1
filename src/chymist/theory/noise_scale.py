"""Gradient noise scale, and what the size of a batch buys: fewer steps, or fewer examples.

G is the full gradient, Sigma the covariance of the gradient of one sample, H the Hessian; batches
are drawn with replacement. Source: McCandlish et al. (2018), arXiv:1812.06162. In float64; scales
and batch sizes are numbers of samples.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from chymist.theory import domain


class BestStep(NamedTuple):
    """Best step size for a batch, and the expected decrease of the loss that it brings."""

    lr: Float[ndarray, " batch"]
    decrease: Float[ndarray, " batch"]


def noise_scale(
    gradient: Float[ndarray, " p"],
    covariance: Float[ndarray, "p p"],
    hessian: Float[ndarray, "p p"] | None = None,
) -> float:
    """B_noise = tr(H Sigma)/(G . H G), or B_simple = tr(Sigma)/|G|^2 without a Hessian.

    Infinite where the gradient vanishes.

    Raises:
        ValueError: an argument is not finite, or the gradient has no curvature along it.

    >>> noise_scale(np.array([2.0, 0.0]), np.eye(2)), noise_scale(np.zeros(1), np.eye(1))
    (0.5, inf)
    """
    g, sigma = np.asarray(gradient, dtype=float), np.asarray(covariance, dtype=float)
    h = np.eye(len(g)) if hessian is None else np.asarray(hessian, dtype=float)
    domain.finite(gradient=g, covariance=sigma, hessian=h)
    if not g.any():
        return float("inf")
    bend = g @ h @ g
    domain.positive(curvature_along_the_gradient=bend)
    return float(np.einsum("ij,ji->", h, sigma) / bend)


def best_step(
    batch: Float[ndarray, " batch"],
    gradient: Float[ndarray, " p"],
    covariance: Float[ndarray, "p p"],
    hessian: Float[ndarray, "p p"],
) -> BestStep:
    """Step size that lowers a quadratic loss most in one step of SGD, and by how much on average.

    lr = lr_max/(1 + B_noise/B), lr_max = |G|^2/(G . H G), and the decrease is
    (|G|^4/(2 G . H G))/(1 + B_noise/B): both reach half their largest value at B = B_noise.

    Raises:
        ValueError: a batch is below 1, an argument is not finite, or the gradient is 0 or has no
            curvature along it.

    >>> best_step(np.array([4.0]), np.ones(1), 4 * np.eye(1), np.eye(1))
    BestStep(lr=array([0.5]), decrease=array([0.25]))
    """
    domain.at_least(1, batch=batch)
    g = np.asarray(gradient, dtype=float)
    scale = noise_scale(g, covariance, hessian)
    square = g @ g
    domain.positive(squared_gradient=square)
    largest = square / (g @ np.asarray(hessian, dtype=float) @ g)
    share: ndarray[Any, Any] = 1 / (1 + scale / np.asarray(batch, dtype=float))
    return BestStep(largest * share, largest * square / 2 * share)


def steps_to_target(
    batch: Float[ndarray, " batch"], least_steps: float, critical: float
) -> Float[ndarray, " batch"]:
    """Updates S = S_min (1 + B_crit/B) to a target loss, the step size tuned for every batch.

    Raises:
        ValueError: a batch is below 1, or S_min or B_crit is not positive.

    >>> steps_to_target(np.array([10.0, 40.0]), 100.0, 10.0).tolist()
    [200.0, 125.0]
    """
    domain.at_least(1, batch=batch)
    domain.positive(least_steps=least_steps, critical=critical)
    found: ndarray[Any, Any] = least_steps * (1 + critical / np.asarray(batch, dtype=float))
    return found


def examples_to_target(
    batch: Float[ndarray, " batch"], least_steps: float, critical: float
) -> Float[ndarray, " batch"]:
    """Examples E = B S = E_min (1 + B/B_crit), E_min = B_crit S_min; (S/S_min-1)(E/E_min-1) = 1.

    Raises:
        ValueError: a batch is below 1, or S_min or B_crit is not positive.

    >>> examples_to_target(np.array([10.0]), 100.0, 10.0).tolist()
    [2000.0]
    """
    steps = steps_to_target(batch, least_steps, critical)
    found: ndarray[Any, Any] = np.asarray(batch, dtype=float) * steps
    return found

"""Gradients of expectations over a categorical variable: exact, and what estimators cost.

The objective is E f(z) over z ~ p = softmax(logits). Bias and variance are relative to the exact
gradient g: |E G - g|/|g|, and tr Cov(G)/|g|^2 of one sample. Sources: Maddison, Mnih, Teh (ICLR
2017), arXiv:1611.00712; Jang, Gu, Poole (ICLR 2017), arXiv:1611.01144; Williams (1992). The leading
constants for two categories are derived here by substitution in the integrals. In float64, unit 1.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.integrate import quad

from chymist.theory import domain


class Leading(NamedTuple):
    """Constants of the leading laws: bias tau * `bias`, variance `variance` / tau."""

    bias: float
    variance: float


def exact_gradient(
    probability: Float[ndarray, " category"], value: Float[ndarray, " category"]
) -> Float[ndarray, " category"]:
    """Derivative of E f by the logits, p_k (f_k - sum_j p_j f_j), f_k = f at category k.

    Raises:
        ValueError: the probabilities are negative or do not sum to 1.

    >>> exact_gradient(np.array([0.5, 0.5]), np.array([0.0, 4.0])).tolist()
    [-1.0, 1.0]
    """
    p, f = _distribution(probability), np.asarray(value, dtype=float)
    found: ndarray[Any, Any] = p * (f - p @ f)
    return found


def score_function_variance(
    probability: Float[ndarray, " category"],
    value: Float[ndarray, " category"],
    baseline: Float[ndarray, " category"] | float = 0.0,
) -> float:
    """Relative variance of REINFORCE, (f(z) - b)(onehot(z) - p).

    The baseline b is one number, or one a coordinate.

    Raises:
        ValueError: the probabilities are negative or do not sum to 1, or the gradient is 0.

    >>> score_function_variance(np.array([0.5, 0.5]), np.array([0.0, 4.0]), 2.0)
    0.0
    """
    p, f = _distribution(probability), np.asarray(value, dtype=float)
    square = (exact_gradient(p, f) ** 2).sum()
    domain.positive(squared_gradient=square)
    score = np.eye(len(p)) - p
    samples = (f[:, None] - baseline) * score
    return float(p @ (samples**2).sum(1) / square - 1)


def best_baseline(
    probability: Float[ndarray, " category"], value: Float[ndarray, " category"]
) -> Float[ndarray, " category"]:
    """Baseline of least variance, E[f (e_k - p_k)^2]/E[(e_k - p_k)^2] for each coordinate.

    Raises:
        ValueError: the probabilities are negative or do not sum to 1.

    >>> best_baseline(np.array([0.5, 0.5]), np.array([0.0, 4.0])).tolist()
    [2.0, 2.0]
    """
    p, f = _distribution(probability), np.asarray(value, dtype=float)
    square = (np.eye(len(p)) - p) ** 2
    found: ndarray[Any, Any] = ((p * f) @ square) / (p @ square)
    return found


def two_categories(
    function: Callable[[float], float], derivative: Callable[[float], float], logit: float
) -> Leading:
    """Leading bias and variance of Gumbel softmax for two categories as the temperature tau falls.

    f on [0, 1] of the second category's share, a its logit, rho the logistic density. Bias
    tau |C rho'(a)|/(|d| rho(a)), d = f(1) - f(0), C the integral of f(sigmoid(s)) minus its limit
    on either side; 0 for a linear f, whose bias is of order tau^2. Variance
    (integral of (d f(sigmoid(s))/ds)^2 ds)/(rho(a) d^2 tau). By quadrature, 1e-8.

    Raises:
        ValueError: f(0) and f(1) agree, or the logit is not finite.

    >>> line = two_categories(lambda y: y, lambda y: 1.0, 0.0)
    >>> abs(round(line.bias, 9)), round(line.variance, 6)
    (0.0, 0.666667)
    """
    domain.finite(logit=logit)
    gap = function(1.0) - function(0.0)
    domain.positive(squared_difference_of_the_values=gap**2)
    share = _sigmoid(logit)
    density = share * (1 - share)
    turned = density * (1 - 2 * share)

    def excess(s: float) -> float:
        y = _sigmoid(s)
        return function(y) - function(1.0 if s > 0 else 0.0)

    def speed(s: float) -> float:
        y = _sigmoid(s)
        return (derivative(y) * y * (1 - y)) ** 2

    total = quad(excess, -40, 0, epsrel=1e-10)[0] + quad(excess, 0, 40, epsrel=1e-10)[0]
    energy = quad(speed, -40, 40, points=[0], epsrel=1e-10)[0]
    return Leading(
        float(abs(total * turned) / (abs(gap) * density)), float(energy / (density * gap**2))
    )


def best_temperature(leading: Leading, samples: int) -> float:
    """Temperature that makes bias^2 + variance / M least, (c/(2 b^2 M))^(1/3), under the laws.

    The least is of order M^(-2/3); an unbiased estimator's is of order 1/M.

    Raises:
        ValueError: samples is not a count, or a constant is not positive.

    >>> best_temperature(Leading(1.0, 2.0), 8)
    0.5
    """
    domain.whole(1, samples=samples)
    domain.positive(bias=leading.bias, variance=leading.variance)
    return float(np.cbrt(leading.variance / (2 * leading.bias**2 * samples)))


def _sigmoid(s: float) -> float:
    return float(1 / (1 + np.exp(-s)))


def _distribution(probability: Any) -> ndarray[Any, Any]:
    p = np.asarray(probability, dtype=float)
    domain.at_least(0, probability=p)
    if abs(p.sum() - 1) > 1e-9:
        raise ValueError(f"the probabilities must sum to 1, got {p.sum()}")
    return p

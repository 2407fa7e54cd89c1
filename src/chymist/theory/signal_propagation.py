"""How variance and correlation travel through a wide random dense network, layer by layer.

Weights N(0, sigma_w^2 / fan in), biases N(0, sigma_b^2): q <- sigma_w^2 E phi(u)^2 + sigma_b^2 with
u ~ N(0, q), and for the correlation c of two inputs at the variance q* that this keeps,
c <- (sigma_w^2 E phi(u) phi(v) + sigma_b^2)/q*. Sources: Poole et al. (NeurIPS 2016),
arXiv:1606.05340; Schoenholz et al. (ICLR 2017), arXiv:1611.01232. In float64, unit 1 throughout.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.optimize import brentq

from chymist.theory import domain
from chymist.theory.dual_activations import Dual

LAYERS = 20_000
"""Layers after which a map that still moves is said to have no fixed point within reach."""


def variances(
    start: float, activation: Dual, weight_variance: float, bias_variance: float, layers: int
) -> Float[ndarray, " layer"]:
    """Variance q of pre-activations at the first hidden layer (`start`) and each of `layers` more.

    Raises:
        ValueError: a variance is negative, or layers is not a count.

    >>> from chymist.theory.dual_activations import leaky_relu
    >>> variances(1.0, leaky_relu(), 2.0, 0.5, 2).tolist()
    [1.0, 1.5, 2.0]
    """
    domain.at_least(0, start=start, weight_variance=weight_variance, bias_variance=bias_variance)
    domain.whole(0, layers=layers)
    found = [start]
    for _ in range(layers):
        q = found[-1]
        found.append(float(weight_variance * activation.value(q, q, q) + bias_variance))
    return np.array(found)


def variance_fixed_point(
    activation: Dual, weight_variance: float, bias_variance: float, start: float = 1.0
) -> float:
    """Variance q* that deep layers reach from `start`; infinite where it grows without bound.

    Relative accuracy about 1e-12 divided by 1 minus the map's slope.

    Raises:
        ValueError: a variance is negative, or the approach is slower than exponential (at the edge
            of chaos without biases).

    >>> from chymist.theory.dual_activations import leaky_relu
    >>> round(variance_fixed_point(leaky_relu(), 1.0, 0.5), 9)
    1.0
    """
    domain.at_least(0, start=start, weight_variance=weight_variance, bias_variance=bias_variance)
    q = start
    for _ in range(LAYERS):
        after = float(weight_variance * activation.value(q, q, q) + bias_variance)
        if abs(after - q) <= 1e-12 * q or after < 1e-100:
            return after if after >= 1e-100 else 0.0
        if after > 1e100:
            return math.inf
        q = after
    raise ValueError(
        f"the variance must settle within {LAYERS} layers, got {q} and still moving: "
        "choose weights away from the critical line, or biases"
    )


def correlations(
    start: float,
    variance: float,
    activation: Dual,
    weight_variance: float,
    bias_variance: float,
    layers: int,
) -> Float[ndarray, " layer"]:
    """Correlation of two inputs of equal `variance` (a fixed point), at 0, 1, ..., `layers` more.

    Raises:
        ValueError: the correlation is not in [-1, 1], the variance is not positive or not kept by
            the map, or layers is not a count.

    >>> from chymist.theory.dual_activations import leaky_relu
    >>> correlations(1.0, 1.0, leaky_relu(), 2.0, 0.0, 2).tolist()
    [1.0, 1.0, 1.0]
    """
    domain.between(-1, math.nextafter(1.0, 2.0), start=start)
    domain.positive(variance=variance)
    domain.whole(0, layers=layers)
    kept = float(weight_variance * activation.value(variance, variance, variance)) + bias_variance
    if abs(kept - variance) > 1e-6 * variance:
        raise ValueError(
            f"the variance must be a fixed point, got {variance}, which goes to {kept}"
        )
    found = [start]
    for _ in range(layers):
        s = found[-1] * variance
        after = weight_variance * activation.value(variance, variance, s) + bias_variance
        found.append(min(float(after) / variance, 1.0))
    return np.array(found)


def slope(
    variance: float, activation: Dual, weight_variance: float, correlation: float = 1.0
) -> float:
    """Derivative of the correlation map, chi = sigma_w^2 E phi'(u) phi'(v) at a correlation.

    At correlation 1 it is chi_1: below 1 all inputs become alike (ordered), above 1 neighbours
    part (chaotic), and gradients shrink or grow by it a layer. The correlation decays as
    chi^layer towards the fixed point, with depth scale -1/ln chi.

    Raises:
        ValueError: the variance or the weights' is negative, or the correlation not in [-1, 1].

    >>> from chymist.theory.dual_activations import leaky_relu
    >>> slope(1.0, leaky_relu(), 2.0)
    1.0
    """
    domain.at_least(0, variance=variance, weight_variance=weight_variance)
    domain.between(-1, math.nextafter(1.0, 2.0), correlation=correlation)
    return float(weight_variance * activation.slope(variance, variance, correlation * variance))


def depth_scale(
    variance: float, activation: Dual, weight_variance: float, bias_variance: float
) -> float:
    """Layers over which a difference of two inputs falls by e towards its end, -1/ln chi(c*).

    c* is where correlations end: 1 in the ordered phase. Infinite on the critical line.

    Raises:
        ValueError: as `correlations`.

    >>> from chymist.theory.dual_activations import leaky_relu
    >>> round(depth_scale(1.0, leaky_relu(), 2 / np.e, 1 - 1 / np.e), 9)
    1.0
    """
    first = slope(variance, activation, weight_variance)
    end = 1.0
    if first > 1 + 1e-9:
        path = correlations(0.0, variance, activation, weight_variance, bias_variance, 1)
        for _ in range(LAYERS):
            before = path[-1]
            path = correlations(path[-1], variance, activation, weight_variance, bias_variance, 1)
            if abs(path[-1] - before) < 1e-13:
                break
        end = float(path[-1])
    rate = slope(variance, activation, weight_variance, end)
    return -1 / math.log(rate) if rate < 1 else math.inf


def critical_weight_variance(
    activation: Dual, bias_variance: float, highest: float = 20.0
) -> float:
    """Weight variance at which chi_1 = 1 for a bias variance: the edge of chaos.

    For erf and tanh, which saturate; ReLU without biases is critical at 2, with them it has none,
    as chi_1 = sigma_w^2/2 = 1 lets the variance grow. Cost: some 30 fixed points.

    Raises:
        ValueError: the bias variance is not positive, or there is no crossing below `highest`.

    >>> from chymist.theory.dual_activations import erf
    >>> round(critical_weight_variance(erf(), 1e-9), 2)
    0.79
    """
    domain.positive(bias_variance=bias_variance, highest=highest)

    def excess(weight: float) -> float:
        q = variance_fixed_point(activation, weight, bias_variance)
        return slope(q, activation, weight) - 1 if math.isfinite(q) else math.nan

    high: Any = excess(highest)
    if not high > 0:
        raise ValueError(f"chi_1 must pass 1 below a weight variance of {highest}, got {high + 1}")
    return float(brentq(excess, 1e-6, highest, xtol=1e-9))

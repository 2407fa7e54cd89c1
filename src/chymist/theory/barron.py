"""How well random, fixed and trained ReLU neurons approximate, on the sphere, in closed form.

x uniform on S^(d-1), neurons relu(w . x) with |w| = 1; the target is the mean of relu(v . x) over v
uniform on S^(k-1), the first k coordinates, of Barron norm at most 1. Errors are squared L2 errors
over |f|^2. Sources: Barron (1993); Cho and Saul (NeurIPS 2009); Siegel and Xu, arXiv:2101.12365.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from chymist.theory import domain


def inner_product(
    u: Float[ndarray, "n feature"], v: Float[ndarray, "m feature"]
) -> Float[ndarray, "n m"]:
    """E relu(u . x) relu(v . x) over the sphere, |u||v| (sin t + (pi - t) cos t)/(2 pi d).

    t is the angle between u and v, d their number of entries; over N(0, I) it is d times as much.

    Raises:
        ValueError: the numbers of entries differ, or a vector is 0 or not finite.

    >>> inner_product(np.array([[1.0, 0.0]]), np.array([[1.0, 0.0], [-1.0, 0.0]])).tolist()
    [[0.25, 0.0]]
    """
    u, v = np.asarray(u, dtype=float), np.asarray(v, dtype=float)
    if u.ndim != 2 or v.ndim != 2 or u.shape[1] != v.shape[1]:
        raise ValueError(f"u and v must be (rows, features) alike, got {u.shape} and {v.shape}")
    lengths = np.linalg.norm(u, axis=1), np.linalg.norm(v, axis=1)
    domain.positive(length_of_u=lengths[0], length_of_v=lengths[1])
    scale = np.outer(*lengths)
    cosine = np.clip(u @ v.T / scale, -1, 1)
    sine = np.sqrt((1 - cosine) * (1 + cosine))
    angle = np.pi - np.arccos(cosine)
    found: ndarray[Any, Any] = scale * (sine + angle * cosine) / (2 * np.pi * u.shape[1])
    return found


def mean_neuron(k: int) -> float:
    """E relu(v_1) over v on S^(k-1): the target is this times the length of the first k inputs.

    Gamma(k/2)/(2 sqrt(pi) Gamma((k+1)/2)).

    Raises:
        ValueError: k is not a count.

    >>> round(mean_neuron(1), 12), round(mean_neuron(2) * np.pi, 12)
    (0.5, 1.0)
    """
    domain.whole(1, k=k)
    return math.exp(math.lgamma(k / 2) - math.lgamma((k + 1) / 2)) / (2 * math.sqrt(math.pi))


def monte_carlo_constant(k: int) -> float:
    """Error times m of the mean of m neurons drawn as the target's: 1/(2 k c^2) - 1, in every d.

    c is `mean_neuron`: (kappa(v, v) - |f|^2)/|f|^2 with kappa(v, v) = 1/(2 d), |f|^2 = c^2 k/d.

    Raises:
        ValueError: k is not a count.

    >>> round(monte_carlo_constant(1), 12)
    1.0
    """
    return 1 / (2 * k * mean_neuron(k) ** 2) - 1


def fixed_features_exponent(k: int, dimension: int) -> float:
    """Power of m in the error of the best combination of m fixed random neurons, -(k+2)/(d-1).

    For a target whose kinks have codimension k, k = 1 for one neuron: features resolve degrees up
    to m^(1/(d-1)), beyond which the target's energy is of that degree to the -(k+2). A scaling
    argument, at k = 1 the known width of the Barron ball.

    Raises:
        ValueError: k is not a count, or k or the dimension does not allow it (1 <= k <= d, d >= 2).

    >>> fixed_features_exponent(1, 4)
    -1.0
    """
    domain.whole(1, k=k)
    domain.whole(max(2, k), dimension=dimension)
    return -(k + 2) / (dimension - 1)


def kernel_norm_exponent(k: int, dimension: int) -> float:
    """Power of m in the squared kernel norm, m sum a^2, of that combination: (d - k)/(d - 1).

    Up to degree L = m^(1/(d-1)) the norm sums the target's energy l^-(k+3) over the kernel's
    eigenvalue, l^-4 shared among l^(d-2) harmonics: L^(d-k). One neuron: 1, in every dimension.
    The same scaling argument as `fixed_features_exponent`; at k = d the growth is logarithmic.

    Raises:
        ValueError: k is not a count, or k or the dimension does not allow it (1 <= k <= d, d >= 2).

    >>> kernel_norm_exponent(1, 4), kernel_norm_exponent(2, 3)
    (1.0, 0.5)
    """
    domain.whole(1, k=k)
    domain.whole(max(2, k), dimension=dimension)
    return (dimension - k) / (dimension - 1)


def best_exponent(dimension: int) -> float:
    """Power of m in the error of the best m neurons for the worst Barron function, -1 - 3/(d - 1).

    Source: Siegel and Xu, arXiv:2101.12365, squared and on the sphere.

    Raises:
        ValueError: the dimension is below 2.

    >>> best_exponent(4)
    -2.0
    """
    domain.whole(2, dimension=dimension)
    return -1 - 3 / (dimension - 1)

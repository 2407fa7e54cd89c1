"""Functions on the sphere whose inner products with ReLU neurons are known in closed form.

x uniform on S^(d-1), neurons relu(w . x). The mean of relu(v . x) over v uniform on a subsphere
S^(k-1) is c_k |P x|, P the projection on its k dimensions and c_k `barron.mean_neuron`: a Barron
function of norm 1, with a kink of codimension k. A quadratic polynomial is smooth everywhere.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from chymist.theory import domain
from chymist.theory.barron import mean_neuron


def square(k: int, dimension: int) -> float:
    """E f^2 of the mean over a subsphere, c_k^2 k/d; of one neuron (k = 1), 1/(2 d).

    Raises:
        ValueError: not 1 <= k <= dimension.

    >>> square(1, 4), round(square(2, 2) * np.pi**2, 12)
    (0.125, 1.0)
    """
    domain.whole(1, k=k)
    domain.whole(k, dimension=dimension)
    return 1 / (2 * dimension) if k == 1 else mean_neuron(k) ** 2 * k / dimension


def inner_product(share: Float[ndarray, " m"], k: int, dimension: int) -> Float[ndarray, " m"]:
    """E f(x) relu(w . x) for |w| = 1, by the share |P w|^2 of w that lies in the subsphere's space.

    2F1(-1/2, -1/2; k/2; share)/(2 pi d): the mean over v of `barron.inner_product`, whose terms odd
    in v vanish, and whose even ones, (sqrt(1 - c^2) + c arcsin c)/(2 pi d) of the cosine c, are
    2F1(-1/2, -1/2; 1/2; c^2). For k = 2 by elliptic integrals, a hundred times faster. Only k >= 2:
    one neuron is no mean over a subsphere.

    Raises:
        ValueError: not 2 <= k <= dimension, or a share is not in [0, 1].

    >>> 2 * np.pi * 3 * inner_product(np.array([0.0]), 2, 3)
    array([1.])
    """
    from scipy.special import ellipe, ellipkm1, hyp2f1

    _checked(share, k, dimension)
    if k == 2:
        rest = np.maximum(1 - np.asarray(share, dtype=float), 1e-300)
        mean = (2 * ellipe(share) - rest * ellipkm1(rest)) * 2 / math.pi
    else:
        mean = hyp2f1(-0.5, -0.5, k / 2, share)
    found: ndarray[Any, Any] = mean / (2 * math.pi * dimension)
    return found


def inner_product_slope(
    share: Float[ndarray, " m"], k: int, dimension: int
) -> Float[ndarray, " m"]:
    """Derivative of `inner_product` by the share, 2F1(1/2, 1/2; k/2 + 1; share)/(4 pi d k).

    Raises:
        ValueError: see `inner_product`.

    >>> 4 * np.pi * 6 * inner_product_slope(np.array([0.0]), 2, 3)
    array([1.])
    """
    from scipy.special import hyp2f1

    _checked(share, k, dimension)
    scale = 4 * math.pi * dimension * k
    found: ndarray[Any, Any] = hyp2f1(0.5, 0.5, k / 2 + 1, share) / scale
    return found


def quadratic(cosine: Float[ndarray, " m"], dimension: int) -> tuple[ndarray[Any, Any], float]:
    """E f(x) relu(w . x) for |w| = 1, by the cosine of w and e; and E f^2; of a smooth function.

    f = E_v (e . v)^2 relu(v . x) over v on the whole sphere, a density without any edge, is
    c (1/d + ((e . x)^2 - 1/d)/(d + 1)) with c = c_d: by Funk and Hecke a neuron has the part c in
    degree 0 and c/(d + 1) in degree 2. It is in the kernel space of random features.

    Raises:
        ValueError: the dimension is below 2, or a cosine is not in [-1, 1].

    >>> value, total = quadratic(np.array([0.0]), 2)
    >>> round(total * np.pi**2, 12)  # 1/4 + 1/72
    0.263888888889
    """
    domain.whole(2, dimension=dimension)
    domain.between(0, np.nextafter(1, 2), size_of_cosine=np.abs(cosine))
    d = dimension
    flat, bent = mean_neuron(d) ** 2, (mean_neuron(d) / (d + 1)) ** 2
    value: ndarray[Any, Any] = flat / d + bent * (np.asarray(cosine) ** 2 - 1 / d)
    return value, flat / d**2 + bent * 2 * (d - 1) / (d**2 * (d + 2))


def polygon_error(n: int) -> float:
    """E (f - g)^2/E f^2 of the best multiple g of n neurons evenly spaced in the plane, k = 2.

    S/(1 + S) with S = 2 sum_j ((n j)^2 - 1)^-2 over even n j: the Fourier coefficients of the inner
    product that the n neurons alias. About 2 zeta(4) n^-4; an odd n does what 2 n do.

    Raises:
        ValueError: n is below 2.

    >>> round(polygon_error(8) * 1e4, 3)
    5.441
    >>> polygon_error(5) == polygon_error(10)
    True
    """
    domain.whole(2, n=n)
    frequency = (n if n % 2 == 0 else 2 * n) * np.arange(1, 2001, dtype=float)
    aliased = 2 * float(((frequency**2 - 1) ** -2).sum())
    return aliased / (1 + aliased)


def _checked(share: Any, k: int, dimension: int) -> None:
    domain.whole(2, k=k)
    domain.whole(k, dimension=dimension)
    domain.between(0, np.nextafter(1, 2), share=share)

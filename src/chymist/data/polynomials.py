"""Chebyshev polynomials at evenly spaced points: small regression problems that are hard to fit."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from chymist.errors import BadParameter


def chebyshev(n: int, degree: int) -> tuple[Float[ndarray, " n"], Float[ndarray, " n"]]:
    """Return n evenly spaced points of [-1, 1] and T_degree there, T_k(cos a) = cos(k a).

    Source of n = 20, degrees 3 to 5, as a problem: Cohen et al. (ICLR 2021), arXiv:2103.00065.

    Raises:
        BadParameter: fewer than 2 points, or a negative degree.

    >>> chebyshev(3, 2)
    (array([-1.,  0.,  1.]), array([ 1., -1.,  1.]))
    """
    if n < 2 or degree < 0:
        raise BadParameter(f"{n} points of T_{degree}", "at least 2 points and degree 0")
    x = np.linspace(-1, 1, n)
    return x, np.polynomial.Chebyshev.basis(degree)(x)

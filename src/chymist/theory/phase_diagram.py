"""The phase diagram of two-layer ReLU networks: linear, critical or condensed, by initialisation.

f = (1/alpha) sum_j a_j relu(w_j . (x, 1)), a ~ N(0, b1^2), w ~ N(0, b2^2), m neurons. Only
kappa = b1 b2/alpha and kappa' = b1/b2 matter, through gamma = -log kappa/log m and
gamma' = -log kappa'/log m as m grows. Source: Luo, Xu, Ma, Zhang (JMLR 2021), arXiv:2007.07497.
"""

from __future__ import annotations

import math
from types import MappingProxyType
from typing import NamedTuple

from chymist.theory import domain


class Point(NamedTuple):
    """A place on the diagram: gamma, and gamma' (`balance`). Unit 1."""

    gamma: float
    balance: float


NAMED = MappingProxyType(
    {
        "lecun": Point(0.5, 0.5),
        "he": Point(0.5, 0.5),
        "xavier": Point(1.0, 0.0),
        "ntk": Point(0.5, 0.0),
        "mean-field": Point(1.0, 0.0),
    }
)
"""Where usual initialisations lie, at a fixed number of inputs as the width grows."""


def point(alpha: float, output_scale: float, input_scale: float, width: int) -> Point:
    """Coordinates of (alpha, b1, b2) at a width.

    Raises:
        ValueError: a scale is not positive, or the width is below 2.

    >>> point(10.0, 1.0, 1.0, 100)
    Point(gamma=0.5, balance=0.0)
    """
    domain.positive(alpha=alpha, output_scale=output_scale, input_scale=input_scale)
    domain.whole(2, width=width)
    log = math.log(width)
    kappa = math.log(output_scale) + math.log(input_scale) - math.log(alpha)
    ratio = math.log(output_scale) - math.log(input_scale)
    return Point(-kappa / log + 0.0, -ratio / log + 0.0)


def boundary(balance: float) -> float:
    """Value of gamma at which the regimes meet: 1 for gamma' <= 0, 1 + gamma' above.

    Raises:
        ValueError: the balance is not finite.

    >>> boundary(-0.3), boundary(0.5)
    (1.0, 1.5)
    """
    domain.finite(balance=balance)
    return 1 + max(0.0, balance)


def regime(at: Point) -> str:
    """`linear` below the boundary (weights hardly move), `condensed` above it, else `critical`.

    Raises:
        ValueError: a coordinate is not finite.

    >>> [regime(NAMED[name]) for name in ("he", "mean-field")], regime(Point(1.75, 0.0))
    (['linear', 'critical'], 'condensed')
    """
    domain.finite(gamma=at.gamma)
    gap = at.gamma - boundary(at.balance)
    if abs(gap) < 1e-9:
        return "critical"
    return "linear" if gap < 0 else "condensed"


def movement_exponent(gamma: float) -> float:
    """Power of the width by which input weights move relative to their start, where gamma' = 0.

    gamma - 1 below 1, where they move by 1/(m kappa); (gamma - 1)/2 above, where both layers must
    grow till m kappa |a| |w| is of order 1. A scaling argument, not a theorem.

    Raises:
        ValueError: gamma is not finite.

    >>> movement_exponent(0.5), movement_exponent(1.75)
    (-0.5, 0.375)
    """
    domain.finite(gamma=gamma)
    return (gamma - 1) / (2 if gamma > 1 else 1)

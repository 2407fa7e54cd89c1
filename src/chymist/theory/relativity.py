"""Closed forms of relativistic motion: constant force, magnetic field, inverse-square force.

For the action integral of -m c^2 sqrt(1 - v^2/c^2) - V dt. Source: Landau and Lifshitz, The
Classical Theory of Fields, on motion in constant fields and in a Coulomb field. Any consistent
units; in float64, written so that no digits cancel as c grows.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from chymist.theory import domain


class Motion(NamedTuple):
    """Position, velocity and proper time at each time."""

    x: Float[ndarray, " time"]
    v: Float[ndarray, " time"]
    proper_time: Float[ndarray, " time"]


def constant_force(
    time: Float[ndarray, " time"], force: float, mass: float = 1.0, c: float = 1.0
) -> Motion:
    """Motion from rest at 0 under a constant force F.

    x = (m c^2/F)(sqrt(1 + (F t/(m c))^2) - 1), v = (F t/m)/sqrt(1 + (F t/(m c))^2), and proper time
    (m c/F) asinh(F t/(m c)). Newton's x = F t^2/(2 m) is larger by F^3 t^4/(8 m^3 c^2) as c grows.

    Raises:
        ValueError: the force is 0 or not finite, or mass or c is not positive.

    >>> constant_force(np.array([0.75**0.5 * 2]), 1.0).x.round(12).tolist()
    [1.0]
    """
    domain.positive(mass=mass, c=c, size_of_force=abs(force))
    t = np.asarray(time, dtype=float)
    speed = force * t / (mass * c)
    gamma = np.sqrt(1 + speed**2)
    x: ndarray[Any, Any] = force * t**2 / mass / (1 + gamma)
    return Motion(x, force * t / mass / gamma, mass * c / force * np.arcsinh(speed))


def gyration_frequency(
    charge: float, field: float, momentum: float, mass: float = 1.0, c: float = 1.0
) -> float:
    """Angular frequency q B/(gamma m) in a uniform magnetic field, gamma = sqrt(1 + (p/(m c))^2).

    Raises:
        ValueError: mass or c is not positive, or a number is not finite.

    >>> gyration_frequency(1.0, 2.0, 0.75)
    1.6
    """
    domain.positive(mass=mass, c=c)
    domain.finite(charge=charge, field=field, momentum=momentum)
    return charge * field / (mass * math.hypot(1, momentum / (mass * c)))


def perihelion_advance(strength: float, angular_momentum: float, c: float = 1.0) -> float:
    """Angle by which the perihelion moves a turn in V = -k/r: 2 pi (1/Gamma - 1), in radians.

    Gamma = sqrt(1 - k^2/(L c)^2); about pi k^2/(L c)^2 for small k, one sixth of what general
    relativity gives.

    Raises:
        ValueError: k, L or c is not positive, or k is at least L c, where the orbit falls in.

    >>> round(perihelion_advance(1.0, 0.7, 5.0), 8)
    0.27330844
    """
    domain.positive(strength=strength, angular_momentum=angular_momentum, c=c)
    share = strength / (angular_momentum * c)
    if share >= 1:
        raise ValueError(f"k must be below L c, got {strength} and {angular_momentum * c}")
    root = math.sqrt((1 - share) * (1 + share))
    return 2 * math.pi * share**2 / (root * (1 + root))

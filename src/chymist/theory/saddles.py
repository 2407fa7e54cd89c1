"""Critical points of two losses in closed form: the truth that a search for saddles must find.

A tied linear autoencoder of one unit, and a soft committee machine. Sources: Baldi and Hornik
(1989); Saad and Solla, Physical Review Letters 74 (1995). In float64.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from chymist.theory import domain


class CriticalPoint(NamedTuple):
    """Of E(u) = |M - u u^T|_F^2/4: the place, the energy, the number of directions downhill."""

    u: Float[ndarray, " n"]
    energy: float
    downhill: int


def autoencoder_critical_points(eigenvalues: Float[ndarray, " n"]) -> list[CriticalPoint]:
    """All 2 n + 1 critical points for M = diag(eigenvalues), distinct and positive.

    0 with index n and energy sum l^2/4; +-sqrt(l_i) e_i with the index the number of larger
    eigenvalues and energy (sum l^2 - l_i^2)/4: a mode skipped for each negative direction.

    Raises:
        ValueError: an eigenvalue is not positive, or two agree.

    >>> [(p.downhill, p.energy) for p in autoencoder_critical_points(np.array([2.0, 4.0]))]
    [(2, 5.0), (1, 4.0), (1, 4.0), (0, 1.0), (0, 1.0)]
    """
    values = np.asarray(eigenvalues, dtype=float)
    domain.positive(eigenvalue=values)
    if len(np.unique(values)) < len(values):
        raise ValueError("two eigenvalues are equal: the critical points are not isolated")
    total = float((values**2).sum())
    found = [CriticalPoint(np.zeros(len(values)), total / 4, len(values))]
    for i, value in enumerate(values):
        downhill = int((values > value).sum())
        for sign in (1, -1):
            place = np.zeros(len(values))
            place[i] = sign * value**0.5
            found.append(CriticalPoint(place, (total - float(value) ** 2) / 4, downhill))
    return found


def committee_loss(
    student: Float[ndarray, "k feature"], teacher: Float[ndarray, "m feature"]
) -> float:
    """Loss (1/2) E (sum_i phi(w_i . x) - sum_j phi(v_j . x))^2, phi(u) = erf(u/sqrt 2).

    Over x ~ N(0, I); equal to
    (1/pi) [sum asin(Q_ij/n_i n_j) + sum asin(T_ij/..) - 2 sum asin(R_ij/..)], Q, T, R the products
    of students, of teachers and of both, n = sqrt(1 + |w|^2).

    Raises:
        ValueError: the numbers of features differ, or an entry is not finite.

    >>> committee_loss(np.eye(2), np.eye(2)[::-1])
    0.0
    """
    w, v = np.asarray(student, dtype=float), np.asarray(teacher, dtype=float)
    domain.finite(student=w, teacher=v)
    if w.ndim != 2 or v.ndim != 2 or w.shape[1] != v.shape[1]:
        raise ValueError(f"both must be (neurons, features) alike, got {w.shape} and {v.shape}")

    def overlap(one: ndarray[Any, Any], other: ndarray[Any, Any]) -> float:
        norms = np.outer(np.sqrt(1 + (one**2).sum(1)), np.sqrt(1 + (other**2).sum(1)))
        return float(np.arcsin(one @ other.T / norms).sum())

    return (overlap(w, w) + overlap(v, v) - 2 * overlap(w, v)) / np.pi

"""Boundary-value problems whose solution is known: -Laplace u + c u = f, u = g on the border.

Solutions are chosen first and put into the equation, which gives the source: each of them can be
held against the truth everywhere. Most are from Liu, Cai, Xu (2020), arXiv:2007.11207.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import xarray as xr
from jaxtyping import Float
from numpy import ndarray
from scipy.special import j0

from chymist.data.domains import Domain, box, holed_square, ring
from chymist.errors import BadParameter, did_you_mean

Field = Callable[[ndarray], ndarray]
"""Points (n, axis) to values (n)."""


@dataclass(frozen=True)
class Equation:
    """-Laplace u + coefficient u = source on a domain, with its `solution`, which is g as well."""

    name: str
    domain: Domain
    coefficient: float
    source: Field
    solution: Field

    @property
    def elliptic(self) -> bool:
        """Whether an energy is least at the solution; Helmholtz's equation has a saddle there."""
        return self.coefficient >= 0


def equation(name: str, mu: float, coefficient: float = 0.0) -> Equation:
    """Return an equation of `EQUATIONS` by name.

    `mu` is the angular frequency of its solution; `coefficient` is the lambda of
    Poisson-Boltzmann's equation, c = lambda^2, or the k of Helmholtz's, c = -k^2; others have none.

    Raises:
        BadParameter: the name is unknown, a number is not positive where it is used.

    >>> line = equation("poisson-line", 3.0)
    >>> x = np.array([[0.5]])
    >>> float(line.source(x)[0] / line.solution(x)[0])
    9.0
    """
    if name not in EQUATIONS:
        raise BadParameter(f"unknown equation {name}", did_you_mean(name, EQUATIONS))
    needs = name.startswith(("boltzmann", "helmholtz"))
    if not mu > 0 or (needs and not coefficient > 0):
        raise BadParameter(f"{name} with mu {mu:g} and coefficient {coefficient:g}",
                           "needed: positive numbers")  # fmt: skip
    return EQUATIONS[name](mu, coefficient)


def equation_points(
    problem: Equation, rng: np.random.Generator, inside: int, border: int, sets: int = 1
) -> tuple[Float[ndarray, "sample axis"], Float[ndarray, "sample 5"]]:
    """Draw sets of so many points inside and on the border, one after another, with their targets.

    The five columns are those that `models.ritz` and `models.strong_residual` read: f, c, g and the
    weights, such that the mean over a set is the integral over the domain and the mean over the
    border: a set is one step's batch, taken in order.

    >>> x, y = equation_points(equation("poisson-line", 3.0), np.random.default_rng(0), 8, 2, 3)
    >>> x.shape, y.shape, y[:10, 3].mean().item(), y[:10, 4].mean().item()
    ((30, 1), (30, 5), 2.0, 1.0)
    """
    points, domain = [], problem.domain
    for _ in range(sets):
        points += [domain.inside(rng, inside), domain.border(rng, border)]
    x = np.concatenate(points)
    total = inside + border
    within = np.tile(np.arange(total) < inside, sets)
    weight = np.where(within, domain.volume * total / inside, 0.0)
    edge = np.where(within, 0.0, total / border)
    c = np.full(len(x), problem.coefficient)
    return x, np.stack([problem.source(x), c, problem.solution(x), weight, edge], axis=1)


def equation_samples(
    problem: Equation,
    rngs: list[np.random.Generator],
    seeds: list[int],
    *,
    inside: int,
    border: int,
    sets: int,
) -> tuple[xr.DataArray, xr.DataArray]:
    """Return `equation_points` of every seed, dims (seed, sample, feature), to be trained on."""
    drawn = [equation_points(problem, rng, inside, border, sets) for rng in rngs]
    dims = ("seed", "sample", "feature")
    x, y = (
        xr.DataArray(np.array(part), {"seed": seeds}, dims) for part in zip(*drawn, strict=True)
    )
    return x, y


def _sines(name: str, dims: int, mu: float, c: float = 0.0) -> Equation:
    """The sum over axes of sin(mu x_i)."""

    def u(x: ndarray) -> ndarray:
        total: ndarray = np.sin(mu * x).sum(axis=1)
        return total

    return Equation(name, box(dims), c, lambda x: (mu**2 + c) * u(x), u)


def _boltzmann(name: str, dims: int, mu: float, strength: float) -> Equation:
    """Sines less the solution of the homogeneous equation that has their values at the ends."""
    c = strength**2

    def u(x: ndarray) -> ndarray:
        # sinh(lambda x) / sinh(lambda), which overflows where lambda is large.
        grown = (np.exp(strength * (x - 1)) - np.exp(-strength * (x + 1))) / -np.expm1(
            -2 * strength
        )
        total: ndarray = (np.sin(mu * x) - np.sin(mu) * grown).sum(axis=1)
        return total

    def f(x: ndarray) -> ndarray:
        total: ndarray = (c + mu**2) * np.sin(mu * x).sum(axis=1)
        return total

    return Equation(name, box(dims), c, f, u)


def _chirp(name: str, dims: int, mu: float) -> Equation:
    """The sum over axes of sin(mu x_i^2): frequencies from 0 to 2 mu."""

    def u(x: ndarray) -> ndarray:
        total: ndarray = np.sin(mu * x * x).sum(axis=1)
        return total

    def f(x: ndarray) -> ndarray:
        waves = 4 * mu**2 * x * x * np.sin(mu * x * x) - 2 * mu * np.cos(mu * x * x)
        total: ndarray = waves.sum(axis=1)
        return total

    return Equation(name, box(dims), 0.0, f, u)


def _ring(name: str, mu: float) -> Equation:
    """J_0(mu |x - (1/2, 0)|), an eigenfunction of the Laplacian."""

    def u(x: ndarray) -> ndarray:
        wave: ndarray = j0(mu * np.hypot(x[:, 0] - 0.5, x[:, 1]))
        return wave

    return Equation(name, ring(), 0.0, lambda x: mu**2 * u(x), u)


def _holes(name: str, mu: float) -> Equation:
    """sin(mu x) sin(mu y) on a square with three holes."""

    def u(x: ndarray) -> ndarray:
        wave: ndarray = np.sin(mu * x).prod(axis=1)
        return wave

    return Equation(name, holed_square(), 0.0, lambda x: 2 * mu**2 * u(x), u)


EQUATIONS: dict[str, Callable[[float, float], Equation]] = {
    "poisson-line": lambda mu, c: _sines("poisson-line", 1, mu),
    "poisson-square": lambda mu, c: _sines("poisson-square", 2, mu),
    "poisson-chirp": lambda mu, c: _chirp("poisson-chirp", 1, mu),
    "poisson-chirps": lambda mu, c: _chirp("poisson-chirps", 2, mu),
    "poisson-ring": lambda mu, c: _ring("poisson-ring", mu),
    "poisson-holes": lambda mu, c: _holes("poisson-holes", mu),
    "boltzmann-line": lambda mu, c: _boltzmann("boltzmann-line", 1, mu, c),
    "boltzmann-square": lambda mu, c: _boltzmann("boltzmann-square", 2, mu, c),
    "helmholtz-line": lambda mu, c: _sines("helmholtz-line", 1, mu, -(c**2)),
    "helmholtz-square": lambda mu, c: _sines("helmholtz-square", 2, mu, -(c**2)),
}
"""Names to makers of (mu, coefficient)."""

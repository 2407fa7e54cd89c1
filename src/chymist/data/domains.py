"""Domains of boundary-value problems, which know how to draw points inside and on their border.

Points inside are stratified, one in every cell: what is drawn evenly by chance leaves gaps as wide
as a wave, in which a network that minimises an energy can hide.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from chymist.errors import BadParameter

Sampler = Callable[[np.random.Generator, int], ndarray]
"""(generator, how many) to points (how many, axis)."""


@dataclass(frozen=True)
class Domain:
    """A domain in so many dimensions, with its volume and samplers of its inside and its border."""

    name: str
    dims: int
    volume: float
    inside: Sampler
    border: Sampler


def box(dims: int = 1) -> Domain:
    """The box from -1 to 1 in each direction; on a line the border is its two ends in turn.

    >>> points = box(2).border(np.random.default_rng(0), 50)
    >>> bool((abs(points).max(axis=1) == 1).all())
    True
    """

    def border(rng: np.random.Generator, n: int) -> ndarray:
        if dims == 1:
            return np.resize([-1.0, 1.0], n)[:, None]
        points = rng.uniform(-1, 1, (n, dims))
        face = np.arange(n) % (2 * dims)
        points[np.arange(n), face // 2] = 2.0 * (face % 2) - 1
        return points

    return Domain(f"box{dims}", dims, 2.0**dims, lambda rng, n: 2 * stratified(rng, n, dims) - 1,
                  border)  # fmt: skip


def ring(inner: float = 1.0, outer: float = 3.0) -> Domain:
    """The plane between two circles about the origin.

    Raises:
        BadParameter: the radii are not 0 < inner < outer.
    """
    if not 0 < inner < outer:
        raise BadParameter(f"radii {inner:g} and {outer:g}", "needed: 0 < inner < outer")

    def at(radius: ndarray, turn: ndarray) -> ndarray:
        angle = 2 * np.pi * turn
        return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)

    def inside(rng: np.random.Generator, n: int) -> ndarray:
        # Even in the area, which is even in the square of the radius.
        part, turn = stratified(rng, n, 2).T
        return at(np.sqrt(inner**2 + part * (outer**2 - inner**2)), turn)

    def border(rng: np.random.Generator, n: int) -> ndarray:
        circle = np.arange(n) % math.ceil((inner + outer) / inner) > 0
        return at(np.where(circle, outer, inner), rng.random(n))

    return Domain("ring", 2, np.pi * (outer**2 - inner**2), inside, border)


HOLES = ((-0.5, -0.5, 0.1), (0.5, 0.5, 0.2), (0.5, -0.5, 0.2))
"""Centres and radii of the holes in Liu, Cai, Xu (2020), arXiv:2007.11207."""


def holed_square(holes: Sequence[tuple[float, float, float]] = HOLES) -> Domain:
    """The square from -1 to 1 without some discs (x, y, radius) that lie in it and apart.

    Raises:
        BadParameter: a disc leaves the square, or two of them meet.

    >>> round(holed_square().volume, 4)  # 4 less 0.09 pi
    3.7173
    """
    for i, (x, y, r) in enumerate(holes):
        if not (r > 0 and max(abs(x), abs(y)) + r < 1):
            raise BadParameter(f"hole {x:g}, {y:g}, {r:g} leaves the square", "make it smaller")
        for u, v, s in holes[:i]:
            if math.hypot(x - u, y - v) <= r + s:
                raise BadParameter(f"holes at {x:g}, {y:g} and {u:g}, {v:g} meet", "part them")
    square = box(2)

    def outside_holes(points: ndarray) -> ndarray:
        apart = [np.hypot(points[:, 0] - x, points[:, 1] - y) > r for x, y, r in holes]
        return np.all(apart, axis=0) if apart else np.ones(len(points), dtype=bool)

    def border(rng: np.random.Generator, n: int) -> ndarray:
        lengths = np.array([8.0, *(2 * np.pi * r for _, _, r in holes)])
        counts = np.diff(np.round(n * np.cumsum([0, *lengths]) / lengths.sum()).astype(int))
        parts = [square.border(rng, counts[0])]
        for (x, y, r), count in zip(holes, counts[1:], strict=True):
            angle = 2 * np.pi * rng.random(count)
            parts.append(np.stack([x + r * np.cos(angle), y + r * np.sin(angle)], axis=1))
        return np.concatenate(parts)

    volume = 4 - sum(np.pi * r * r for _, _, r in holes)
    return Domain("holed", 2, volume, _rejecting(square.inside, outside_holes, volume / 4), border)


def stratified(rng: np.random.Generator, n: int, dims: int) -> Float[ndarray, "n dims"]:
    """Draw n points of the unit cube, in cells of equal size as far as n goes into k^dims.

    One in each of k^dims cells, k as large as can be; the rest anywhere. Means over them vary less
    than over independent ones, and nowhere is a gap wider than two cells.

    >>> x = stratified(np.random.default_rng(0), 10, 1)[:, 0]
    >>> (10 * x).astype(int).tolist()
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    """
    side = max(1, int(n ** (1 / dims) + 1e-9))
    corners = np.stack(np.meshgrid(*[np.arange(side)] * dims, indexing="ij"), axis=-1)
    corners = corners.reshape(-1, dims)[:n]
    cells = (corners + rng.random(corners.shape)) / side
    return np.concatenate([cells, rng.random((n - len(cells), dims))])


def _rejecting(inside: Sampler, keep: Callable[[ndarray], ndarray], share: float) -> Sampler:
    """Draw from a larger domain and keep what lies in this one."""

    def sample(rng: np.random.Generator, n: int) -> ndarray:
        kept = np.empty((0, 2))
        while len(kept) < n:
            points = inside(rng, math.ceil((n - len(kept)) / share))
            kept = np.concatenate([kept, points[keep(points)]])
        # Cells come in order, so leaving out the last ones would leave out a corner.
        return kept[rng.permutation(len(kept))[:n]]

    return sample

"""Eigenvalues and eigenvectors at an end of the spectrum, by Lanczos, of all lanes."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from statistics import NormalDist
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from chymist.errors import BadParameter
from chymist.instruments.lanczos import Basis, Order, Ritz
from chymist.instruments.operators import Operator
from chymist.keys import Key

End = Literal["top", "bottom", "magnitude"]
"""The largest eigenvalues, the smallest, or those of largest magnitude."""

_ORDER: dict[str, Order] = {
    "top": lambda values: values,
    "bottom": lambda values: -values,
    "magnitude": torch.abs,
}


MISSED = 0.02
"""Chance that an eigenvalue which occurs twice is taken for one that occurs once."""
EARLY = 3
"""Vectors beyond k before a search from drawn ones may end: from fewer, an estimate of error can
belong to another eigenvalue, to which the start happened to be nearer."""


@dataclass(frozen=True, eq=False)
class Eigenpairs:
    """Eigenvalues from the end inwards, with how far they can be trusted.

    `residuals` are ||A v - lambda v||: an eigenvalue lies within that distance of each value.
    `errors` are estimates of |value - eigenvalue|, the least of the residual and of its square over
    the gap to the rest of the spectrum, as far as that was seen. A value that is not `converged` is
    a bound from inside: the eigenvalue lies further out. `gradients` is the cost in gradient
    evaluations. `next_start` holds the vectors, and as many more as a block has, to begin the next
    measurement with.
    """

    values: Float[Tensor, "*lane eigen"]
    residuals: Float[Tensor, "*lane eigen"]
    errors: Float[Tensor, "*lane eigen"]
    converged: Tensor
    products: int
    gradients: int
    vectors: Float[Tensor, "*lane eigen parameter"] = field(repr=False)
    next_start: Float[Tensor, "*lane vector parameter"] = field(repr=False)

    def lane(self, lane: int) -> Eigenpairs:
        """Return one lane's eigenpairs, without the lane dimension."""
        return Eigenpairs(
            self.values[lane], self.residuals[lane], self.errors[lane], self.converged[lane],
            self.products, self.gradients, self.vectors[lane], self.next_start[lane],
        )  # fmt: skip


def eigenpairs(
    operator: Operator,
    k: int = 1,
    *,
    end: End = "top",
    tolerance: float = 1e-5,
    block: int | None = None,
    start: Float[Tensor, "lane vector parameter"] | None = None,
    products: int = 1000,
    basis: int | None = None,
    key: Key | None = None,
) -> Eigenpairs:
    """Return k eigenpairs of each lane's matrix by Lanczos with full reorthogonalisation.

    A single vector finds an eigenvalue that occurs several times once only. By default, once the k
    values have converged, a fresh vector therefore searches the rest of the space, until nothing
    there can be as large as the k-th value (2 to 4 products as a rule; an eigenvalue that occurs
    twice is missed with a chance of two per cent); if something may, the search goes on with k
    vectors at a time, which finds it up to k times. With `block` the basis grows by so many vectors
    from the beginning and nothing is checked.

    The basis is restarted from its best Ritz vectors when it holds `basis` vectors. Each lane stops
    when the estimated errors of its k values are below `tolerance` times their magnitude, or at
    rounding; all stop at about `products` products. `start` gives a block of vectors to begin with,
    such as the last measurement's: the closer, the fewer products. Otherwise they are drawn from
    `key`, the same for every lane.

    Shapes: values (lane, k) in float64, vectors (lane, k, parameter), orthonormal; a lane that is
    lost (see `Operator`) is NaN. Unit of the operator. Cost: two gradient evaluations a product and
    one for the graph. Memory: lanes x basis x parameters numbers, up to twice that while an
    eigenvalue that occurs several times is looked for. Error: estimated in the result. Sources:
    Golub and Underwood (1977), The block Lanczos method; Wu and Simon (2000), SIAM J. Matrix Anal.
    Appl. 22 (thick restart); Parlett (1998), The symmetric eigenvalue problem (error bounds); van
    Dorsselaer, Hochstenbach, van der Vorst (2000), SIAM J. Matrix Anal. Appl. 22 (what may be
    missed).

    Raises:
        BadParameter: k, block, products or the tolerance is out of range, or the end unknown.
        CannotMeasure: a product is not finite.

    >>> from chymist.instruments.operators import from_matrix
    >>> A = from_matrix(torch.diag(torch.tensor([3.0, 3.0, 1.0, -5.0])))
    >>> eigenpairs(A, 2).values.round(decimals=4)
    tensor([[3., 3.]], dtype=torch.float64)
    >>> eigenpairs(A, 1, end="magnitude").values.round(decimals=4)
    tensor([[-5.]], dtype=torch.float64)
    """
    checked = block is None and start is None and k > 1
    block = 1 if block is None else block
    _in_range(operator, k, end, tolerance, block, products)
    order = _ORDER[end]
    key = key or Key("instruments", "eigenpairs", 0, "start")
    search = Basis(operator, key, block if start is None else start.shape[1], start)
    before = operator.counts
    least = k if start is not None else min(k + EARLY, operator.size)
    found = _Found.nothing(operator.lanes, k)
    while True:
        search.grow()
        if search.width >= least:
            now = search.best(k, order, tolerance)
            found = found.updated(now, search)
            done = search.whole or bool(found.done.all())
            if done and checked and not search.whole:
                checked = False
                again = _may_occur_again(search, found, now, end, tolerance)
                if bool(again.any()):
                    found = replace(found, done=found.done & ~again)
                    search.widen(k)
                    done = search.whole
                    if done:
                        found = found.updated(now := search.best(k, order, tolerance), search)
            if done or operator.products - before[0] >= products:
                break
        most = min(operator.size, max(basis or 0, 2 * k + 4 * search.block, k + 20 + search.block))
        if search.width + search.block > most:
            # Half of the basis is kept: the wanted vectors and those next to converge.
            search.restart(max(k, (most - search.block) // 2), order)
    vectors = found.made(search, now)
    return Eigenpairs(
        operator.known(found.ritz.values), operator.known(found.ritz.residuals),
        operator.known(found.ritz.errors), found.ritz.converged & ~operator.lost[:, None],
        operator.products - before[0], operator.gradients_since(before),
        vectors[:, :k], vectors,
    )  # fmt: skip


def _may_occur_again(search: Basis, found: _Found, now: Ritz, end: End, tolerance: float) -> Tensor:
    """Say in which lanes one of the k values may occur more often than it was found.

    The matrix on the rest of the space, searched from a fresh normal vector by Lanczos, has what
    the basis has missed of an eigenspace as eigenvectors. An eigenvalue x of it that the vector has
    the component c along obeys |p(x)| |c| <= ||p(B) v|| for every polynomial p; with that of the
    Ritz values, monic, the right side is the product of the off-diagonal entries and of ||v||. A
    normal c is not below `least` but with a chance of `MISSED`.
    """
    order = _ORDER[end]
    least = NormalDist().inv_cdf(0.5 + MISSED / 2)
    outer = order(found.ritz.values).double()
    eps = torch.finfo(search.operator.like.dtype).eps
    size = found.ritz.values.abs()
    slack = torch.maximum(tolerance * size[:, -1], 8 * eps * size.amax(1))
    # Another k-th value would change nothing, another (k-1)-th would take its place.
    limit = 0.5 * (outer[:, -1] + outer[:, -2]) + slack
    # What a lane has met with since it was done, for others' sake, is in the basis.
    met = (order(now.values) > outer + slack[:, None]).any(1)
    first = search.width
    search.aside()
    may = ~search.operator.lost
    while bool(may.any()) and search.width < 2 * max(first, 8) and not search.whole:
        search.grow()
        chain = search.projection[:, first:, first:]
        passed = chain.diagonal(offset=1, dim1=1, dim2=2).abs()
        length = torch.cat([passed, search.gram[:, 0].sqrt()], dim=1).clamp(min=1e-300)
        goal = length.log().sum(1) + math.log(search.operator.size**0.5 / least)
        nodes = torch.linalg.eigvalsh(chain)
        sides = {"top": [nodes], "bottom": [-nodes], "magnitude": [nodes, -nodes]}[end]
        away = limit[:, None] - torch.stack(sides)
        beyond = away.clamp(min=1e-300).log().sum(2) > goal
        may &= ~((away > 0).all(2) & beyond).all(0)
        if bool((may & (away < 0).any(2).any(0)).any()):
            break
    return may | (met & ~search.operator.lost)


@dataclass(frozen=True, eq=False)
class _Found:
    """The best pairs so far. Vectors are made when a lane is done, and for all in the end."""

    ritz: Ritz
    done: Tensor
    vectors: Tensor | None

    @classmethod
    def nothing(cls, lanes: int, k: int) -> _Found:
        """Make the beginning, at which no lane is done."""
        zeros = torch.zeros(lanes, k, dtype=torch.float64)
        return cls(Ritz(zeros, zeros, zeros, zeros.bool(), zeros), zeros.bool().any(1), None)

    def updated(self, now: Ritz, search: Basis) -> _Found:
        """Take over the lanes that were not done: a done lane does not feel its neighbours."""
        keep, old = self.done[:, None], self.ritz
        ritz = Ritz(
            torch.where(keep, old.values, now.values),
            torch.where(keep, old.residuals, now.residuals),
            torch.where(keep, old.errors, now.errors),
            torch.where(keep, old.converged, now.converged),
            now.rotation,
        )
        done = ritz.converged.all(1)
        newly = bool((done & ~self.done).any())
        vectors = self.made(search, now) if newly else self.vectors
        return _Found(ritz, done, vectors)

    def made(self, search: Basis, now: Ritz) -> Tensor:
        """Return the vectors: those kept of lanes that are done, the latest of the others."""
        if self.vectors is not None and bool(self.done.all()):
            return self.vectors
        latest = search.turned(now.rotation)
        if self.vectors is None:
            return latest
        return torch.where(self.done[:, None, None].to(latest.device), self.vectors, latest)


def _in_range(
    operator: Operator, k: int, end: str, tolerance: float, block: int, products: int
) -> None:
    if not 1 <= k <= operator.size:
        raise BadParameter(
            f"k is {k}", f"the operator has {operator.size} eigenvalues: give 1 to {operator.size}"
        )
    if end not in _ORDER:
        raise BadParameter(f"end is {end!r}", f"one of {', '.join(_ORDER)}")
    if not tolerance > 0:
        raise BadParameter(f"tolerance is {tolerance}", "it must be positive")
    if block < 1 or products < 1:
        raise BadParameter(f"block is {block} and products {products}", "both must be 1 or more")

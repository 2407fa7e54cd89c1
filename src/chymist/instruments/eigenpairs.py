"""Eigenvalues and eigenvectors at an end of the spectrum, by block Lanczos, of all lanes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from chymist.errors import BadParameter
from chymist.instruments.operators import Operator
from chymist.keys import Key

End = Literal["top", "bottom", "magnitude"]
"""The largest eigenvalues, the smallest, or those of largest magnitude."""

_ORDER: dict[str, Callable[[Tensor], Tensor]] = {
    "top": lambda values: values,
    "bottom": lambda values: -values,
    "magnitude": torch.abs,
}


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
    """Return k eigenpairs of each lane's matrix by block Lanczos with full reorthogonalisation.

    The basis grows by `block` vectors at a time (default: k, so that an eigenvalue that occurs up
    to k times is found as often) and is restarted from its best Ritz vectors when it holds `basis`
    vectors. Each lane stops when the estimated errors of its k values are below `tolerance` times
    their magnitude, or at rounding; all stop at about `products` products. `start` gives vectors to
    begin with, such as the last measurement's: the closer, the fewer products. Otherwise they are
    drawn from `key`, the same for every lane.

    Shapes: values (lane, k) in float64, vectors (lane, k, parameter), orthonormal; a lane that is
    lost (see `Operator`) is NaN. Unit of the
    operator. Cost: two gradient evaluations a product and one for the graph. Memory: lanes x basis
    x parameters numbers. Error: estimated in the result. Sources: Golub and Underwood (1977), The
    block Lanczos method; Wu and Simon (2000), SIAM J. Matrix Anal. Appl. 22 (thick restart);
    Parlett (1998), The symmetric eigenvalue problem (error bounds).

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
    block = min(k if block is None else block, operator.size)
    basis = min(operator.size, max(basis or 0, 2 * k + 4 * block, k + 20 + block))
    _in_range(operator, k, end, tolerance, block, products)
    key = key or Key("instruments", "eigenpairs", 0, "start")
    search = _Search(operator, key, block if start is None else start.shape[1], start)
    before = operator.counts
    found: _Found | None = None
    while True:
        search.grow()
        if search.width >= k:
            now = search.best(k, _ORDER[end], tolerance)
            found = now if found is None else found.updated(now)
            if search.whole or bool(found.done.all()) or operator.products - before[0] >= products:
                break
        if search.width + search.block > basis:
            # Half of the basis is kept: the wanted vectors and those next to converge.
            search.restart(max(k, (basis - search.block) // 2), _ORDER[end])
    return Eigenpairs(
        operator.known(found.values), operator.known(found.residuals),
        operator.known(found.errors), found.converged & ~operator.lost[:, None],
        operator.products - before[0], operator.gradients_since(before),
        found.vectors[:, :k], found.vectors,
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class _Found:
    values: Tensor
    residuals: Tensor
    errors: Tensor
    converged: Tensor
    vectors: Tensor

    @property
    def done(self) -> Tensor:
        return self.converged.all(1)

    def updated(self, now: _Found) -> _Found:
        """Take over the lanes that were not done: a done lane does not feel its neighbours."""
        keep = self.done[:, None]
        return _Found(
            torch.where(keep, self.values, now.values),
            torch.where(keep, self.residuals, now.residuals),
            torch.where(keep, self.errors, now.errors),
            torch.where(keep, self.converged, now.converged),
            torch.where(keep[..., None].to(now.vectors.device), self.vectors, now.vectors),
        )


class _Search:
    """A growing orthonormal basis of each lane, and the operator's projection onto it.

    `basis` (lane, vector, parameter) has been multiplied; `rest` is what the products of its last
    block have outside of it, `gram` that block's scalar products, `scale` what is large in a lane.
    """

    def __init__(self, operator: Operator, key: Key, block: int, start: Tensor | None) -> None:
        self.operator, self.block, self.key = operator, min(block, operator.size), key
        lanes, size, like = operator.lanes, operator.size, operator.like
        self.basis = torch.empty(lanes, 0, size, dtype=like.dtype, device=like.device)
        self.projection = torch.empty(lanes, 0, 0, dtype=torch.float64)
        self.rest = self._drawn(self.block) if start is None else start.to(like)[:, : self.block]
        self.gram = torch.empty(lanes, 0, 0, dtype=torch.float64)
        self.scale = self.rest.norm(dim=2).amax(1)

    @property
    def width(self) -> int:
        """Vectors in the basis."""
        return self.basis.shape[1]

    @property
    def whole(self) -> bool:
        """Whether the basis spans the whole space."""
        return self.width == self.operator.size

    def grow(self) -> None:
        """Add the next block to the basis, and its products to the projection."""
        room = self.operator.size - self.width
        block = self._orthonormal(self.rest[:, :room], self.scale)
        image = self.operator(block)
        old, new = self.width, block.shape[1]
        self.basis = torch.cat([self.basis, block], dim=1)
        self.rest, along = _without(image, self.basis)
        wide = self.rest.double()
        # In the whole space nothing is left but rounding.
        self.gram = (wide @ wide.mT).cpu() * (new < room)
        projection = torch.zeros(len(image), old + new, old + new, dtype=torch.float64)
        projection[:, :old, :old] = self.projection
        column = along.double().cpu()
        projection[:, old:, :] = column
        projection[:, :, old:] = column.mT
        corner = column[:, :, old:]
        projection[:, old:, old:] = 0.5 * (corner + corner.mT)
        self.projection = projection
        self.scale = projection.flatten(1).norm(dim=1).to(self.rest)

    def best(self, k: int, order: Callable[[Tensor], Tensor], tolerance: float) -> _Found:
        """Return the k Ritz pairs at the end, and whether they are good enough."""
        values, rotation = self._ritz(order)
        last = rotation[:, -self.gram.shape[1] :]
        residual = (last * (self.gram @ last)).sum(1).clamp(min=0).sqrt()
        wanted, rest = values[:, :k], values[:, k:]
        residuals = residual[:, :k]
        norm = values.abs().amax(1, keepdim=True)
        # The gaps are those seen: to the other Ritz values, and of all the wanted to the rest.
        apart = (wanted[:, :, None] - values[:, None, :]).abs()
        apart[:, torch.arange(k), torch.arange(k)] = torch.inf
        alone = residuals.square() / apart.amin(-1).clamp(min=1e-300)
        if rest.shape[1]:
            gap = (order(wanted).amin(1) - order(rest).amax(1)).clamp(min=1e-300)
            together = residuals.square().sum(1) / gap
        else:
            together = torch.full_like(norm[:, 0], torch.inf)
        errors = torch.minimum(residuals, torch.minimum(alone, together[:, None]))
        if self.width < min(2 * k, self.operator.size):
            errors = residuals
        eps = torch.finfo(self.operator.like.dtype).eps
        converged = errors <= torch.maximum(tolerance * wanted.abs(), 4 * eps * norm)
        kept = min(max(k, self.block), self.width)
        vectors = rotation[:, :, :kept].mT.to(self.basis) @ self.basis
        return _Found(wanted, residuals, errors, converged, vectors)

    def restart(self, keep: int, order: Callable[[Tensor], Tensor]) -> None:
        """Shrink the basis to its best Ritz vectors, and go on with the same rest."""
        values, rotation = self._ritz(order)
        rotation = rotation[:, :, :keep]
        self.basis = rotation.mT.to(self.basis) @ self.basis
        self.projection = torch.diag_embed(values[:, :keep])

    def _ritz(self, order: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
        values, rotation = torch.linalg.eigh(self.projection)
        place = order(values).argsort(dim=1, descending=True)
        return (
            values.gather(1, place),
            rotation.gather(2, place[:, None].expand_as(rotation)),
        )

    def _drawn(self, count: int) -> Tensor:
        """Fresh vectors, the same for every lane and whichever lanes need them."""
        purpose = f"{self.key.purpose}, {self.width} vectors known"
        generator = replace(self.key, purpose=purpose).torch()
        drawn = torch.randn(count, self.operator.size, generator=generator, dtype=torch.float64)
        return drawn.to(self.operator.like).expand(self.operator.lanes, -1, -1)

    def _orthonormal(self, vectors: Tensor, scale: Tensor) -> Tensor:
        """Make vectors orthonormal and orthogonal to the basis.

        A vector of which no more than rounding is left beside `scale`, one number a lane, is
        replaced by a fresh one.
        """
        eps = torch.finfo(vectors.dtype).eps
        made: list[Tensor] = []
        fresh = None
        for number, vector in enumerate(vectors.unbind(1)):
            known = torch.stack(made, dim=1) if made else self.basis[:, :0]
            rest, _ = _without(vector[:, None], known)
            gone = rest.norm(dim=2, keepdim=True) <= 10 * eps * scale[:, None, None]
            if bool(gone.any()):
                fresh = self._drawn(vectors.shape[1]) if fresh is None else fresh
                rest = torch.where(gone, fresh[:, number : number + 1], rest)
            rest = rest / rest.norm(dim=2, keepdim=True)
            # Again, since what is left of a vector may be small beside what was taken out.
            rest, _ = _without(rest, torch.cat([self.basis, known], dim=1))
            made.append((rest / rest.norm(dim=2, keepdim=True))[:, 0])
        return torch.stack(made, dim=1)


def _without(vectors: Tensor, basis: Tensor) -> tuple[Tensor, Tensor]:
    """Take a basis out of vectors, twice for rounding; return the rest and what was taken."""
    along = vectors @ basis.mT
    rest = vectors - along @ basis
    again = rest @ basis.mT
    return rest - again @ basis, along + again


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

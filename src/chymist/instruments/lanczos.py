"""A growing orthonormal basis of every lane, and the projection of a symmetric matrix onto it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from chymist.instruments.operators import Operator
from chymist.keys import Key

Order = Callable[[Tensor], Tensor]
"""eigenvalues -> numbers that are the larger the further out at the wanted end they are."""


@dataclass(frozen=True, eq=False)
class Ritz:
    """The k Ritz pairs furthest out, in float64; `rotation` (lane, basis, vector) gives vectors."""

    values: Tensor
    residuals: Tensor
    errors: Tensor
    converged: Tensor
    rotation: Tensor


class Basis:
    """What block Lanczos knows of each lane's matrix, with full reorthogonalisation.

    `vectors` (lane, vector, parameter) have been multiplied, `projection` is the matrix between
    them. `rest` is what the products of the last block have outside of the basis, and comes next;
    `gram` holds that block's scalar products, `scale` what is large in a lane.
    """

    def __init__(self, operator: Operator, key: Key, block: int, start: Tensor | None) -> None:
        self.operator, self.block, self.key = operator, min(block, operator.size), key
        like = operator.like
        self._held = torch.empty(operator.lanes, 0, operator.size, dtype=like.dtype).to(like.device)
        self.width = 0
        self.projection = torch.empty(operator.lanes, 0, 0, dtype=torch.float64)
        self.rest = self.drawn(self.block) if start is None else start.to(like)[:, : self.block]
        self.gram = torch.empty(operator.lanes, 0, 0, dtype=torch.float64)
        self.scale = self.rest.norm(dim=2).amax(1)
        self._left = self.rest[:, :0]

    @property
    def vectors(self) -> Tensor:
        """The vectors so far."""
        return self._held[:, : self.width]

    @property
    def whole(self) -> bool:
        """Whether the basis spans the whole space."""
        return self.width == self.operator.size

    def grow(self) -> None:
        """Add the next block to the basis, and its products to the projection."""
        old, room = self.width, self.operator.size - self.width
        block = self._orthonormal(self.rest[:, :room])
        new = block.shape[1]
        self._hold(block)
        image = self.operator(block)
        self.rest, along = without(image, self.vectors)
        if new < room:
            self.gram = _scalar_products(self.rest)
        else:
            # In the whole space nothing is left but rounding.
            self.gram = torch.zeros(len(image), new, new, dtype=torch.float64)
        column = along.double().cpu()
        projection = column.new_zeros(len(image), old + new, old + new)
        projection[:, :old, :old] = self.projection
        projection[:, old:] = column
        projection[:, :, old:] = column.mT
        if new > 1:
            corner = column[:, :, old:]
            projection[:, old:, old:] = 0.5 * (corner + corner.mT)
        self.projection = projection
        self.scale = projection.square().sum((1, 2)).sqrt().to(self.rest)

    def best(self, k: int, order: Order, tolerance: float) -> Ritz:
        """Return the k Ritz pairs at the end, and whether they are good enough."""
        values, rotation = self._ritz(order)
        last = rotation[:, -self.gram.shape[1] :]
        residual = (last * (self.gram @ last)).sum(1).clamp(min=0).sqrt()
        wanted, rest = values[:, :k], values[:, k:]
        residuals = residual[:, :k]
        norm = values.abs().amax(1, keepdim=True)
        errors = residuals
        if self.width >= min(2 * k, self.operator.size):
            # The gaps are those seen: to the other Ritz values, and of all the wanted to the rest.
            apart = (wanted[:, :, None] - values[:, None, :]).abs()
            apart[:, torch.arange(k), torch.arange(k)] = torch.inf
            squares = residuals.square()
            errors = torch.minimum(errors, squares / apart.amin(-1).clamp(min=1e-300))
            if rest.shape[1]:
                gap = (order(wanted).amin(1) - order(rest).amax(1)).clamp(min=1e-300)
                errors = torch.minimum(errors, (squares.sum(1) / gap)[:, None])
        eps = torch.finfo(self.operator.like.dtype).eps
        converged = errors <= torch.maximum(tolerance * wanted.abs(), 4 * eps * norm)
        kept = min(max(k, self.block), self.width)
        return Ritz(wanted, residuals, errors, converged, rotation[:, :, :kept])

    def turned(self, rotation: Tensor) -> Tensor:
        """Return Ritz vectors (lane, vector, parameter) from their rotation."""
        return rotation.mT.to(self._held) @ self.vectors

    def restart(self, keep: int, order: Order) -> None:
        """Shrink the basis to its best Ritz vectors, and go on with the same rest."""
        values, rotation = self._ritz(order)
        kept = self.turned(rotation[:, :, :keep])
        self.width = kept.shape[1]
        self._held[:, : self.width] = kept
        self.projection = torch.diag_embed(values[:, :keep])

    def aside(self) -> None:
        """Lay the rest aside, and go on from a fresh vector."""
        self._left = self.rest
        self.rest = self.drawn(1)

    def widen(self, block: int) -> None:
        """Go on with so many vectors at a time: what was laid aside, the rest, and fresh ones."""
        known, _ = without(self._left, self.vectors)
        both = torch.cat([known, self.rest], dim=1)
        self.block = max(block, both.shape[1])
        self.rest = torch.cat([both, self.drawn(self.block - both.shape[1])], dim=1)

    def drawn(self, count: int) -> Tensor:
        """Fresh vectors, the same for every lane and whichever lanes need them."""
        purpose = f"{self.key.purpose}, {self.width} vectors known"
        generator = replace(self.key, purpose=purpose).torch()
        drawn = torch.randn(count, self.operator.size, generator=generator, dtype=torch.float64)
        return drawn.to(self.operator.like).expand(self.operator.lanes, -1, -1)

    def _hold(self, block: Tensor) -> None:
        needed = self.width + block.shape[1]
        if needed > self._held.shape[1]:
            # Half as much again each time: memory that is not written to is not taken.
            more = min(self.operator.size, max(needed, 24, 3 * self.width // 2))
            held = self._held.new_empty(len(block), more, block.shape[2])
            held[:, : self.width] = self.vectors
            self._held = held
        self._held[:, self.width : needed] = block
        self.width = needed

    def _ritz(self, order: Order) -> tuple[Tensor, Tensor]:
        values, rotation = torch.linalg.eigh(self.projection)
        place = order(values).argsort(dim=1, descending=True)
        return (
            values.gather(1, place),
            rotation.gather(2, place[:, None].expand_as(rotation)),
        )

    def _orthonormal(self, vectors: Tensor) -> Tensor:
        """Make vectors orthonormal and orthogonal to the basis.

        A vector of which no more than rounding is left beside `scale` is replaced by a fresh one.
        """
        eps = torch.finfo(vectors.dtype).eps
        small = 10 * eps * self.scale[:, None, None]
        made: list[Tensor] = []
        fresh = None
        for number in range(vectors.shape[1]):
            rest = vectors[:, number : number + 1]
            if made:
                rest, _ = without(rest, torch.cat(made, dim=1))
            length = rest.norm(dim=2, keepdim=True)
            gone = length <= small
            if bool(gone.any()):
                fresh = self.drawn(vectors.shape[1]) if fresh is None else fresh
                rest = torch.where(gone, fresh[:, number : number + 1], rest)
                length = rest.norm(dim=2, keepdim=True)
            # Again, since what is left of a vector may be small beside what was taken out.
            known = torch.cat([self.vectors, *made], dim=1) if made else self.vectors
            rest, _ = without(rest / length, known)
            made.append(rest / rest.norm(dim=2, keepdim=True))
        return made[0] if len(made) == 1 else torch.cat(made, dim=1)


def without(vectors: Tensor, basis: Tensor) -> tuple[Tensor, Tensor]:
    """Take a basis out of vectors, twice for rounding; return the rest and what was taken."""
    turned = basis.mT
    along = vectors @ turned
    rest = torch.baddbmm(vectors, along, basis, alpha=-1)
    again = rest @ turned
    return torch.baddbmm(rest, again, basis, alpha=-1), along + again


def _scalar_products(vectors: Tensor) -> Tensor:
    wide = vectors.double()
    return (wide @ wide.mT).cpu()

"""A parameter's gradients of single samples: by their factors, or row by row in blocks.

The gradient that sample i gives the weight W of a linear layer is sum_t b_it a_it^T over positions
t, a the layer's inputs and b the slopes of sample i's loss by its outputs. Norms, sums, squares and
inner products of such gradients come from a and b without forming them (positions 1), or by forming
them a block of samples at a time.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

BLOCK = 1 << 22
"""Numbers that a block of rows holds: 32 MB in double precision."""


@dataclass(frozen=True, eq=False)
class SamplePart(ABC):
    """All samples' gradients by one parameter, or by several; rows are (lane, sample, entry)."""

    lanes: int
    samples: int
    size: int

    @abstractmethod
    def rows(self, first: int, last: int) -> Float[Tensor, "lane sample entry"]:
        """Return some samples' gradients."""

    def blocks(self) -> Iterator[tuple[int, Float[Tensor, "lane sample entry"]]]:
        """Yield blocks of samples of at most `BLOCK` numbers, each with its first sample."""
        step = max(1, BLOCK // max(1, self.lanes * self.size))
        for first in range(0, self.samples, step):
            yield first, self.rows(first, min(first + step, self.samples))

    def squares(self) -> Float[Tensor, "lane sample"]:
        """Return the squared norm of every sample's gradient."""
        return torch.cat([rows.square().sum(2) for _, rows in self.blocks()], dim=1)

    def total(self) -> Float[Tensor, "lane entry"]:
        """Return the sum of all gradients."""
        return torch.stack([rows.sum(1) for _, rows in self.blocks()]).sum(0)

    def moments(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return squared norms (lane, sample), the sum and the sum of squares (lane, entry)."""
        norms, totals, squares = [], [], []
        for _, rows in self.blocks():
            totals.append(rows.sum(1))
            squared = rows.square_() if rows.numel() and self.fresh else rows.square()
            norms.append(squared.sum(2))
            squares.append(squared.sum(1))
        return torch.cat(norms, dim=1), torch.stack(totals).sum(0), torch.stack(squares).sum(0)

    @property
    def fresh(self) -> bool:
        """Whether rows are made anew each time, and may be overwritten."""
        return False

    def along(self, direction: Float[Tensor, "lane entry"]) -> Float[Tensor, "lane sample"]:
        """Return every sample's gradient times a direction."""
        made = [(rows @ direction[..., None])[..., 0] for _, rows in self.blocks()]
        return torch.cat(made, dim=1)

    def combined(self, weights: Float[Tensor, "lane k sample"]) -> Float[Tensor, "lane k entry"]:
        """Return sums of gradients with weights."""
        made = [weights[..., a : a + r.shape[1]] @ r for a, r in self.blocks()]
        return torch.stack(made).sum(0)

    def gram(self) -> Float[Tensor, "lane sample sample"]:
        """Return the inner products of all gradients with each other."""
        made = []
        for first, rows in self.blocks():
            row = [rows @ others.mT for second, others in self.blocks() if second >= first]
            done = torch.zeros(self.lanes, rows.shape[1], first, dtype=rows.dtype)
            made.append(torch.cat([done.to(rows.device), *row], dim=2))
        whole = torch.cat(made, dim=1)
        return whole.triu() + whole.triu(1).mT


@dataclass(frozen=True, eq=False)
class Outer(SamplePart):
    """Gradients sum_t b_it a_it^T of a weight, flattened as the weight is."""

    inputs: Float[Tensor, "lane sample position input"]
    slopes: Float[Tensor, "lane sample position output"]

    def rows(self, first: int, last: int) -> Float[Tensor, "lane sample entry"]:
        """Return some samples' gradients."""
        made = self.slopes[:, first:last].mT @ self.inputs[:, first:last]
        return made.flatten(2)

    @property
    def fresh(self) -> bool:
        """Whether rows are made anew each time, and may be overwritten."""
        return True

    @property
    def single(self) -> bool:
        """Whether there is one position, so that a gradient is one outer product."""
        return self.inputs.shape[2] == 1

    def squares(self) -> Float[Tensor, "lane sample"]:
        """Return the squared norm of every sample's gradient."""
        if self.single:
            return (_squared(self.inputs) * _squared(self.slopes))[..., 0]
        positions, a, b = self.inputs.shape[2], self.inputs.shape[3], self.slopes.shape[3]
        if positions * (a + b) < a * b:
            products = (self.inputs @ self.inputs.mT) * (self.slopes @ self.slopes.mT)
            return products.sum((2, 3))
        return super().squares()

    def total(self) -> Float[Tensor, "lane entry"]:
        """Return the sum of all gradients."""
        return (self.slopes.flatten(1, 2).mT @ self.inputs.flatten(1, 2)).flatten(1)

    def moments(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return squared norms (lane, sample), the sum and the sum of squares (lane, entry)."""
        if not self.single:
            return super().moments()
        a, b = self.inputs[:, :, 0].square(), self.slopes[:, :, 0].square()
        return a.sum(2) * b.sum(2), self.total(), (b.mT @ a).flatten(1)

    def along(self, direction: Float[Tensor, "lane entry"]) -> Float[Tensor, "lane sample"]:
        """Return every sample's gradient times a direction."""
        matrix = direction.view(self.lanes, 1, self.slopes.shape[3], self.inputs.shape[3])
        return ((self.inputs @ matrix.mT) * self.slopes).sum((2, 3))

    def combined(self, weights: Float[Tensor, "lane k sample"]) -> Float[Tensor, "lane k entry"]:
        """Return sums of gradients with weights."""
        scaled = weights[..., None, None] * self.slopes[:, None]
        return (scaled.flatten(2, 3).mT @ self.inputs.flatten(1, 2)[:, None]).flatten(2)

    def gram(self) -> Float[Tensor, "lane sample sample"]:
        """Return the inner products of all gradients with each other."""
        if not self.single:
            return super().gram()
        a, b = self.inputs[:, :, 0], self.slopes[:, :, 0]
        return (a @ a.mT) * (b @ b.mT)


@dataclass(frozen=True, eq=False)
class Held(SamplePart):
    """Gradients that are small enough to be held, as those of biases."""

    held: Float[Tensor, "lane sample entry"]

    def rows(self, first: int, last: int) -> Float[Tensor, "lane sample entry"]:
        """Return some samples' gradients."""
        return self.held[:, first:last]

    def squares(self) -> Float[Tensor, "lane sample"]:
        """Return the squared norm of every sample's gradient."""
        return self.held.square().sum(2)

    def total(self) -> Float[Tensor, "lane entry"]:
        """Return the sum of all gradients."""
        return self.held.sum(1)


@dataclass(frozen=True, eq=False)
class Made(SamplePart):
    """Gradients made sample by sample whenever they are asked for."""

    make: Callable[[int, int], Float[Tensor, "lane sample entry"]]

    def rows(self, first: int, last: int) -> Float[Tensor, "lane sample entry"]:
        """Return some samples' gradients."""
        return self.make(first, last)


def _squared(factor: Tensor) -> Tensor:
    return factor.square().sum(-1)

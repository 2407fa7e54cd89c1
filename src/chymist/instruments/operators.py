"""A symmetric matrix a lane, known by its products with vectors, and what is made of such."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from chymist.errors import CannotMeasure

Block = Float[Tensor, "lane vector parameter"]
"""Several vectors in parameter space a lane."""

GRADIENTS_A_PRODUCT = 2
"""Gradient evaluations, by arithmetic, that one product counts for."""


@dataclass(eq=False)
class Operator:
    """A symmetric matrix a lane, known by its products with vectors.

    `products` counts the vectors multiplied so far in each lane. A product that is not finite is
    refused, or, where lanes may diverge (`may_lose`), taken as zero: `lost` says in which lanes,
    whose results mean nothing. `remade` says that the graph is made anew for every block.

    Raises:
        CannotMeasure: at a product, if vectors have the wrong shape or the result is not finite.
    """

    multiply: Callable[[Block], Block]
    lanes: int
    size: int
    like: Tensor
    may_lose: bool = False
    remade: bool = False
    products: int = 0
    calls: int = 0
    lost: Tensor = field(init=False)

    def __post_init__(self) -> None:
        self.lost = torch.zeros(self.lanes, dtype=torch.bool)

    def __call__(self, vectors: Block) -> Block:
        """Return the products with a block of vectors (lane, vector, parameter)."""
        expected = (self.lanes, self.size)
        if vectors.ndim != 3 or (vectors.shape[0], vectors.shape[2]) != expected:
            raise CannotMeasure(
                f"vectors have shape {tuple(vectors.shape)}",
                f"the operator takes ({self.lanes}, any, {self.size})",
            )
        self.products += vectors.shape[1]
        self.calls += 1
        made = self.multiply(vectors.to(self.like))
        finite = made.isfinite().flatten(1).all(1)
        if not bool(finite.all()):
            if not self.may_lose:
                raise CannotMeasure(
                    "a product of the curvature with a vector is not finite",
                    "the loss's derivatives overflow or are undefined here",
                )
            self.lost |= ~finite.cpu()
            made = made.masked_fill(~finite[:, None, None], 0.0)
        return made

    def known(self, values: Tensor) -> Tensor:
        """Return values (lane, ...) with those of lost lanes missing: NaN."""
        if not bool(self.lost.any()):
            return values
        lost = self.lost.to(values.device).reshape(-1, *(1,) * (values.ndim - 1))
        return values.masked_fill(lost, torch.nan)

    @property
    def gradients(self) -> int:
        """Gradient evaluations so far: one for the graph, each time it is made; two a product."""
        return self.gradients_since((0, 0))

    @property
    def counts(self) -> tuple[int, int]:
        """Products and calls so far."""
        return self.products, self.calls

    def gradients_since(self, counts: tuple[int, int]) -> int:
        """Return the gradient evaluations since then, with one for a graph that is kept."""
        products, calls = self.products - counts[0], self.calls - counts[1]
        return (calls if self.remade else 1) + GRADIENTS_A_PRODUCT * products


def preconditioned(operator: Operator, diagonal: Float[Tensor, "*lane parameter"]) -> Operator:
    """P^-1/2 A P^-1/2 for a positive diagonal P: symmetric, with the eigenvalues of P^-1 A.

    What an adaptive method's stability depends on: for Adam P = (1 - beta1^t) (sqrt(v_hat) + eps),
    for RMSProp P = sqrt(v_hat) + eps, v_hat that of the step. `Objective.rows` makes a diagonal
    from tensors by name. Shape and unit: the operator's, over those of P. Cost: as of the operator.
    Memory: P. Error: rounding. Source: Cohen et al. (2022), arXiv:2207.14484.

    Raises:
        CannotMeasure: P has another shape, or is not positive and finite everywhere.

    >>> A = from_matrix(torch.diag(torch.tensor([4.0, 9.0])))
    >>> dense(preconditioned(A, torch.tensor([4.0, 16.0]))).diagonal(dim1=1, dim2=2)
    tensor([[1.0000, 0.5625]])
    """
    if diagonal.shape not in ((operator.size,), (operator.lanes, operator.size)):
        raise CannotMeasure(
            f"the preconditioner has shape {tuple(diagonal.shape)}",
            f"it needs ({operator.lanes}, {operator.size}): one number a parameter",
        )
    bad = ~((diagonal > 0) & diagonal.isfinite())
    if bool(bad.any()):
        raise CannotMeasure(
            f"the preconditioner is {diagonal[bad][0].item():.6g} at one parameter",
            "it must be positive and finite; add the method's eps",
        )
    root = diagonal.to(operator.like).rsqrt().expand(operator.lanes, -1)[:, None]
    return Operator(
        lambda vectors: root * operator.multiply(root * vectors),
        operator.lanes, operator.size, operator.like, operator.may_lose, operator.remade,
    )  # fmt: skip


def from_matrix(matrix: Float[Tensor, "*lane parameter parameter"]) -> Operator:
    """Make an operator of a symmetric matrix, or of one a lane; its products are exact.

    >>> from_matrix(2 * torch.eye(2))(torch.ones(1, 1, 2))
    tensor([[[2., 2.]]])
    """
    stacked = matrix if matrix.ndim == 3 else matrix[None]
    return Operator(lambda v: v @ stacked.mT, len(stacked), stacked.shape[-1], stacked)


def dense(operator: Operator, at_once: int = 64) -> Float[Tensor, "lane parameter parameter"]:
    """Return an operator's whole matrix, made symmetric. Cost: one product a parameter.

    Memory: lanes x parameters squared, for small networks only.

    >>> dense(from_matrix(torch.eye(2)))
    tensor([[[1., 0.],
             [0., 1.]]])
    """
    eye = torch.eye(operator.size, dtype=operator.like.dtype, device=operator.like.device)
    rows = [operator(part.expand(operator.lanes, -1, -1)) for part in torch.split(eye, at_once)]
    whole = torch.cat(rows, dim=1)
    return 0.5 * (whole + whole.mT)

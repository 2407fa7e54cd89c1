"""The Hessian of a loss."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from chymist.errors import CannotMeasure
from chymist.instruments.objective import Gradient, Objective, Piece
from chymist.instruments.operators import Operator
from chymist.instruments.products import Product, backward, by_pieces, own_functions
from chymist.keys import Key


def hessian(objective: Objective) -> Operator:
    """Second derivatives H_pq = d^2 L / d w_p d w_q of each lane's loss L.

    L is normalised as the loss is (a mean over samples has the Hessian of the mean). Unit of the
    loss over the parameters' squared. Where the loss is piecewise linear its second derivative is
    zero, and kinks are not seen. Shape: an operator on (lane, vector, parameter). Cost: two
    gradient evaluations a product. Memory: a gradient's graph. Error: rounding. Source: Pearlmutter
    (1994), Neural Computation 6.

    Raises:
        CannotMeasure: an operation has no second derivative; a product is not finite.

    The Hessian of half the squared error of a line w x is the mean of x^2:

    >>> from chymist.instruments.one_network import objective
    >>> x = torch.tensor([[1.0], [3.0]])
    >>> half = lambda out, y: 0.5 * (out - y).square().mean()
    >>> H = hessian(objective(torch.nn.Linear(1, 1, bias=False), half, (x, x)))
    >>> H(torch.ones(1, 1, 1))
    tensor([[[5.]]])
    """

    def product(piece: Piece, graph: Gradient) -> Product:
        # One row, so that a product crosses from Python to the graph and back once.
        with torch.enable_grad():
            row = torch.cat([s.reshape(objective.lanes, -1) for s in graph.slopes], dim=1)

        def multiply(vector: Tensor, batched: bool) -> tuple[Tensor, ...]:
            # Slopes that do not depend on the leaves (a linear loss) have no second derivative.
            if not row.requires_grad:
                return (torch.zeros_like(vector),)
            return backward(graph, [row], [vector], graph.leaves, batched)

        return multiply

    made = by_pieces(objective, product)
    _believed(objective, made)
    return made


def _believed(objective: Objective, operator: Operator) -> None:
    """Compare a product with differences of gradients, if a loss has autograd functions of its own.

    PyTorch drops their second derivative without a word where the function was marked as once
    differentiable, or its backward pass detaches.
    """
    first = objective.kept or objective.graph(objective.pieces[0])
    own = ", ".join(sorted(own_functions(first)))
    if not own:
        return
    key = Key("instruments", "hessian", 0, "direction")
    direction = torch.randn(objective.size, generator=key.torch(), dtype=torch.float64)
    direction = (direction / direction.norm()).to(objective.like).expand(objective.lanes, -1)
    product = operator.multiply(direction[:, None])[:, 0]
    eps = torch.finfo(objective.like.dtype).eps
    point = objective.rows(objective.parameters)
    step = eps ** (1 / 3) * (1 + point.norm(dim=1).max())
    ahead, behind = (
        replace(objective, parameters=objective.named(point + side * step * direction)).gradient
        for side in (1, -1)
    )
    difference = (ahead - behind) / (2 * step)
    size = torch.maximum(product.norm(dim=1), difference.norm(dim=1))
    noise = 100 * eps * torch.maximum(ahead.norm(dim=1), behind.norm(dim=1)) / step
    if bool(((product - difference).norm(dim=1) > 0.1 * size + noise).any()):
        raise CannotMeasure(
            f"the loss is not twice differentiable: the second derivative of {own} is lost",
            "replace it by PyTorch's elementary operations",
        )

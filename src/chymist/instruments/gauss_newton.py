"""The generalised Gauss-Newton matrix of a loss."""

from __future__ import annotations

import torch
from torch import Tensor

from chymist.instruments.objective import Gradient, Objective, Piece
from chymist.instruments.operators import Operator
from chymist.instruments.products import (
    Product,
    backward,
    by_pieces,
    jacobian_product,
    tensor_outputs,
)


def gauss_newton(objective: Objective) -> Operator:
    """Generalised Gauss-Newton matrix G = J^T (d^2 l / dz^2) J, z the outputs, J = dz / dw.

    The Hessian without the curvature of the network; positive semidefinite for a convex loss of
    outputs z, and equal to the Hessian for a linear network or a perfect fit. Normalised as the
    loss; unit as of the Hessian. Equal to the true Fisher matrix if the loss is the negative
    log-likelihood of an exponential family whose natural parameters are the outputs (cross-entropy;
    half the squared error summed over outputs). Shape: an operator on (lane, vector, parameter).
    Cost: two gradient evaluations a product. Memory: a gradient's graph. Error: rounding. Source:
    Schraudolph (2002), Neural Computation 14.

    Raises:
        CannotMeasure: the outputs are no tensor; an operation has no second derivative.

    >>> from chymist.instruments.one_network import objective
    >>> x = torch.tensor([[1.0], [3.0]])
    >>> half = lambda out, y: 0.5 * (out - y).square().mean()
    >>> G = gauss_newton(objective(torch.nn.Linear(1, 1, bias=False), half, (x, x)))
    >>> G(torch.ones(1, 1, 1))
    tensor([[[5.]]])
    """

    def product(piece: Piece, graph: Gradient) -> Product:
        out = tensor_outputs(graph.outputs)
        with torch.enable_grad():
            z = out.detach().requires_grad_()
            (slope,) = torch.autograd.grad(
                piece.losses(z).sum(), z, create_graph=True, materialize_grads=True
            )
        forward = jacobian_product(graph, out)

        def multiply(vector: Tensor, batched: bool) -> tuple[Tensor, ...]:
            pushed = forward(objective.split(vector), batched)
            if not slope.requires_grad:
                return (torch.zeros_like(vector),)
            (bent,) = backward(graph, [slope], [pushed], (z,), batched)
            return backward(graph, [out], [bent], graph.leaves, batched)

        return multiply

    return by_pieces(objective, product)

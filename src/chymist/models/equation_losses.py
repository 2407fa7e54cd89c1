"""Losses of boundary-value problems, for networks whose derivatives are outputs (`jets`).

The problem is -Laplace u + c u = f inside a domain, u = g on its border. A sample is a point inside
or on the border; its target has five columns: f, c, g, and the weights with which it counts inside
and on the border, of which one is zero. `data.equation_targets` makes them.
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

COLUMNS = ("source", "coefficient", "border", "inside weight", "border weight")


def ritz(
    prediction: Float[Tensor, "sample 1+axis"],
    target: Float[Tensor, "sample 5"],
    penalty: float = 1000.0,
) -> Float[Tensor, ""]:
    """Energy: the mean of w (|grad u|^2 / 2 + c u^2 / 2 - f u) + penalty v (u - g)^2.

    Of a network with its slopes (`WithDerivatives(laplacian=False)`). With the weights w and v it
    is the integral of the energy over the domain and the penalty's mean over the border, as far as
    the points are a fair sample. Its least value is negative, so judge by the error instead. A
    minimum only where the operator is positive: not of Helmholtz's equation. Source: E, Yu (2018),
    arXiv:1710.00211.

    >>> import torch
    >>> ritz(torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, 0.0, 0.0, 1.0, 0.0]]))  # 2 - 3
    tensor(-1.)
    """
    u, slopes = prediction[:, :1], prediction[:, 1:]
    f, c, g, inside, border = (target[:, i : i + 1] for i in range(5))
    steep = (slopes * slopes).sum(-1, keepdim=True)
    energy = 0.5 * steep + 0.5 * (c * (u * u)) - f * u
    missed = (u - g) * (u - g)
    return (inside * energy + penalty * (border * missed)).mean()


def strong_residual(
    prediction: Float[Tensor, "sample 2+axis"],
    target: Float[Tensor, "sample 5"],
    penalty: float = 1000.0,
) -> Float[Tensor, ""]:
    """Squared residual: the mean of w (-Laplace u + c u - f)^2 + penalty v (u - g)^2.

    Of a network with its Laplacian in the last column (`WithDerivatives`): the loss of
    physics-informed networks. Source: Raissi, Perdikaris, Karniadakis (2019), JCP 378.

    >>> import torch
    >>> strong_residual(torch.tensor([[1.0, 0.0, 2.0]]), torch.tensor([[1.0, 4.0, 0.0, 1.0, 0.0]]))
    tensor(1.)
    """
    last = prediction.shape[-1] - 1
    u, laplacian = prediction[:, :1], prediction[:, last:]
    f, c, g, inside, border = (target[:, i : i + 1] for i in range(5))
    left = c * u - laplacian - f
    missed = (u - g) * (u - g)
    return (inside * (left * left) + penalty * (border * missed)).mean()

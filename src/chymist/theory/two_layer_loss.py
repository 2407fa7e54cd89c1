"""Half the mean squared error of a two-layer tanh network, with gradient and Hessian, in float64.

The network is f(x) = sum_j a_j tanh(w_j . x + b_j) + c. Its parameters stand in one vector in the
order of `MLP(d, m, 1)`: all w_j, all b_j, all a_j, c. Differentiated by hand: with residuals r and
Jacobian J of n samples the Hessian is J^T J / n + sum_i r_i grad^2 f(x_i) / n, and the second term
couples no two neurons, so that the whole costs little more than J^T J.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from chymist.theory import domain

Vector = ndarray[Any, Any]


@dataclass(frozen=True, eq=False)
class TwoLayerLoss:
    """The loss sum_i (f(x_i) - y_i)^2 / (2 n) as a function of the parameters of m neurons.

    x is (n, d), y is (n,); parameters are a vector of p = m (d + 2) + 1 numbers.

    Raises:
        ValueError: shapes do not fit, or an entry is not finite.

    One neuron at 0 with output weight 0 and one sample y = 1: only c has a gradient.

    >>> loss = TwoLayerLoss(np.array([[2.0]]), np.array([1.0]), 1)
    >>> loss(np.zeros(4)), float(loss.gradient(np.zeros(4))[-1])
    (0.5, -1.0)
    """

    x: Float[ndarray, "n d"]
    y: Float[ndarray, " n"]
    neurons: int

    def __post_init__(self) -> None:
        domain.whole(1, neurons=self.neurons)
        domain.finite(x=self.x, y=self.y)
        if self.x.ndim != 2 or self.y.shape != self.x.shape[:1]:
            raise ValueError(f"x must be (n, d) and y (n,), got {self.x.shape} and {self.y.shape}")

    @property
    def size(self) -> int:
        """Number of parameters."""
        features: int = self.x.shape[1]
        return self.neurons * (features + 2) + 1

    def __call__(self, w: Float[ndarray, " p"]) -> float:
        """Return the loss. Cost: one forward pass."""
        hidden, a, c = self._forward(w)
        return float(((hidden @ a + c - self.y) ** 2).mean() / 2)

    def gradient(self, w: Float[ndarray, " p"]) -> Float[ndarray, " p"]:
        """Return the gradient (p,). Cost: two forward passes."""
        hidden, a, c = self._forward(w)
        residual = (hidden @ a + c - self.y) / len(self.y)
        inner = residual[:, None] * (1 - hidden**2) * a
        parts = (inner.T @ self.x).ravel(), inner.sum(0), residual @ hidden, [residual.sum()]
        found: Vector = np.concatenate(parts)
        return found

    def hessian(self, w: Float[ndarray, " p"]) -> Float[ndarray, "p p"]:
        """Return the Hessian (p, p), symmetric. Cost: n p^2 multiplications."""
        hidden, a, c = self._forward(w)
        (n, d), m = self.x.shape, self.neurons
        residual = (hidden @ a + c - self.y) / n
        slope = 1 - hidden**2
        inner = slope * a
        first = (inner[:, :, None] * self.x[:, None]).reshape(n, m * d)
        jacobian = np.concatenate([first, inner, hidden, np.ones((n, 1))], axis=1)
        found: Vector = jacobian.T @ jacobian / n
        weights, biases, outer = np.arange(m * d).reshape(m, d), m * d + np.arange(m), m * (d + 1)
        # tanh'' = -2 tanh tanh'.
        bend = residual[:, None] * -2 * hidden * inner
        turn = residual[:, None] * slope
        # A product of matrices for each neuron, sum_n bend_nj x_np x_nq.
        found[weights[:, :, None], weights[:, None]] += (bend.T[:, None] * self.x.T) @ self.x
        for rows, columns, values in (
            (weights, biases[:, None], bend.T @ self.x),
            (weights, outer + np.arange(m)[:, None], turn.T @ self.x),
            (biases, outer + np.arange(m), turn.sum(0)),
        ):
            found[rows, columns] += values
            found[columns, rows] += values
        found[biases, biases] += bend.sum(0)
        return found

    def _forward(self, w: Vector) -> tuple[Vector, Vector, float]:
        """Return hidden activities (n, m), output weights and output bias."""
        m, d = self.neurons, self.x.shape[1]
        if np.shape(w) != (self.size,):
            raise ValueError(f"w must have shape ({self.size},), got {np.shape(w)}")
        inner, biases, a = np.split(np.asarray(w, dtype=float)[:-1], [m * d, m * (d + 1)])
        return np.tanh(self.x @ inner.reshape(m, d).T + biases), a, float(w[-1])

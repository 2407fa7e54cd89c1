"""How neurons turn to one line at first: the flow of small networks before the loss falls.

f(x) = sum_j a_j phi(w_j . (x, 1)) with phi(0) = 0 and slope k = phi'(0) not 0; while weights are
small, da/dt = k w . c and dw/dt = k a c, where c = (1/n) sum_i y_i (x_i, 1). Source: Zhou et al.
(NeurIPS 2022), arXiv:2105.11686, for activations of multiplicity one. In float64.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from chymist.theory import domain


class Neurons(NamedTuple):
    """Output and input weights of each neuron, the bias being the last input weight."""

    a: Float[ndarray, "*step m"]
    w: Float[ndarray, "*step m feature"]


def drift(x: Float[ndarray, "n feature"], y: Float[ndarray, " n"]) -> Float[ndarray, " feature"]:
    """The vector c = (1/n) sum_i y_i (x_i, 1) to whose line all neurons turn.

    For the loss (1/2n) sum (f - y)^2; of one entry more than x has features.

    Raises:
        ValueError: x or y is not finite, or their numbers of rows differ.

    >>> drift(np.array([[2.0], [4.0]]), np.array([1.0, 1.0])).tolist()
    [3.0, 1.0]
    """
    domain.finite(x=x, y=y)
    points, target = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    if len(points) != len(target):
        raise ValueError(f"x and y must have as many rows, got {len(points)} and {len(target)}")
    found: ndarray[Any, Any] = target @ np.column_stack([points, np.ones(len(points))])
    return found / len(target)


def initial_flow(
    start: Neurons, toward: Float[ndarray, " feature"], slope: float, time: Float[ndarray, " step"]
) -> Neurons:
    """Neurons at given times: along c/|c| they grow as cosh and sinh of k |c| t, across they stay.

    a(t) = a cosh + w_c sinh, w_c(t) = w_c cosh + a sinh, w_c the part of w along c/|c|: an exact
    solution of the linearised flow, which itself holds while the loss is near its start.

    Raises:
        ValueError: c is 0, the slope is not finite, or a time is negative.

    >>> one = Neurons(np.array([1.0]), np.array([[0.0, 0.5]]))
    >>> initial_flow(one, np.array([1.0, 0.0]), 1.0, np.array([np.log(2)])).w.tolist()
    [[[0.75, 0.5]]]
    """
    domain.finite(slope=slope)
    domain.at_least(0, time=time)
    c = np.asarray(toward, dtype=float)
    length = float(np.linalg.norm(c))
    domain.positive(length_of_c=length)
    angle = slope * length * np.asarray(time, dtype=float)[:, None]
    along = start.w @ c / length
    a = start.a * np.cosh(angle) + along * np.sinh(angle)
    grown = along * np.cosh(angle) + start.a * np.sinh(angle)
    return Neurons(a, start.w + (grown - along)[..., None] * c / length)

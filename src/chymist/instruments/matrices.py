"""Curvature matrices by name."""

from __future__ import annotations

from collections.abc import Callable

from chymist.errors import BadParameter, did_you_mean
from chymist.instruments.fisher import empirical_fisher
from chymist.instruments.gauss_newton import gauss_newton
from chymist.instruments.hessian import hessian
from chymist.instruments.objective import Objective
from chymist.instruments.operators import Operator

MATRICES: dict[str, Callable[[Objective], Operator]] = {
    "hessian": hessian,
    "gauss-newton": gauss_newton,
    "empirical-fisher": empirical_fisher,
}


def curvature(objective: Objective, matrix: str = "hessian") -> Operator:
    """Return a curvature matrix by its name.

    Raises:
        BadParameter: there is no matrix of this name.
    """
    if matrix not in MATRICES:
        raise BadParameter(f"matrix is {matrix!r}", did_you_mean(matrix, MATRICES))
    return MATRICES[matrix](objective)

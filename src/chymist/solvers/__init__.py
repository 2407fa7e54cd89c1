"""Update rules that train all lanes at once."""

from chymist.solvers.first_order import Adam, GradientDescent, Momentum, RMSProp, Solver
from chymist.solvers.rescaled import RescaledAdam, RescaledDescent

__all__ = [
    "Adam",
    "GradientDescent",
    "Momentum",
    "RMSProp",
    "RescaledAdam",
    "RescaledDescent",
    "Solver",
]

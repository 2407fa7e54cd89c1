"""Update rules that train all lanes at once, and classical solvers of linear systems."""

from chymist.solvers.first_order import Adam, GradientDescent, Momentum, RMSProp, Solver
from chymist.solvers.neuron_clock import NeuronClock
from chymist.solvers.poisson import laplacian, multigrid_v, poisson_dst
from chymist.solvers.relaxation import gauss_seidel, jacobi, jacobi_until, sor
from chymist.solvers.relaxation_matrix import jacobi_matrix, sor_matrix
from chymist.solvers.rescaled import RescaledAdam, RescaledDescent

__all__ = [
    "Adam",
    "GradientDescent",
    "Momentum",
    "NeuronClock",
    "RMSProp",
    "Solver",
    "gauss_seidel",
    "jacobi",
    "jacobi_matrix",
    "jacobi_until",
    "laplacian",
    "multigrid_v",
    "poisson_dst",
    "sor",
    "sor_matrix",
    "RescaledAdam",
    "RescaledDescent",
]

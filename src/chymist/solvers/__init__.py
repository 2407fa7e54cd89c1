"""Update rules that train all lanes at once."""

from chymist.solvers.first_order import Adam, GradientDescent, Momentum, RMSProp, Solver
from chymist.solvers.neuron_clock import NeuronClock

__all__ = ["Adam", "GradientDescent", "Momentum", "NeuronClock", "RMSProp", "Solver"]

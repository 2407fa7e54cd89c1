"""Networks that studies share: ordinary `torch.nn.Module`s that map (sample, feature) likewise."""

from chymist.models.activations import ACTIVATIONS, Activation, activation
from chymist.models.mlp import MLP, gaussian_start
from chymist.models.two_layer import TwoLayer, antisymmetric_start, stratified_circle_start

__all__ = [
    "ACTIVATIONS",
    "MLP",
    "Activation",
    "TwoLayer",
    "activation",
    "antisymmetric_start",
    "gaussian_start",
    "stratified_circle_start",
]

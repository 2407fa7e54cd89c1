"""Networks that studies share: ordinary `torch.nn.Module`s that map (sample, feature) likewise."""

from chymist.models.activations import ACTIVATIONS, Activation, activation
from chymist.models.coordinate import (
    ENCODINGS,
    CoordinateMLP,
    Encoding,
    FourierFeatures,
    Siren,
    coordinate_network,
    coordinate_start,
    gaussian,
    gaussian_tangent_start,
    harmonics,
    tangent_start,
)
from chymist.models.losses import sobolev
from chymist.models.mlp import MLP, gaussian_start, normal_start
from chymist.models.transformer import Transformer, transformer_start
from chymist.models.two_layer import (
    TwoLayer,
    antisymmetric_start,
    gaussian_circle_start,
    stratified_circle_start,
)

__all__ = [
    "ACTIVATIONS",
    "Activation",
    "CoordinateMLP",
    "ENCODINGS",
    "Encoding",
    "FourierFeatures",
    "MLP",
    "Siren",
    "Transformer",
    "TwoLayer",
    "activation",
    "antisymmetric_start",
    "coordinate_network",
    "coordinate_start",
    "gaussian",
    "gaussian_circle_start",
    "gaussian_start",
    "gaussian_tangent_start",
    "harmonics",
    "normal_start",
    "sobolev",
    "stratified_circle_start",
    "tangent_start",
    "transformer_start",
]

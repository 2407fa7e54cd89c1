"""Networks that studies share: ordinary `torch.nn.Module`s that map (sample, feature) likewise."""

from chymist.models.activations import ACTIVATIONS, Activation, activation, multiplicity
from chymist.models.box import BoxAnsatz
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
from chymist.models.losses import (
    dropout_error,
    frozen_residual,
    penalised_error,
    residual_discrete,
    ritz_discrete,
    sobolev,
)
from chymist.models.mlp import MLP, fan_in_start, gaussian_start, normal_start
from chymist.models.tangent import TangentMLP
from chymist.models.transformer import Transformer, transformer_start
from chymist.models.two_layer import (
    Contributions,
    TwoLayer,
    antisymmetric_start,
    gaussian_circle_start,
    stratified_circle_start,
)

__all__ = [
    "ACTIVATIONS",
    "Activation",
    "BoxAnsatz",
    "Contributions",
    "CoordinateMLP",
    "ENCODINGS",
    "Encoding",
    "FourierFeatures",
    "MLP",
    "Siren",
    "TangentMLP",
    "Transformer",
    "TwoLayer",
    "activation",
    "antisymmetric_start",
    "coordinate_network",
    "coordinate_start",
    "dropout_error",
    "frozen_residual",
    "fan_in_start",
    "gaussian",
    "gaussian_circle_start",
    "gaussian_start",
    "gaussian_tangent_start",
    "harmonics",
    "multiplicity",
    "normal_start",
    "penalised_error",
    "residual_discrete",
    "ritz_discrete",
    "sobolev",
    "stratified_circle_start",
    "tangent_start",
    "transformer_start",
]
